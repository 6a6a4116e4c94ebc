"""Pages as runs would leave them: a node that is stuck in a net of four, and a storm of discovery among a hundred."""

from __future__ import annotations

import math
import random

from stressnet.report.page import (
    Band,
    Chart,
    Effect,
    Entry,
    Evidence,
    Judgement,
    Line,
    Page,
    Phase,
    Unit,
)

BEGUN_AT = 1_764_108_000.0
_LOG = """\
02:31:17.402 INFO  sync      round 41: 3 peers, target height 96
02:31:17.911 WARN  stream    peer node-2: read: connection reset
02:31:17.911 WARN  stream    peer node-2: cool-down until never
02:31:18.412 WARN  stream    peer node-1: cool-down until never
02:31:18.902 WARN  stream    peer node-3: cool-down until never
02:31:19.402 ERROR sync      no stream left: 0 of 3 needed; waiting
"""


def _line(node: str, region: str, points: list[tuple[float, float | None]]) -> Line:
    return Line(node, region, points)


def stuck() -> Page:
    """Return a run of four nodes of which one never syncs again after a partition."""
    dice = random.Random(4)
    names = ["node-1", "node-2", "node-3", "node-4"]
    seconds = [second / 2 for second in range(341)]
    late = "node-4"

    def height(node: str, at: float) -> float:
        there = math.floor(at * 0.8 + (names.index(node) % 2) * 0.4)
        return min(there, 47) if node == late else there

    def streams(node: str, at: float) -> float:
        if node == late:
            return 3 if at < 60 else 0
        return 3 if at < 60 else 2

    def cpu(node: str, at: float) -> float:
        base = 0.11 + 0.02 * names.index(node) + dice.gauss(0, 0.012)
        return max(0.0, base + (0.32 if node == late and at > 62 else 0) + (0.1 if at < 6 else 0))

    def memory(node: str, at: float) -> float:
        grown = 52e3 * at * (3 if node == late and at > 60 else 1)
        return 41e6 + 1.5e6 * names.index(node) + grown + dice.gauss(0, 1e5)

    def attempts(node: str, at: float) -> float | None:
        if node == "node-2" and 118 < at < 126:
            return None
        return max(0.0, dice.gauss(4.6, 0.8)) if node == late and at > 61 else max(0.0, dice.gauss(0.25, 0.2))

    def chart(title: str, unit: Unit, figure: object, note: str = "") -> Chart:
        assert callable(figure)
        lines = [_line(node, "", [(at, figure(node, at)) for at in seconds]) for node in names]
        return Chart(title, unit, lines, note)

    label = "partition --between node-4 rest"
    return Page(
        title="stuck-after-partition / bug",
        outcome="fail",
        reason="node-4 stands at height 47 since 01:00, 89 blocks below the others, and did not sync within 60 s"
        " after the partition was healed.",
        begun_at=BEGUN_AT,
        asked=[
            ("Topology", "topologies/smallest.yaml"),
            ("Nodes", "4 × syncnode 1.4.0"),
            ("Seed", "7"),
            ("Backend", "netns"),
            ("Time scale", "10×"),
            ("Duration", "2 min 50 s"),
            ("stressnet", "0.1.0"),
            ("Host", "Linux 6.1, 8 CPUs, 15.6 GiB"),
        ],
        command="stressnet run faults/stuck-after-partition.yaml --variant bug --seed 7",
        phases=[
            Phase("settle", 0, 12),
            Phase("baseline", 12, 42),
            Phase("timeline", 42, 110),
            Phase("observe", 110, 170),
        ],
        bands=[
            Band(label, "partition", 58, 90, names, "achieved"),
            Band("reset --between node-4 rest", "reset", 46, 56, names, "achieved"),
            Band("delay=80ms --between node-1 node-2", "delay", 96, 108, names[:2], "not achieved"),
        ],
        charts=[
            chart("Height", "blocks", height),
            chart("Lag", "blocks", lambda node, at: max(height(n, at) for n in names) - height(node, at)),
            chart("Streams", "count", streams, "open sync streams, as the node tells"),
            chart("CPU", "CPUs", cpu),
            chart("Memory", "bytes", memory, "resident set"),
            chart("Connection attempts", "a second", attempts),
        ],
        judgements=[
            Judgement(
                "agreement",
                "pass",
                "All nodes have the same block at every height that they share (0 to 47).",
                nodes=names,
                numbers=[("heights compared", "48"), ("forks", "0")],
            ),
            Judgement(
                "stuck",
                "fail",
                "node-4 did not gain a block for 1 min 50 s while others gained 88.",
                [
                    "The last fault on its links was healed at 01:30; it had 60 s from then on.",
                    "Its streams fell to 0 at 01:00 and never came back.",
                ],
                ["node-4"],
                60,
                [("height", "47"), ("best", "136"), ("lag", "89 blocks"), ("stands for", "1 min 50 s")],
                ["node-4, around 01:00", "node-4, stack at 02:30"],
            ),
            Judgement(
                "discovery_storm",
                "inconclusive",
                "node-4 tried 4.6 connections a second, 18 times its baseline; a fault on node-1 was not achieved.",
                nodes=["node-4"],
                at_s=62,
                numbers=[("baseline", "0.25 /s"), ("observed", "4.6 /s")],
            ),
        ],
        asked_achieved=[
            Effect("1", "reset, node-4 to node-1", "every stream", "3 of 3 streams", "0", "achieved"),
            Effect(
                "2", "partition, node-4 to node-1", "100% lost", "100% of 212 packets", "0 points", "achieved"
            ),
            Effect(
                "2", "partition, node-1 to node-4", "100% lost", "100% of 197 packets", "0 points", "achieved"
            ),
            Effect(
                "3", "delay, node-1 to node-2", "80 ms", "61 ms of 24 probes", "−19 ms (−24%)", "not achieved"
            ),
            Effect("3", "delay, node-2 to node-1", "80 ms", "–", "–", "not measured"),
        ],
        journal=[
            Entry(0, "net.up", "4 nodes on netns in 0.9 s"),
            *(
                Entry(0.4 + 0.1 * i, "node.ready", f"{name} answers its probe")
                for i, name in enumerate(names)
            ),
            Entry(12, "phase", "baseline begins"),
            Entry(42, "phase", "timeline begins"),
            Entry(46, "fault.apply", "reset --between node-4 rest"),
            Entry(56, "fault.heal", "reset --between node-4 rest"),
            Entry(58, "fault.apply", label),
            Entry(59.2, "fault.measured", "100% of 212 packets lost, 100% asked"),
            Entry(90, "fault.heal", label),
            *(
                Entry(91 + 2 * i, "probe", f"node-4 height 47, {i + 1} looks without a change")
                for i in range(39)
            ),
            Entry(170, "net.down", "nothing is left"),
        ],
        evidence=[
            Evidence("node-4, around 01:00", _LOG),
            Evidence(
                "node-4, stack at 02:30",
                'File "sync.py", line 212, in wait_streams\n  await self.enough.wait()\n',
            ),
            Evidence("node-1, around 01:00", _LOG.replace("node-2", "node-4")),
        ],
    )


