"""What must hold for a verdict to mean anything: all done as asked, nothing around control, a machine that keeps up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf
from statistics import median_low
from typing import Any

from stressnet.checks.check import Check, Finding, Nothing
from stressnet.checks.loads import Load, could_be_answered, loads
from stressnet.checks.series import Steps, cpu_steps, in_lives
from stressnet.faults.expect import MEASURES
from stressnet.faults.fault import Fault
from stressnet.faults.presence import NO_ANSWER
from stressnet.plan import shorten
from stressnet.record.record import Look, Record, Span
from stressnet.record.rows import HostSample

_LATE_S = 2.0
"""A look of the agent that comes so late: it, and the relays beside it, did not run when they should have."""
_LATE_SHARE = 0.05
_FAR = 0.25
"""Share by which what was measured may lie from what was asked: a bug that needs 100 ms shows at 110 ms too."""
_BUSY_S = 0.025
"""By which a busy machine makes whatever lasts last longer; nothing ends sooner for that."""
_GAP_S = 2.0
"""To take faults off and put them on again takes less, unless their leases have run out before."""
_WAITED = 0.3
"""Share of the time in which a node was ready to run and had no CPU: then what it does is not its own doing."""
_OTHERS = 0.25
"""Share of all CPUs that other programs took meanwhile: nodes of the run that starve each other are a finding."""
_STARVED_SHARE = 0.2
_JUMP_S = 1.0
_HOLE_S = 10.0
"""Without a look: heights that stood still in it are those of the last look. The greatest of 729 runs was 6.8 s."""
_HOLE_STEPS = 3.0
"""And so many times what is usual: of a round that was thinned one look in 5 s is left, and a plan may ask for less."""
_MEMORY = 64 << 20
_DISK = 64 << 20


def faults_achieved(record: Record, _: Nothing) -> Finding:
    """Say whether everything that was asked was done, and was measured to be so."""
    missed = [
        f"{event['step']}: {event['why']}"
        for event in record.events
        if event["event"] in ("step missed", "step failed")
    ]
    amiss = [
        f"{span.step}: {span.fault.asked}: {why}"
        for span in record.faults
        if (why := _amiss(span) or _interrupted(record, span))
    ]
    unanswered = [load for load in loads(record) if _is_unanswered(record, load)]
    lost = [one for one in unanswered if one.ended is None or could_be_answered(record, one, one.ended)]
    silent = [span for span in record.faults if not span.achieved.get("figures") and not span.hits]
    wrong = (*missed, *amiss, *map(_unanswered, lost))
    lines = (
        *wrong,
        *(f"{span.step}: {span.fault.asked}: {_silence(span)}" for span in silent),
        *(_unanswered(load) for load in unanswered if load not in lost),
    )
    numbers = {
        "faults": len(record.faults),
        "missed": len(missed),
        "not_achieved": len(amiss),
        "not_measured": len(silent),
        "not_answered": len(unanswered),
    }
    if wrong:
        said = wrong[0]
        more = len(wrong) - 1
        return Finding(
            "inconclusive", f"{said}{f', and {more} more' if more else ''}", (), None, lines, numbers
        )
    if not record.faults:
        return Finding("pass", "no faults were asked for", (), None, lines, numbers)
    measured = len(record.faults) - len(silent)
    said = f"{measured} of {len(record.faults)} faults measured, all as asked"
    if not measured:
        said = f"{len(record.faults)} faults put on, which cannot be measured"
    return Finding("pass", said, (), None, lines, numbers)


def _is_unanswered(record: Record, load: Load) -> bool:
    """Tell whether nothing is known to have answered a load that is over, or should be."""
    return not load.answered and (load.ended is not None or not record.incomplete)


def _unanswered(load: Load) -> str:
    if load.ended is None:
        return f"{load.step}: nobody knows what became of the calls of its load"
    why = f": {load.why}" if load.why else ""
    return f"{load.step}: none of {load.sent} calls of its load was answered{why}"


def _amiss(span: Span) -> str:
    """Say what was wrong with a fault: that it ended too early, was gone by then, was far from what was asked most of
    the time or when it was last measured, or that nobody knows."""
    if span.by == "agent":
        return f"it ended by itself after {span.lasted_s:.1f} s, before its time"
    if span.at_heal and span.at_heal.missing:
        return f"gone when it should have been healed: {shorten(span.at_heal.missing)}"
    said = [_wrong(span, look) for look in span.looks]
    wrong = [words for words in said if words]
    if wrong and (said[-1] or len(wrong) > len(said) / 2):
        return wrong[-1]
    return _unseen(span) if span.ended is not None and span.fault.kind in MEASURES else ""


def _interrupted(record: Record, span: Span) -> str:
    """Say that nobody put a fault on again in time after the one who did the run was killed."""
    if span.by != "kill" or span.ended is None:
        return ""
    again = [one.begun for one in record.faults if one.step == span.step and one.begun >= span.ended]
    if not again:
        return f"it ended after {span.lasted_s:.1f} s, when the run was interrupted"
    off_s = min(again) - span.ended
    return f"off for {off_s:.1f} s, while nobody did the run" if off_s > _GAP_S else ""


def _unseen(span: Span) -> str:
    """Say why nobody knows whether a fault was there to its end: who looked when it was healed was not answered, or
    nobody saw all of it, as in records of earlier versions, and in the second half of its time it was not measured."""
    if span.at_heal and span.at_heal.there:
        return ""
    if span.at_heal and NO_ANSWER in span.at_heal.unseen:
        return f"nobody knows whether it was in place when it was healed: {NO_ANSWER}"
    why = span.achieved.get("not_measured") or ""
    if not span.achieved.get("figures"):
        if (span.layer == "packet" and span.hits) or (why and not span.at_heal):
            return ""
        return f"on for {span.lasted_s:.1f} s, and never measured{why and f': {why}'}"
    if span.ended is None or span.measured_at is None:
        return ""
    unseen_s = span.ended - span.measured_at
    if unseen_s <= span.lasted_s / 2:
        return ""
    return f"not measured any more in the last {unseen_s:.1f} s of {span.lasted_s:.1f} s"


def _silence(span: Span) -> str:
    why = span.achieved.get("not_measured")
    there = ", but in place when it was healed" if span.at_heal and span.at_heal.there else ""
    return f"not measured{f': {why}' if why else ''}{there}"


def _wrong(span: Span, look: Look) -> str:
    """Say what one look at a fault has found that is far from what was asked."""
    if look.state not in ("not achieved", "failed"):
        return ""
    failed = look.achieved.get("failed") or {}
    if look.state == "failed" or failed:
        return "; ".join(f"{node}: {why}" for node, why in list(failed.items())[:2]) or "not as asked"
    figures = [one for one in look.achieved.get("figures", ()) if _far(one) or _lacks(span.fault, one)]
    return ", ".join(
        f"{one['name']}: asked {one['asked']:.4g}, found {one['found']:.4g}" for one in figures[:2]
    )


def _far(figure: Mapping[str, Any]) -> bool:
    """Whether a figure is not only outside of its tolerance, which a busy machine may do, but of another size."""
    if figure.get("holds", True):
        return False
    off, slack = figure["found"] - figure["asked"], _FAR * abs(figure["asked"])
    if figure["unit"] == "duration" and off > 0:
        slack = max(slack, _BUSY_S)
    return bool(figure["unit"] == "count" or abs(off) > slack)


def _lacks(fault: Fault, figure: Mapping[str, Any]) -> bool:
    """Whether half of a latency, or more, is missing from a round trip, of which it may be a small part."""
    own = fault.parameters.get(fault.kind) if fault.kind in ("latency", "delay") else None
    return (
        own is not None
        and figure["unit"] == "duration"
        and figure["found"] < figure["asked"] - float(own) / 2
    )


def no_bypass(record: Record, _: Nothing) -> Finding:
    """Say whether any packet between nodes tried to get around control, and whether anybody else changed it."""
    problems = [
        str(event["problem"]) for event in record.events if event["event"] == "control" and event["problem"]
    ]
    before: dict[str, int] = {}  # where the net was up before the run
    for event in record.events:
        before.update(event.get("bypassed") or {} if event["event"] == "control" else {})
    around: dict[str, int] = {}
    for row in record.links:
        link = f"{row.source} > {row.target}"
        if row.bypassed > before.get(link, 0):
            around[link] = row.bypassed - before.get(link, 0)
    changed = [
        f"the {event['what']} of links were changed by somebody else"
        + (f", {event['times']} times" if event["times"] > 1 else "")
        for event in record.events
        if event["event"] == "control changed"
    ]
    lines = (*problems, *changed, *(f"{link}: {count} packets" for link, count in around.items()))
    if problems and record.faults:
        return Finding("inconclusive", f"links are not under control: {problems[0]}", (), None, lines)
    if changed:
        return Finding("inconclusive", changed[0], (), None, lines)
    if around:
        said = f"{sum(around.values())} packets tried to get around control on {shorten(list(around))}"
        return Finding("inconclusive", said, (), None, lines, {"packets": sum(around.values())})
    return Finding("pass", "no packet got around control", (), None, lines, {"packets": 0})


def host_healthy(record: Record, _: Nothing) -> Finding:
    """Say whether the machine had the room that the run needed, and the net was looked at all the time."""
    rows = record.hosts
    if len(rows) < 2:
        return Finding("inconclusive", "the machine was looked at less than twice")
    sick, holes = tuple(_sick(record, rows)), tuple(_holes(record, rows))
    late = max(row.late_s for row in rows)
    numbers = {
        "looks": len(rows),
        "latest_look_s": late,
        "others_cpu_share": _crowding(record, rows)[0],
        "memory_free_bytes": min(row.memory_free_bytes for row in rows),
        "disk_free_bytes": min(row.disk_free_bytes for row in rows),
    }
    if sick or holes:
        said = f"the machine is to blame: {sick[0]}" if sick else holes[0]
        return Finding("inconclusive", said, (), None, (*sick, *holes), numbers)
    return Finding("pass", f"the machine kept up: looks at most {late:.2f} s late", (), None, (), numbers)


def _sick(record: Record, rows: Sequence[HostSample]) -> Iterator[str]:
    late = [row.late_s for row in rows if row.late_s > _LATE_S]
    if len(late) > max(1, _LATE_SHARE * len(rows)):
        yield f"{len(late)} of {len(rows)} looks came more than {_LATE_S:g} s late, up to {max(late):.1f} s"
    mean, starved = _crowding(record, rows)
    if starved > _STARVED_SHARE:
        yield f"nodes waited for a CPU in {starved:.0%} of the time; other programs took {mean:.0%} of all CPUs"
    jumps = [row.clock_jump_s for row in rows[1:] if abs(row.clock_jump_s) > _JUMP_S]
    if jumps:
        yield f"its clock was set by {max(jumps, key=abs):+.1f} s"
    if min(row.memory_free_bytes for row in rows) < _MEMORY:
        yield "its memory was full"
    if min(row.disk_free_bytes for row in rows) < _DISK:
        yield "its disk was full"
    lost = [event for event in record.events if event["event"] == "samples lost"]
    if lost:
        yield f"samples were lost: {lost[0]['why']}"


def _holes(record: Record, rows: Sequence[HostSample]) -> Iterator[str]:
    """Say where nobody looked at the net, from when on checks ask of it to the end of what was to be watched.

    The record of a whole night has no baseline: its looks are those of rounds, between which nobody looks.
    """
    baseline = record.phases.get("baseline")
    if baseline is None:
        return
    since, until = baseline.begun, max(phase.ended for phase in record.phases.values())
    usual = [step for before, after in pairwise(rows) if (step := after.monotonic - before.monotonic) > 0]
    most = max(_HOLE_S, _HOLE_STEPS * median_low(usual or [0.0]))
    holes = [
        (
            min(after.monotonic - before.monotonic, min(after.at, until) - max(before.at, since)),
            max(before.at, since),
        )
        for before, after in pairwise(rows)
    ]
    longest, begun = max(holes)
    if longest > most:
        yield f"nobody looked at the net for {longest:.1f} s from {record.clock(begun)} on"
    left = until - rows[-1].at
    if not record.incomplete and left > most:
        yield f"samples end {left:.1f} s before the run does"


def _crowding(record: Record, rows: Sequence[HostSample]) -> tuple[float, float]:
    """Return the share of all CPUs that programs outside of this run took on average, and the share of the time in
    which they took some and a node had to wait for one."""
    ours, waits = cpu_steps(record), _waits(record)
    total = span = starved = 0.0
    for before, after in pairwise(rows):
        seconds = after.monotonic - before.monotonic
        if seconds <= 0:
            continue
        busy = (after.busy_s - before.busy_s + after.steal_s - before.steal_s) / seconds / after.cpus
        own = sum(_between(ours, before.monotonic, after.monotonic))
        own += after.harness_cpu_s - before.harness_cpu_s
        others = max(0.0, busy - own / seconds / after.cpus)
        total, span = total + others * seconds, span + seconds
        waited = max(_between(waits, before.monotonic, after.monotonic), default=0.0)
        starved += seconds if others > _OTHERS and waited > _WAITED else 0.0
    return (total / span, starved / span) if span else (0.0, 0.0)


def _waits(record: Record) -> Steps:
    """Return the share of the time that each node waited for a CPU."""
    return sorted(
        (after.monotonic, (after.cpu_wait_s - before.cpu_wait_s) / (after.monotonic - before.monotonic))
        for before, after in in_lives(record)
        if before.cpu_wait_s is not None
        and after.cpu_wait_s is not None
        and after.monotonic > before.monotonic
    )


def _between(steps: Steps, since: float, until: float) -> list[float]:
    """Return the figures of steps that ended in a time; steps are in order of their ends."""
    return [
        figure for _, figure in steps[bisect_right(steps, (since, inf)) : bisect_right(steps, (until, inf))]
    ]


FAULTS_ACHIEVED = Check(
    "faults_achieved",
    "every fault was put on and measured to be as asked, and every load was answered",
    Nothing,
    faults_achieved,
    always=True,
)
NO_BYPASS = Check(
    "no_bypass",
    "no packet between nodes got around control, and nobody else changed it",
    Nothing,
    no_bypass,
    always=True,
)
HOST_HEALTHY = Check("host_healthy", "the machine kept up with the run", Nothing, host_healthy, always=True)
