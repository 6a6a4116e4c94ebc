"""From a fault plan's document and a net's plan to a timeline: all is held against the net before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stressnet.errors import InputError, Problem
from stressnet.faultplan.against import Against
from stressnet.faultplan.document import FaultPlan, Moment, Step
from stressnet.faultplan.draw import MOST
from stressnet.faultplan.filling import filled
from stressnet.faultplan.questions import questions
from stressnet.faultplan.randomsteps import RandomSteps
from stressnet.faultplan.read import Document
from stressnet.faultplan.timeline import Action, Calls, Timeline, TimelineStep, When
from stressnet.plan import Plan
from stressnet.spec.source import Path
from stressnet.spec.units import QuantityError, format_duration, format_size
from stressnet.spec.words import listing, nearest, show

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
        self._names: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._against = Against(document.source, plan, seed, self.problems)
        self._random = RandomSteps(document.plan, self._against, seed)

    def timeline(self) -> Timeline:
        written = enumerate(self._document.timeline)
        steps = [one for number, step in written for one in self._steps(number, step)]
        self._check_names()
        self._check_capture()
        steps += self._random.steps()
        self.problems += questions(self._whole, self._plan)[1]
        return Timeline(tuple(steps), self._document.duration, self._document.observe)

    def _check_capture(self) -> None:
        """The agent keeps packets in memory, and has a bound for all nodes together."""
        wanted = (self._document.capture or 0) * len(self._plan.nodes)
        if wanted > MOST_CAPTURED:
            found = f"{format_size(wanted)} for all nodes together"
            self._against.refuse(("capture",), found, f"at most {format_size(MOST_CAPTURED)}")

    # Steps of the timeline.

    def _steps(self, number: int, step: Step) -> Iterator[TimelineStep]:
        here: Path = ("timeline", number)
        name = self._name(step)
        made = self._made(here, step, name)
        if made is None:
            return
        self._check_times(here, step, made)
        if step.every is None:
            yield made
            return
        first = step.at.time if step.at and step.at.time is not None else step.every
        until = min(step.until or self._document.duration, self._document.duration)
        count = max(0, int((until - first) / step.every - 1e-9) + 1)
        if count > MOST:
            self._against.refuse((*here, "every"), f"{count} repetitions", f"at most {MOST}")
            return
        for turn in range(count):
            yield replace(made, name=f"{name}#{turn + 1}", when=When(time_s=first + turn * step.every))

    def _name(self, step: Step) -> str:
        base = step.name or step.fault or ("load" if step.load else "heal" if step.heal else "mark")
        self._names[base] = self._names.get(base, 0) + 1
        return base if step.name or self._names[base] == 1 else f"{base}-{self._names[base]}"

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
            self._check_named((*here, "heal"), step.heal)
        return TimelineStep(name, when, action, step.heal or step.mark or "", (), targets)

    def _when(self, here: Path, step: Step) -> When:
        if step.after is not None:
            self._check_named((*here, "after"), step.after)
            if any(one.name == step.after and one.every is not None for one in self._document.timeline):
                found = f"{show(step.after)} is done again and again, so nobody knows which is meant"
                self._against.refuse((*here, "after"), found, "a step without `every`")
            return When(after=step.after, wait_s=step.wait)
        if step.at is None or step.at.time is not None:
            return When(time_s=step.at.time if step.at else None)
        return self._condition((*here, "at"), step.at)

    def _condition(self, here: Path, at: Moment) -> When:
        condition = "height" if at.height else "figure" if at.figure else "metric" if at.metric else "state"
        of = at.of or ("highest" if at.height else "all")
        self._against.selector((*here, "of"), of)
        name = at.figure or at.metric or at.state or ""
        above = float(at.height) if at.height else at.above
        return When(condition=condition, name=name, above=above, below=at.below, of=of, within_s=at.within)

    def _check_times(self, here: Path, step: Step, made: TimelineStep) -> None:
        end = self._document.duration
        at = made.when.time_s
        if at is not None and at >= end and step.every is None:
            found = f"{format_duration(at)} is not before the timeline's end"
            self._against.refuse((*here, "at"), found, f"less than {format_duration(end)}, the duration")
        elif at is not None and step.for_s and step.every is None and at + step.for_s > end + 1e-9:
            found = f"{made.name} would last to {format_duration(at + step.for_s)}"
            allowed = f"an end by {format_duration(end)}, the duration; without `for` it lasts to there"
            self._against.refuse((*here, "for"), found, allowed)

    def _check_named(self, here: Path, name: str) -> None:
        names = list(dict.fromkeys(one.name for one in self._document.timeline if one.name))
        if name not in names:
            allowed = listing(names) or "the `name` of a step, of which there are none"
            self._against.refuse(here, f"no step is called {show(name)}", allowed, nearest(name, names))

    def _check_names(self) -> None:
        seen: dict[str, int] = {}
        for number, step in enumerate(self._document.timeline):
            if step.name in seen:
                self._against.refuse(("timeline", number, "name"), f"{step.name!r} again", "each name once")
            if step.name:
                seen[step.name] = number

    def _calls(self, here: Path, step: Step) -> Calls:
        load = step.load
        assert load is not None
        self._against.selector((*here, "on"), step.on or "all")
        if load.rpc:
            return Calls(
                "rpc", load.rpc.port, load.rpc.path, load.rpc.method, tuple(load.rpc.params), load.rate
            )
        assert load.http is not None
        try:
            filled(load.http.path, 0)
        except QuantityError as error:
            self._against.refuse((*here, "load", "http", "path"), error.found, error.allowed)
        return Calls("http", load.http.port, load.http.path, "GET", (), load.rate)
