"""Whether each defect of the reference node shows on a live net where it is on, and not where it is off.

python -m benchmarks.defects [NAME ...] --runs 20 [--backend netns|docker] [--at-once 3]

Each is looked for from outside, by what it is said to do (docs/defects.md), in the smallest net that shows it. Prints
how many of the runs went as they should, each way.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.live import Live, brought_up
from benchmarks.timing import machine
from stressnet.engine.plan_topology import plan_topology

Story = Callable[["Live"], Awaitable[bool]]
"""Returns whether the defect shows."""

_DEFAULTS = "{kind: syncnode, config: {time_scale: 20, chain.block_time: 300ms, chain.payload: 64B}}"
_QUIET = "gossip.blocks: false, discovery.hard_low_cap: 1, discovery.soft_low_cap: 1"
_PASSIVE = "discovery.hard_low_cap: 0, discovery.soft_low_cap: 0"
_PAIR = f"""
nodes:
  validator: {{config: {{{_PASSIVE}}}}}
  follower: {{config: {{{_QUIET}, DEFECTS}}}}
"""
"""A validator, and a node that gets blocks by sync streams alone."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A net, what happens to it, and what would show."""

    nodes: str
    """YAML; `DEFECTS` stands where nodes get them."""
    story: Story
    more: tuple[str, ...] = ()
    """Defects that belong to it."""


async def _amplified(live: Live) -> bool:
    await asyncio.sleep(12)  # 24 ticks, each the beginning of a chain that tries four times a second
    return await live.total("alone", "hmy_downloader_failed_download") > 200


async def _leaks(live: Live) -> bool:
    before = await live.total("b", "syncnode_open_streams")
    await asyncio.sleep(15)  # ten checks
    return await live.total("b", "syncnode_open_streams") > before + 5


async def _holds_contexts(live: Live) -> bool:
    await live.begun()
    await asyncio.sleep(6)
    return (
        await live.total("follower", "syncnode_tasks") > await live.total("validator", "syncnode_tasks") + 8
    )


async def _labels(live: Live) -> bool:
    await live.begun()
    await live.fault("stream_error", "probability=70%", on="validator")
    await asyncio.sleep(12)
    return len([name for name in await live.metrics("follower") if "failed" in name]) > 20


async def _manager_hangs(live: Live) -> bool:
    await live.begun()
    fault = await live.fault("reset_mid_frame", "probability=50%", on="validator")
    await asyncio.sleep(25)
    await live.heal(fault)
    await asyncio.sleep(3)
    return not await live.follows("follower")


async def _spins(live: Live) -> bool:
    await live.begun()
    fault = await live.fault("clean_close", on="validator")
    await asyncio.sleep(1)
    await live.heal(fault)
    return await live.cpu("follower", 2) > 0.35


async def _redirects(live: Live) -> bool:
    await live.begun("client")
    before = await live.total("server", "hmy_dns_server_request_count")
    for _ in range(60):
        await live.ask("client", "hmyv2_inSync")
    return await live.total("server", "hmy_dns_server_request_count") > before + 50


async def _lies(live: Live) -> bool:
    await live.begun()
    await live.fault("stream_error", on="validator")
    stands = await live.height("follower")

    async def far_ahead() -> bool:
        return await live.height("validator") > stands + 20

    if not await live.until(far_ahead, 30):
        raise AssertionError("the validator made no blocks")
    return bool(await live.ask("follower", "hmyv2_inSync"))


async def _stands_still(live: Live, seconds: float) -> bool:
    """Wait until the follower has got nothing for six seconds, or the time is up."""

    async def still() -> bool:
        before = await live.height("follower")
        await asyncio.sleep(6)
        return await live.height("follower") == before

    return await live.until(still, seconds)


async def _dead_whitelist(live: Live) -> bool:
    await live.begun()
    fault = await live.fault("reset_mid_frame", "probability=20%", on="validator")
    await _stands_still(live, 40)
    await live.heal(fault)
    return not await live.follows("follower") and await live.cpu("follower", 2) > 0.35


async def _stops(live: Live) -> bool:
    await asyncio.sleep(8)
    return not await live.follows("follower")


