"""The random section of a fault plan: what may be drawn, held against the net, and the steps that were drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stressnet.errors import Problem
from stressnet.faultplan.against import Against, written
from stressnet.faultplan.document import Draw, FaultPlan
from stressnet.faultplan.draw import Choice, Drawn, draw
from stressnet.faultplan.timeline import TimelineStep, When
from stressnet.faults.kind import FaultKind
from stressnet.spec.fault import FORMATS, read_parameters, read_value
from stressnet.spec.source import Path
from stressnet.spec.units import QuantityError, format_duration, parse_duration
from stressnet.spec.words import listing, nearest, show

_TO = " to "


class RandomSteps:
    """Draws the steps of one fault plan."""

    def __init__(self, document: FaultPlan, against: Against, seed: int) -> None:
        self._document = document
        self._against = against
        self._seed = seed

    def steps(self) -> Iterator[TimelineStep]:
        """Yield what is drawn; nothing where the document has mistakes."""
        section = self._document.random
        if section is None:
            return
        choices = [one for place, item in enumerate(section.faults) if (one := self._choice(place, item))]
        until = min(section.until or self._document.duration, self._document.duration)
        if section.begin >= until:
            allowed = f"less than {format_duration(until)}"
            self._against.refuse(("random", "begin"), "not before the end", allowed)
        if self._against.problems:
            return
        for number, drawn in enumerate(draw(choices, section.begin, until, section.every, self._seed)):
            yield self._step(number, drawn, section.faults[drawn.place])

    def _choice(self, place: int, one: Draw) -> Choice | None:
        here: Path = ("random", "faults", place)
        kind = self._against.kind(here, one)
        for_s = self._times((*here, "for"), one.for_s)
        if kind is None:
            return None
        self._against.aim(here, kind, self._against.targets(one))
        ranges = [
            (key, *bounds)
            for key, value in (one.model_extra or {}).items()
            if _is_range(value) and (bounds := self._range((*here, key), kind, key, str(value)))
        ]
        lowest = {name: self._formatted(kind, name, least) for name, least, _ in ranges}
        self._check_parameters(here, kind, {**(one.model_extra or {}), **lowest})
        return Choice(place, for_s, tuple(ranges), one.weight) if for_s else None

    def _range(self, here: Path, kind: FaultKind, name: str, text: str) -> tuple[float, float] | None:
        """Return both ends of a range, in SI."""
        parameter = next((item for item in kind.parameters if item.name == name), None)
        if parameter is None:
            names = [item.name for item in kind.parameters]
            found = f"{kind.name} has no parameter {show(name)}"
            self._against.refuse(here, found, listing(names), nearest(name, names))
            return None
        said: list[Problem] = []
        bounds = [read_value(parameter, part.strip(), said) for part in text.split(_TO, 1)]
        for problem in said:
            self._against.refuse(here, problem.found, problem.allowed)
        if said:
            return None
        least, most = (float(one) for one in bounds if one is not None)
        if least > most:
            self._against.refuse(here, show(text), "a range from less to more")
        return least, most

    def _check_parameters(self, here: Path, kind: FaultKind, values: Mapping[str, Any]) -> None:
        texts = {f"{key}={written(value)}": key for key, value in values.items() if not _is_range(value)}
        said: list[Problem] = []
        read_parameters(kind, list(texts), said)
        ranges = [f"{key} is missing" for key in values if key not in texts.values()]
        for problem in said:
            if problem.found in ranges:
                continue  # it is there, and was refused
            place = (*here, texts.get(problem.file, "fault"))
            self._against.refuse(place, problem.found, problem.allowed, problem.nearest)

    def _times(self, here: Path, text: str) -> tuple[float, float] | None:
        """Return the least and the most of a time, in seconds."""
        try:
            bounds = [parse_duration(part.strip()) for part in text.split(_TO, 1)]
        except QuantityError as error:
            self._against.refuse(here, error.found, f"{error.allowed}, or a range as in 2s to 8s")
            return None
        if not 0 < bounds[0] <= bounds[-1]:
            self._against.refuse(here, show(text), "a range from less to more, above 0s")
            return None
        return bounds[0], bounds[-1]

    def _step(self, number: int, one: Drawn, fault: Draw) -> TimelineStep:
        kind = self._against.kinds[fault.fault]
        values = {name: self._formatted(kind, name, value) for name, value in one.values}
        texts = {**{key: written(value) for key, value in (fault.model_extra or {}).items()}, **values}
        return TimelineStep(
            f"random-{number + 1}",
            When(time_s=one.begin_s),
            "fault",
            kind.name,
            tuple(f"{key}={text}" for key, text in texts.items()),
            self._against.targets(fault),
            None if kind.momentary else one.for_s,
            kind.momentary,
            drawn=True,
        )

    def _formatted(self, kind: FaultKind, name: str, value: float) -> str:
        """Write a drawn value with its unit, rounded to what does the fault and to four digits."""
        parameter = next(item for item in kind.parameters if item.name == name)
        rounded = parameter.steps(value) * parameter.step if parameter.step else float(f"{value:.4g}")
        return FORMATS[parameter.unit](max(parameter.least, rounded))


def _is_range(value: Any) -> bool:
    return isinstance(value, str) and _TO in value
