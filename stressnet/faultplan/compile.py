"""From a fault plan's document and a net's plan to a timeline: all is held against the net before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from stressnet.errors import InputError, Problem
from stressnet.faultplan.against import Against
from stressnet.faultplan.document import FaultPlan, Moment, Step
from stressnet.faultplan.draw import MOST
from stressnet.faultplan.filling import filled
from stressnet.faultplan.names import Names
from stressnet.faultplan.overlaps import Overlaps
from stressnet.faultplan.questions import questions
from stressnet.faultplan.randomsteps import RandomSteps
from stressnet.faultplan.read import Document
from stressnet.faultplan.timeline import Action, Calls, Timeline, TimelineStep, When
from stressnet.plan import Plan
from stressnet.spec.source import Path
from stressnet.spec.units import QuantityError, format_duration, format_size

MOST_CAPTURED = 256 << 20
"""Bytes of packets of all nodes: the agent's own bound (`agent.captures`)."""


def compile_timeline(document: Document, plan: Plan, seed: int) -> Timeline:
    """Return what is done to this net, and when; InputError with everything that is wrong with it."""
    compiler = _Compiler(document, plan, seed)
    timeline = compiler.timeline()
    if compiler.problems:
        raise InputError(list(dict.fromkeys(compiler.problems)))
    return timeline


