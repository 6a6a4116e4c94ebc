"""From a fault plan's document and a net's plan to a timeline: all is checked against the net before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from stressnet.errors import InputError, Problem
from stressnet.faultplan.document import CHECK_NAMES, Doing, FaultPlan, Moment, Step, chosen
from stressnet.faultplan.draw import MOST, Choice, Drawn, draw
from stressnet.faultplan.read import Document
from stressnet.faultplan.timeline import Action, Calls, Timeline, TimelineStep, When
from stressnet.faults.declared import with_declared
from stressnet.faults.kind import FaultKind
from stressnet.plan import Plan
from stressnet.spec.fault import FORMATS, read_parameters, read_value
from stressnet.spec.selectors import Observation
from stressnet.spec.source import Path
from stressnet.spec.targets import Aim, Targets
from stressnet.spec.units import QuantityError, format_duration, parse_duration
from stressnet.spec.words import listing, nearest, show

_OPTIONS = {"--from": "from", "--to": "to", "--between": "between", "--on": "on"}


def compile_timeline(document: Document, plan: Plan, seed: int) -> Timeline:
    """Return what is done to this net, and when; InputError with everything that is wrong with it."""
    compiler = _Compiler(document, plan, seed)
    timeline = compiler.timeline()
    if compiler.problems:
        raise InputError(list(dict.fromkeys(compiler.problems)))
    return timeline


class _Compiler:
    def __init__(self, document: Document, plan: Plan, seed: int) -> None:
        self._document: FaultPlan = document.plan
        self._source = document.source
        self._plan = plan
        self._seed = seed
        self._kinds = with_declared(plan.faults)
        self._names: dict[str, int] = {}
        self.problems: list[Problem] = []

    def timeline(self) -> Timeline:
        steps = [one for number, step in enumerate(self._document.timeline) for one in self._steps(number, step)]
        self._check_names()
        steps += self._drawn()
        self._check_checks()
        return Timeline(tuple(steps), self._document.duration, self._document.observe)

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
            self._refuse((*here, "every"), f"{count} repetitions", f"at most {MOST}")
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
        targets = self._targets(here, step)
        if action == "fault":
            kind = self._kind(here, step)
            if kind is None:
                return None
            parameters = self._parameters(here, kind, step)
            self._aim(here, kind, targets)
            if kind.momentary and step.for_s:
                self._refuse((*here, "for"), f"{kind.name} is over at once", "no `for`")
            made = TimelineStep(
                name, when, action, kind.name, parameters, targets, step.for_s, kind.momentary
            )
            return made
        if action == "load":
            return TimelineStep(name, when, action, "load", (), targets, step.for_s, calls=self._calls(here, step))
        if step.heal and step.heal != "all":
            self._check_named((*here, "heal"), step.heal)
        return TimelineStep(name, when, action, step.heal or step.mark or "", (), targets)

    def _when(self, here: Path, step: Step) -> When:
        if step.after is not None:
            self._check_named((*here, "after"), step.after)
            return When(after=step.after, wait_s=step.wait)
        if step.at is None or step.at.time is not None:
            return When(time_s=step.at.time if step.at else None)
        return self._condition((*here, "at"), step.at)

    def _condition(self, here: Path, at: Moment) -> When:
        condition = "height" if at.height else "figure" if at.figure else "metric" if at.metric else "state"
        of = at.of or ("highest" if at.height else "all")
        self._check_selector((*here, "of"), of)
        name = at.figure or at.metric or at.state or ""
        above = float(at.height) if at.height else at.above
        return When(
            condition=condition, name=name, above=above, below=at.below, of=of, within_s=at.within
        )

    def _check_times(self, here: Path, step: Step, made: TimelineStep) -> None:
        end = self._document.duration
        at = made.when.time_s
        if at is not None and at >= end and step.every is None:
            found = f"{format_duration(at)} is not before the timeline's end"
            self._refuse((*here, "at"), found, f"less than {format_duration(end)}, the duration")
        elif at is not None and step.for_s and step.every is None and at + step.for_s > end + 1e-9:
            found = f"{made.name} would last to {format_duration(at + step.for_s)}"
            allowed = f"an end by {format_duration(end)}, the duration; without `for` it lasts to there"
            self._refuse((*here, "for"), found, allowed)

    def _check_named(self, here: Path, name: str) -> None:
        names = [one.name for one in self._document.timeline if one.name]
        if name not in names:
            allowed = listing(names) or "the `name` of a step, of which there are none"
            self._refuse(here, f"no step is called {show(name)}", allowed, nearest(name, names))

    def _check_names(self) -> None:
        seen: dict[str, int] = {}
        for number, step in enumerate(self._document.timeline):
            if step.name in seen:
                self._refuse(("timeline", number, "name"), f"{step.name!r} again", "each name once")
            if step.name:
                seen[step.name] = number

    # Faults and their targets.

    def _kind(self, here: Path, step: Doing) -> FaultKind | None:
        kind = self._kinds.get(step.fault or "")
        if kind is None:
            near = nearest(step.fault or "", self._kinds)
            self._refuse((*here, "fault"), f"there is no fault {show(step.fault)}", listing(self._kinds), near)
        return kind

    def _parameters(self, here: Path, kind: FaultKind, step: Doing) -> tuple[str, ...]:
        texts = {f"{key}={_written(value)}": key for key, value in (step.model_extra or {}).items()}
        found: list[Problem] = []
        read_parameters(kind, list(texts), found)
        for problem in found:
            key = texts.get(problem.file)
            place = (*here, key) if key else (*here, "fault")
            unknown = key is not None and key not in {one.name for one in kind.parameters}
            near = problem.nearest or (nearest(key, Step.model_fields) if unknown and key else "")
            self.problems.append(
                self._source.problem(place, problem.found, problem.allowed, near, key=unknown)
            )
        return tuple(texts)

    def _targets(self, here: Path, step: Doing) -> Targets:
        between = (step.between[0], step.between[1]) if step.between else None
        return Targets(step.source or "", step.target or "", between, step.on or "")

    def _aim(self, here: Path, kind: FaultKind, targets: Targets) -> None:
        found: list[Problem] = []
        aim = Aim(self._plan, _everything(self._plan), self._seed, found)
        nodes = links = ()
        if kind.layer in ("packet", "stream"):
            links = aim.links(kind, targets)  # type: ignore[assignment]
        else:
            nodes = aim.nodes(kind, targets)  # type: ignore[assignment]
        for problem in found:
            if problem.found.endswith("means no node now"):
                continue  # it is observed when the time has come
            option = _OPTIONS.get(problem.file, "fault")
            allowed = problem.allowed.replace("--", "")
            self.problems.append(
                self._source.problem((*here, option), problem.found, allowed, problem.nearest)
            )
        self._check_able(here, kind, nodes)
        if kind.layer == "stream" and links and not self._plan.relay:
            allowed = "streams that go through relays (`interpose`, `stressnet install toxiproxy`)"
            self._refuse((*here, "fault"), f"{kind.name} is done to streams by a relay", allowed)

    def _check_able(self, here: Path, kind: FaultKind, nodes: tuple[str, ...]) -> None:
        if kind.layer == "protocol":
            able = {one.node_kind for one in self._plan.faults if one.fault.name == kind.name}
            for name in nodes:
                if self._plan.node(name).kind not in able:
                    found = f"{name} is of a kind that declares no fault {kind.name!r}"
                    self._refuse((*here, "on"), found, f"nodes of the kind {listing(sorted(able))}")
        for name in nodes:
            if kind.name == "disk_full" and not self._plan.node(name).disk:
                self._refuse((*here, "on"), f"{name} has no disk of its own", "nodes with `disk: SIZE`")

    def _check_selector(self, here: Path, selector: str) -> None:
        found: list[Problem] = []
        Aim(self._plan, _everything(self._plan), self._seed, found).check(Targets(on=selector))
        for problem in found:
            if not problem.found.endswith("means no node now"):
                self.problems.append(
                    self._source.problem(here, problem.found, problem.allowed, problem.nearest)
                )

    def _calls(self, here: Path, step: Step) -> Calls:
        load = step.load
        assert load is not None
        self._check_selector((*here, "on"), step.on or "all")
        if load.rpc:
            return Calls(
                "rpc", load.rpc.port, load.rpc.path, load.rpc.method, tuple(load.rpc.params), load.rate
            )
        assert load.http is not None
        return Calls("http", load.http.port, load.http.path, "GET", (), load.rate)

    # Faults that are drawn.

    def _drawn(self) -> Iterator[TimelineStep]:
        section = self._document.random
        if section is None:
            return
        choices = [one for place in range(len(section.faults)) if (one := self._choice(place))]
        until = min(section.until or self._document.duration, self._document.duration)
        if section.begin >= until:
            self._refuse(("random", "begin"), "not before the end", f"less than {format_duration(until)}")
        if self.problems or not choices:
            return
        for number, one in enumerate(draw(choices, section.begin, until, section.every, self._seed)):
            yield self._drawn_step(number, one)

    def _choice(self, place: int) -> Choice | None:
        section = self._document.random
        assert section is not None
        one, here = section.faults[place], ("random", "faults", place)
        kind = self._kind(here, one)
        for_s = self._range((*here, "for"), one.for_s)
        if kind is None or for_s is None:
            return None
        fixed = {key: value for key, value in (one.model_extra or {}).items() if " to " not in str(value)}
        ranges = []
        for key, value in (one.model_extra or {}).items():
            if key in fixed:
                continue
            parameter = next((item for item in kind.parameters if item.name == key), None)
            bounds: list[Any] = []
            said: list[Problem] = []
            for text in str(value).split(" to ", 1):
                bounds.append(read_value(parameter, text.strip(), said) if parameter else None)
            if parameter is None:
                allowed = listing(item.name for item in kind.parameters)
                self._refuse((*here, key), f"{kind.name} has no parameter {show(key)}", allowed)
            elif said:
                self.problems += [self._source.problem((*here, key), item.found, item.allowed) for item in said]
            elif not bounds[0] <= bounds[1]:
                self._refuse((*here, key), show(value), "a range from less to more")
            else:
                ranges.append((key, float(bounds[0]), float(bounds[1])))
        texts = [f"{key}={_written(value)}" for key, value in fixed.items()]
        texts += [f"{name}={self._formatted(kind, name, least)}" for name, least, _ in ranges]
        found: list[Problem] = []
        if not self.problems:
            read_parameters(kind, texts, found)
            self.problems += [self._source.problem((*here, "fault"), item.found, item.allowed) for item in found]
        self._aim(here, kind, self._targets(here, one))
        return Choice(place, for_s, tuple(ranges), one.weight)

    def _range(self, here: Path, text: str) -> tuple[float, float] | None:
        try:
            bounds = [parse_duration(part.strip()) for part in text.split(" to ", 1)]
        except QuantityError as error:
            self._refuse(here, error.found, f"{error.allowed}, or a range as in 2s to 8s")
            return None
        if not 0 < bounds[0] <= bounds[-1]:
            self._refuse(here, show(text), "a range from less to more, above 0s")
            return None
        return bounds[0], bounds[-1]

    def _drawn_step(self, number: int, one: Drawn) -> TimelineStep:
        section = self._document.random
        assert section is not None
        chosen_fault = section.faults[one.place]
        kind = self._kinds[chosen_fault.fault]
        values = dict(one.values)
        parameters = tuple(
            f"{key}={self._formatted(kind, key, values[key]) if key in values else _written(value)}"
            for key, value in (chosen_fault.model_extra or {}).items()
        )
        return TimelineStep(
            f"random-{number + 1}",
            When(time_s=one.begin_s),
            "fault",
            kind.name,
            parameters,
            self._targets(("random", "faults", one.place), chosen_fault),
            None if kind.momentary else one.for_s,
            kind.momentary,
            drawn=True,
        )

    def _formatted(self, kind: FaultKind, name: str, value: float) -> str:
        """Write a drawn value with its unit, rounded to what does the fault and to four digits."""
        parameter = next(item for item in kind.parameters if item.name == name)
        rounded = parameter.steps(value) * parameter.step if parameter.step else float(f"{value:.4g}")
        return FORMATS[parameter.unit](max(parameter.least, rounded))

    # Checks.

    def _check_checks(self) -> None:
        for number, entry in enumerate(self._document.checks):
            one = chosen(entry)
            if one is None:
                names = [name for name in CHECK_NAMES if getattr(entry, name) is not None]
                found = f"{listing(names)} together" if names else "no check"
                self._refuse(("checks", number), found, f"one of {listing(CHECK_NAMES)}")

    def _refuse(self, here: Path, found: str, allowed: str, near: str = "") -> None:
        self.problems.append(self._source.problem(here, found, allowed, near))


def _everything(plan: Plan) -> Observation:
    """An observation in which whatever can be asked is so of all nodes: to see whether a selector can be right."""
    names = [node.name for node in plan.nodes]
    pairs = frozenset((one, other) for one in names for other in names if one != other)
    return Observation(dict.fromkeys(names, 0), dict.fromkeys(names, 0), pairs)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
