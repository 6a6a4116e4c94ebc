"""Faults that a node takes one at a time: the steps of a plan held against each other by their times.

An agent refuses one while the other is on (`agent.admission`), and a step that was not done leaves a run inconclusive.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stressnet.faultplan.draw import own_seed
from stressnet.faultplan.timeline import TimelineStep
from stressnet.faults.kind import FaultKind
from stressnet.plan import Plan, shorten
from stressnet.spec.selectors import Observation, SelectorError, resolve, undrawn
from stressnet.spec.units import format_duration

_ROUNDING_S = 1e-9
_AT_ONCE_S = 0.001
"""What a fault takes that is over at once."""
_NOT_BESIDE = {"kill": "restart", "restart": "kill"}
"""A node that is to stay dead is not started."""


@dataclass(frozen=True, slots=True)
class Span:
    """A fault that is on nodes for a time; seconds of the timeline."""

    step: TimelineStep
    nodes: tuple[str, ...]
    begin_s: float
    end_s: float
    """At the latest."""
    sure: bool
    """Whether nothing ends it before, at a moment that is not known yet."""

    def overlaps(self, other: Span) -> bool:
        """Tell whether both are on at one time."""
        return max(self.begin_s, other.begin_s) + _ROUNDING_S < min(self.end_s, other.end_s)

    def words(self) -> str:
        """Return its name, and its times in brackets."""
        begin = format_duration(self.begin_s)
        if self.step.momentary:
            return f"{self.step.name} ({begin})"
        return f"{self.step.name} ({begin} to {format_duration(self.end_s)})"


@dataclass(slots=True)
class _Row:
    """Faults of one kind on one node, by their begin."""

    spans: list[Span] = field(default_factory=list)
    longest_s: float = 0.0

    def add(self, span: Span) -> None:
        insort(self.spans, span, key=_begin)
        self.longest_s = max(self.longest_s, span.end_s - span.begin_s)

    def beside(self, span: Span) -> Iterator[Span]:
        first = bisect_left(self.spans, span.begin_s - self.longest_s, key=_begin)
        last = bisect_left(self.spans, span.end_s, key=_begin)
        return (self.spans[place] for place in range(first, last) if self.spans[place].overlaps(span))


class Overlaps:
    """Finds which steps of one timeline cannot be together."""

    def __init__(
        self,
        steps: Sequence[TimelineStep],
        plan: Plan,
        kinds: Mapping[str, FaultKind],
        seed: int,
        duration_s: float,
    ) -> None:
        """`steps` are those that are written; what is drawn is held against them by `fitting`."""
        self._plan = plan
        self._kinds = kinds
        self._seed = seed
        self._duration_s = duration_s
        self._heals = [step for step in steps if step.action == "heal"]
        self._rows: dict[tuple[str, str], _Row] = {}
        self.clashes = list(self._add_all(steps))
        """Of each pair the one that comes while the other is on, and that other."""

    def fitting(self, drawn: Iterable[TimelineStep]) -> Iterator[TimelineStep]:
        """Yield the steps that can be done beside those that are written and those that were yielded before."""
        for step in drawn:
            span = self._span(step)
            if span is None:
                yield step
            elif next(self._beside(span), None) is None:
                self._add(span)
                yield step

    def words(self, clash: tuple[Span, Span]) -> tuple[str, str]:
        """Return what is wrong with a pair, and what would be right."""
        later, other = clash
        both = [name for name in later.nodes if name in other.nodes]
        found = f"{later.words()} overlaps {other.words()} on {shorten(both)}"
        if later.step.what == other.step.what:
            return found, f"one {later.step.what} on a node at a time"
        return found, "no restart of a node while it is killed"

    def _add_all(self, steps: Iterable[TimelineStep]) -> Iterator[tuple[Span, Span]]:
        spans = [span for step in steps if (span := self._span(step))]
        for span in sorted(spans, key=_begin):
            yield from ((span, other) for other in self._beside(span) if other.sure)
            self._add(span)

    def _add(self, span: Span) -> None:
        for node in span.nodes:
            self._rows.setdefault((span.step.what, node), _Row()).add(span)

    def _beside(self, span: Span) -> Iterator[Span]:
        other = self._not_beside(span.step.what)
        rows = (self._rows.get((other, node), _Row()) for node in span.nodes)
        return (one for row in rows for one in row.beside(span))

    def _not_beside(self, fault: str) -> str:
        """Return which kind of fault a node does not take beside this one; nothing where it takes any."""
        if fault in self._kinds and self._kinds[fault].layer == "protocol":
            return fault
        return _NOT_BESIDE.get(fault, "")

    def _span(self, step: TimelineStep) -> Span | None:
        """Return when a fault is on which nodes; None where that is no matter, or not known beforehand."""
        begin_s = step.when.time_s
        if step.action != "fault" or begin_s is None or not self._not_beside(step.what):
            return None
        healing = [one for one in self._heals if one.what in ("all", step.name.partition("#")[0])]
        heals_s = [one.when.time_s for one in healing if one.when.time_s is not None]
        for_s = _AT_ONCE_S if step.momentary else step.for_s or self._duration_s
        ends_s = [begin_s + for_s, self._duration_s, *(at for at in heals_s if at > begin_s)]
        return Span(step, self._nodes(step), begin_s, min(ends_s), len(heals_s) == len(healing))

    def _nodes(self, step: TimelineStep) -> tuple[str, ...]:
        """Return the nodes that a step will choose; none where that depends on what is observed then."""
        seed = own_seed(self._seed, step.name)
        selector, seen = step.targets.on, (Observation(), Observation(anything=True))
        try:
            least, most = (resolve(undrawn(selector), self._plan, one, seed) for one in seen)
            return resolve(selector, self._plan, seen[0], seed) if least == most else ()
        except SelectorError:
            return ()


def _begin(span: Span) -> float:
    return span.begin_s