def storm(count: int = 100, samples: int = 300) -> Page:
    """Return a run of many nodes of which those of one region storm for peers after resets."""
    dice = random.Random(1)
    regions = ("us", "eu", "ap")
    nodes = [(f"{regions[i % 3]}-{i // 3 + 1}", regions[i % 3]) for i in range(count)]
    seconds = [second * 2.0 for second in range(samples)]
    end = seconds[-1]
    begin = end * 0.35
    wild = {node for node, region in nodes if region == "eu"}

    def storming(node: str, at: float) -> float:
        return 1 - math.exp(-(at - begin) / (end * 0.06)) if node in wild and at > begin else 0.0

    speed = {node: dice.uniform(0.93, 1.0) for node, _ in nodes}

    def height(node: str, at: float) -> float:
        slow = 0.75 if storming(node, at) else 1
        return math.floor(0.5 * (min(at, begin) + slow * max(0, at - begin)) * speed[node]) + 118_200

    def cpu(node: str, at: float) -> float:
        return max(0.0, 0.08 + 0.55 * storming(node, at) + dice.gauss(0, 0.03))

    def streams(node: str, at: float) -> float:
        return max(0, round(dice.gauss(8 - 5 * storming(node, at), 0.7)))

    def memory(node: str, at: float) -> float:
        return 38e6 + 12e6 * speed[node] + 9e4 * at * (1 + storming(node, at)) + dice.gauss(0, 3e5)

    def attempts(node: str, at: float) -> float:
        return max(0.0, dice.gauss(0.3 + 24 * storming(node, at), 0.3 + 3 * storming(node, at)))

    def sent(node: str, at: float) -> float:
        return max(0.0, dice.gauss(14e3 + 90e3 * storming(node, at), 4e3))

    def chart(title: str, unit: Unit, figure: object, note: str = "") -> Chart:
        assert callable(figure)
        return Chart(
            title,
            unit,
            [_line(node, region, [(at, figure(node, at)) for at in seconds]) for node, region in nodes],
            note,
        )

    resets = [
        Band(
            "reset --between us eu --probability 10%",
            "reset",
            at,
            at + 4,
            [node for node, _ in nodes],
            "achieved" if index % 5 else "not measured",
        )
        for index, at in enumerate(range(int(begin), int(end * 0.6), 15))
    ]
    wave = sorted(wild)
    return Page(
        title="discovery-storm / bug",
        outcome="fail",
        reason=f"{len(wave)} nodes of region eu tried 24 connections a second each, 81 times their baseline,"
        " and did not calm down after the resets ended.",
        begun_at=BEGUN_AT,
        asked=[
            ("Topology", "topologies/three-regions.yaml"),
            ("Nodes", f"{count} × syncnode 1.4.0"),
            ("Seed", "1"),
            ("Backend", "docker"),
            ("Duration", "10 min"),
        ],
        command="stressnet run faults/discovery-storm.yaml --variant bug --seed 1",
        phases=[
            Phase("settle", 0, end * 0.04),
            Phase("baseline", end * 0.04, end * 0.3),
            Phase("timeline", end * 0.3, end * 0.6),
            Phase("observe", end * 0.6, end),
        ],
        bands=[
            *resets,
            Band("latency=40ms --from region:ap --to rest", "latency", end * 0.45, end * 0.8, [], "achieved"),
        ],
        charts=[
            chart("Height", "blocks", height),
            chart("Lag", "blocks", lambda node, at: 118_200 + at * 0.5 - height(node, at)),
            chart("Streams", "count", streams),
            chart("CPU", "CPUs", cpu),
            chart("Memory", "bytes", memory, "resident set"),
            chart("Connection attempts", "a second", attempts),
        ],
        regions=regions,
        judgements=[
            Judgement(
                "discovery_storm",
                "fail",
                f"{len(wave)} nodes try more than 5 times as many connections as in the baseline.",
                ["The first is eu-7, 9 s after the first reset.", "None of them calms down while observed."],
                wave,
                begin + 9,
                [("baseline", "0.3 /s"), ("observed", "24.3 /s"), ("allowed", "1.5 /s")],
            ),
            Judgement("agreement", "pass", "All nodes have the same block at every height that they share."),
            Judgement("stuck", "pass", "No node stood still for 60 s."),
        ],
        asked_achieved=[
            Effect("1", "reset, us to eu", "10% of streams", "9.7% of 1,204", "−0.3 points", "achieved"),
            Effect("2", "latency, ap to rest", "40 ms", "40.6 ms of 310 probes", "+0.6 ms", "achieved"),
        ],
        journal=[Entry(i * end / 800, "node.event", f"{nodes[i % count][0]} event {i}") for i in range(800)],
    )