async def _stuck_after_errors(live: Live) -> bool:
    await live.begun()
    fault = await live.fault("stream_error", "probability=40%", on="validator")
    await _stands_still(live, 40)
    await live.heal(fault)
    await asyncio.sleep(4)
    return not await live.follows("follower")


async def _branch_stays(live: Live) -> bool:
    await live.begun("c")
    fault = await live.fault("partition", between=("c", "rest"))
    await asyncio.sleep(3)
    await live.heal(fault)
    await asyncio.sleep(3)
    number = await live.height("a")

    async def agreed() -> bool:
        found = await live.block("c", number), await live.block("a", number)
        return found[0] == found[1] != ""

    return not await live.until(agreed, 15)


async def _island(live: Live) -> bool:
    await live.begun("last")

    async def all_four() -> bool:
        return await live.total("last", "hmy_stream_num_streams") >= 4

    if not await live.until(all_four, 30):
        raise AssertionError("the last node did not get four streams")
    await live.fault("partition", between=("validator", "island"))
    await asyncio.sleep(8)
    return not await live.follows("last", seconds=8)


async def _held_back(live: Live) -> bool:
    await live.begun()
    fault = await live.fault("reset_mid_frame", on="validator")

    async def lost() -> bool:
        return not await live.total("follower", "hmy_stream_num_streams")

    await live.until(lost, 10)
    await live.heal(fault)
    await asyncio.sleep(8)  # a cooldown is three seconds here, five of them fifteen
    return await live.total("follower", "hmy_stream_num_streams") == 0


async def _believed(live: Live) -> bool:
    async def up() -> bool:
        return await live.height("later") >= 0

    if not await live.until(up, 30):  # it starts when the first has the only place
        raise AssertionError("the later node did not start")
    await asyncio.sleep(10)
    return await live.total("later", "hmy_stream_sync_failed_client_request") > 0


async def _in_step(live: Live) -> bool:
    await asyncio.sleep(4)
    before = await live.total("b", "hmy_stream_discover")
    await asyncio.sleep(6)
    return await live.total("b", "hmy_stream_discover") > before + 5


async def _unanswered(live: Live) -> bool:
    await asyncio.sleep(4)
    return not await live.follows("b", "a", 8)


async def _at_once(live: Live) -> bool:
    await asyncio.sleep(3)
    before = await live.total("alone", "hmy_stream_discover")
    await asyncio.sleep(3)
    return await live.total("alone", "hmy_stream_discover") > before + 30


_LOW = "discovery.hard_low_cap: 1, discovery.soft_low_cap: 1"
_ALONE = """
nodes:
  validator: {}
  alone: {config: {MORE, DEFECTS}}
"""
_TWO = """
nodes:
  a: {role: validator, config: {DEFECTS}}
  b: {config: {DEFECTS}}
"""
_LEGACY = """
nodes:
  server:
    role: validator
    ports: {p2p-dns: 6000/tcp}
    config: {dns.server: true}
  client:
    config: {gossip.blocks: false, sync.downloader: false, dns.client: true, dns.peers: "{knows:p2p-dns}", DEFECTS}
"""
_BRANCH = """
nodes:
  a: {role: validator}
  b: {role: validator}
  c: {role: validator, config: {gossip.blocks: false, sync.hashes: 50, DEFECTS}}
"""
_ISLAND = """
nodes:
  validator: {}
  island: {count: 3, config: {gossip.blocks: false}}
  last: {config: {gossip.blocks: false, DEFECTS}}
"""
_FULL = f"""
nodes:
  validator: {{config: {{{_PASSIVE}, discovery.high_cap: 1, DEFECTS}}}}
  first: {{config: {{{_QUIET}}}}}
  later: {{start: {{height: 5, of: first}}, config: {{{_QUIET}}}}}
"""
_COLLIDING = f"""
regions: {{here: {{there: 100ms}}, there: {{}}}}
nodes:
  a: {{role: validator, region: here, config: {{{_LOW}, DEFECTS}}}}
  b: {{region: there, config: {{{_LOW}, gossip.blocks: false, DEFECTS}}}}
"""


def _with(nodes: str, keys: str) -> str:
    return nodes.replace("MORE, ", "").replace("DEFECTS", f"{keys}, DEFECTS")