class _Compiler:
    def __init__(self, document: Document, plan: Plan, seed: int) -> None:
        self._whole = document
        self._document: FaultPlan = document.plan
        self._plan = plan
        self._seed = seed
        self._places: dict[str, Path] = {}
        """Of steps, by name; all repetitions of one stand at one place."""
        self.problems: list[Problem] = []
        self._against = Against(document.source, plan, seed, self.problems)
        self._names = Names(document.plan, self._against)
        self._random = RandomSteps(document.plan, self._against, seed)

    def timeline(self) -> Timeline:
        steps: list[TimelineStep] = []
        for number, step in enumerate(self._document.timeline):
            here: Path = ("timeline", number)
            made = list(self._steps(here, step))
            self._places |= {one.name: here for one in made}
            steps += made
        self._names.check()
        self._check_settle()
        self._check_capture()
        steps += self._overlaps(steps).fitting(self._random.steps())
        self.problems += questions(self._whole, self._plan)[1]
        return Timeline(tuple(steps), self._document.duration, self._document.observe)

    def _check_settle(self) -> None:
        settle = self._document.settle
        for key, wanted in (("height", settle.height), ("synced", settle.synced)):
            if wanted:
                self._check_heights(("settle", key))

    def _check_heights(self, here: Path) -> None:
        """What waits for a height never comes where no node tells one."""
        if all(node.height is None for node in self._plan.nodes):
            self._against.refuse(here, "no node tells a height", "nodes of a kind with `height`")

    def _check_capture(self) -> None:
        """The agent keeps packets in memory, and has a bound for all nodes together."""
        wanted = (self._document.capture or 0) * len(self._plan.nodes)
        if wanted > MOST_CAPTURED:
            found = f"{format_size(wanted)} for all nodes together"
            self._against.refuse(("capture",), found, f"at most {format_size(MOST_CAPTURED)}")

    def _overlaps(self, steps: Sequence[TimelineStep]) -> Overlaps:
        """Note which steps overlap, each place once.

        A round of a soak draws with a seed of its own, when nobody can mend the plan any more: there the agent says so.
        """
        overlaps = Overlaps(steps, self._plan, self._against.kinds, self._seed, self._document.duration)
        clashes = overlaps.clashes if self._seed == self._plan.seed else []
        first = {self._places[clash[0].step.name]: clash for clash in reversed(clashes)}
        for here, clash in first.items():
            self._against.refuse(here, *overlaps.words(clash))
        return overlaps

    # Steps of the timeline.

    def _steps(self, here: Path, step: Step) -> Iterator[TimelineStep]:
        made = self._made(here, step, self._names.of(step))
        if made is None:
            return
        if step.every is not None:
            yield from self._repeated((*here, "every"), step, step.every, made)
            return
        self._check_times(here, step, made)
        yield made

    def _repeated(self, here: Path, step: Step, every_s: float, made: TimelineStep) -> Iterator[TimelineStep]:
        first_s = step.at.time if step.at and step.at.time is not None else every_s
        until_s = min(step.until or self._document.duration, self._document.duration)
        count = ceil((until_s - first_s) / every_s - 1e-9)
        if count < 1:
            found = f"the first would come at {format_duration(first_s)}"
            self._against.refuse(here, found, f"a first one before {format_duration(until_s)}")
        elif count > MOST:
            self._against.refuse(here, f"{count} repetitions", f"at most {MOST}")
        else:
            for turn in range(count):
                when = When(time_s=first_s + turn * every_s)
                yield replace(made, name=f"{made.name}#{turn + 1}", when=when)

    def _made(self, here: Path, step: Step, name: str) -> TimelineStep | None:
        when = self._when(here, step)
        action: Action = "fault" if step.fault else "load" if step.load else "heal" if step.heal else "mark"
        targets = self._against.targets(step)
        if action == "fault":
            kind = self._against.kind(here, step)
            if kind is None:
                return None
            parameters = self._against.parameters(here, kind, step)
            self._against.aim(here, kind, targets)
            if kind.momentary and step.for_s:
                self._against.refuse((*here, "for"), f"{kind.name} is over at once", "no `for`")
            return TimelineStep(
                name, when, action, kind.name, parameters, targets, step.for_s, kind.momentary
            )
        if action == "load":
            return TimelineStep(
                name, when, action, "load", (), targets, step.for_s, calls=self._calls(here, step)
            )
        if step.heal and step.heal != "all":
            self._names.heal((*here, "heal"), step.heal)
        return TimelineStep(name, when, action, step.heal or step.mark or "", (), targets)

    def _when(self, here: Path, step: Step) -> When:
        if step.after is not None:
            self._names.after((*here, "after"), step.after)
            return When(after=step.after, wait_s=step.wait)
        if step.at is None or step.at.time is not None:
            return When(time_s=step.at.time if step.at else None)
        return self._condition((*here, "at"), step.at)

    def _condition(self, here: Path, at: Moment) -> When:
        if at.height or at.figure in ("height", "lag"):
            self._check_heights((*here, "height" if at.height else "figure"))
        condition = "height" if at.height else "figure" if at.figure else "metric" if at.metric else "state"
        of = at.of or ("highest" if at.height else "all")
        self._against.selector((*here, "of"), of)
        name = at.figure or at.metric or at.state or ""
        above = float(at.height) if at.height else at.above
        return When(condition=condition, name=name, above=above, below=at.below, of=of, within_s=at.within)

    def _check_times(self, here: Path, step: Step, made: TimelineStep) -> None:
        end = self._document.duration
        at = made.when.time_s
        if at is not None and at >= end:
            found = f"{format_duration(at)} is not before the timeline's end"
            self._against.refuse((*here, "at"), found, f"less than {format_duration(end)}, the duration")
        elif at is not None and step.for_s and at + step.for_s > end + 1e-9:
            found = f"{made.name} would last to {format_duration(at + step.for_s)}"
            allowed = f"an end by {format_duration(end)}, the duration; without `for` it lasts to there"
            self._against.refuse((*here, "for"), found, allowed)

    def _calls(self, here: Path, step: Step) -> Calls:
        load = step.load
        assert load is not None
        self._against.selector((*here, "on"), step.on or "all")
        via, asked = ("rpc", load.rpc) if load.rpc else ("http", load.http)
        assert asked is not None
        self._against.port((*here, "load", via, "port"), asked.port, step.on or "all")
        if load.rpc:
            return Calls(
                "rpc", load.rpc.port, load.rpc.path, load.rpc.method, tuple(load.rpc.params), load.rate
            )
        try:
            filled(asked.path, 0)
        except QuantityError as error:
            self._against.refuse((*here, "load", "http", "path"), error.found, error.allowed)
        return Calls("http", asked.port, asked.path, "GET", (), load.rate)