SCENARIOS: Mapping[str, Scenario] = {
    "retry_amplification": Scenario(_with(_ALONE, "sync.min_peers: 5"), _amplified),
    "duplicate_dial_leak": Scenario(_TWO, _leaks),
    "context_leak": Scenario(_PAIR, _holds_contexts),
    "label_explosion": Scenario(_PAIR, _labels),
    "blocking_tick_send": Scenario(_with(_PAIR, "discovery.cooldown: 2s"), _manager_hangs),
    "eof_spin": Scenario(_PAIR, _spins),
    "redirect_in_sync": Scenario(_LEGACY, _redirects),
    "inverted_in_sync": Scenario(_PAIR, _lies),
    "dead_whitelist_loop": Scenario(_with(_PAIR, "discovery.cooldown: 4s"), _dead_whitelist),
    "unread_event_channel": Scenario(_PAIR, _stops),
    "helper_never_signals": Scenario(_BRANCH, _branch_stays),
    "island_is_in_sync": Scenario(_ISLAND, _island),
    "no_return_to_long_range": Scenario(_BRANCH, _branch_stays),
    "reentrant_lock": Scenario(_PAIR, _stuck_after_errors),
    "cooldown_never_expires": Scenario(_PAIR, _held_back),
    "refused_stream_left_open": Scenario(_FULL, _believed),
    "init_collision_reset": Scenario(_COLLIDING, _in_step, ("immediate_rediscovery",)),
    "init_collision_silent": Scenario(_COLLIDING, _unanswered, ("immediate_rediscovery",)),
    "immediate_rediscovery": Scenario(
        _with(_ALONE, "discovery.hard_low_cap: 5, discovery.soft_low_cap: 5"), _at_once
    ),
    "over_cooldown": Scenario(_PAIR, _held_back),
}


async def shows(name: str, backend: str, folder: Path, *, on: bool) -> bool:
    """Bring the net of a defect up with it on or off; return whether it shows."""
    scenario = SCENARIOS[name]
    defects = [name, *scenario.more] if on else []
    nodes = scenario.nodes.replace("DEFECTS", f"defects: [{', '.join(defects)}]").replace("MORE, ", "")
    net = f"defect-{os.getpid()}-{time.monotonic_ns() // 1000 % 10**8}"
    file = folder / f"{net}.yaml"
    file.write_text(f"name: {net}\ndefaults: {_DEFAULTS}{nodes}")
    plan = plan_topology(file, backend=backend)
    async with brought_up(plan) as live:
        return await scenario.story(live)


async def _tried(
    names: list[str], options: argparse.Namespace, folder: Path
) -> dict[tuple[str, bool], list[str]]:
    """Run everything; return what became of each run: "shows", "does not", or the error."""
    found: dict[tuple[str, bool], list[str]] = {(name, on): [] for name in names for on in (True, False)}
    turn = asyncio.Semaphore(options.at_once)

    async def once(name: str, on: bool) -> None:
        async with turn:
            try:
                said = "shows" if await shows(name, options.backend, folder, on=on) else "does not"
            except Exception as error:  # one run that fails must not end the others
                said = f"failed: {error or type(error).__name__}"
            found[name, on].append(said)
            print(f"{name} {'on' if on else 'off'}: {said}", file=sys.stderr, flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(options.runs):
            for name, on in found:
                group.create_task(once(name, on))
    return found


def main() -> None:
    """Run each scenario so many times each way, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; all if none is given"
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--backend", choices=("netns", "docker"), default="netns")
    parser.add_argument("--at-once", type=int, default=3)
    options = parser.parse_args()
    if unknown := set(options.names) - SCENARIOS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        found = asyncio.run(_tried(options.names or list(SCENARIOS), options, Path(name)))
    print("| defect | on: shows | off: does not |\n| --- | --- | --- |")
    for defect in options.names or SCENARIOS:
        right = [found[defect, on].count("shows" if on else "does not") for on in (True, False)]
        print(f"| `{defect}` | {right[0]} of {options.runs} | {right[1]} of {options.runs} |")


if __name__ == "__main__":
    main()
