"""What grows, or may, in words and in numbers for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stressnet.checks.at_rest import Rest
from stressnet.checks.figures import format_amount, format_rate
from stressnet.checks.growing import Said, Series
from stressnet.checks.trend import LEAST_SAMPLES, WARM_UP, seconds_until_decided, settled, time_to_limit
from stressnet.record.record import Record

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Trended:
    """A series, and what was said of it."""

    record: Record
    series: Series
    said: Said
    asked_limit: float | None
    many_phases: bool

    @property
    def node(self) -> str:
        """Whose it is."""
        return self.series.life.node

    @property
    def begun(self) -> float:
        """Unix time of the first sample."""
        return self.series.points[0][0]

    @property
    def times(self) -> float:
        """How many times as fast as the threshold it grows at least."""
        found = self.series.trend
        return found.low / self.series.threshold if found else 0.0

    @property
    def what(self) -> str:
        """The figure; where several phases are judged, with its phase."""
        noun = self.series.figure.noun
        if self.series.figure.unit == "cores":
            noun = f"CPU time a {'block' if self.series.by_block else 'second'}"
        return f"{noun} in {self.series.part}" if self.many_phases else noun

    @property
    def slope(self) -> str:
        """Its slope with the interval; of CPU, as shares of what it was."""
        found = self.series.trend
        if found is None:
            return "an unknown rate"
        return (
            f"{self._rate(found.slope)} ({self._rate(found.low)} to {self._rate(found.high)}, "
            f"{found.confidence:.0%})"
        )

    @property
    def until(self) -> str:
        """When it reaches the limit, in words."""
        reached, limit = self._reached, self._limit
        if reached is None or limit is None:
            return ""
        soonest, latest = (None if one is None else _about(one) for one in reached)
        by = " or later" if latest is None else f" to {latest}" if latest != soonest else ""
        return f", {format_amount(self.series.figure, limit)} in {soonest}{by}"

    @property
    def line(self) -> str:
        """All that is known of it."""
        who, found = f"{self.node}: {self.what}", self.series.trend
        if found is None:
            count = len(self.series.points)
            return f"{who}: {count} samples of it are too few to tell growth{self._longer}"
        ends = f", from {self._level(self.series.points[0][1])} to {self._level(found.level)}"
        if self.said == "growth":
            return f"{who} {rises(self.what)} by {self.slope}{ends}{self.until}"
        if self.series.works_more:
            return f"{who} {rises(self.what)} by {self.slope}, but the node got more peers meanwhile{ends}"
        least = self._rate(self.series.threshold)
        may = "may" if found.slope > self.series.threshold else "may not"
        return f"{who} {may} grow by {least}: {self.slope}{self._longer}"

    @property
    def step(self) -> str:
        """What it did once, where growth would have had to be so fast; else nothing."""
        found, step = self.series.trend, self.series.step
        if found is None or step is None or step.begin is None:
            return ""
        if step.size <= self.series.threshold * found.span_s:
            return ""
        said = "and came back" if step.form == "spike" else "and stayed there"
        return f"{self.node}: {self.what} rose by {self._level(step.size)} at {self.record.clock(step.begin)} {said}"

    @property
    def numbers(self) -> dict[str, Any]:
        """For programs."""
        found, reached = self.series.trend, self._reached
        return {
            "node": self.node,
            "figure": self.series.figure.name,
            "phase": self.series.part,
            "starts": self.series.life.starts,
            "said": self.said,
            "samples": len(self.series.points),
            "slope_per_s": [found.slope, found.low, found.high] if found else None,
            "confidence": found.confidence if found else None,
            "threshold_per_s": self.series.threshold,
            "by_block": self.series.by_block,
            "seconds_to_limit": list(reached) if reached else None,
        }

    def _rate(self, per_s: float) -> str:
        return format_rate(self.series.figure, per_s / self.series.usual)

    def _level(self, value: float) -> str:
        return f"{1000 * value:.3g} ms" if self.series.by_block else format_amount(self.series.figure, value)

    @property
    def _limit(self) -> float | None:
        figure = self.series.figure.name
        if figure == "memory" and self.asked_limit is None:
            return self.record.plan.node(self.node).memory or None
        return None if self.series.by_block else self.asked_limit

    @property
    def _reached(self) -> tuple[float, float | None] | None:
        found, limit = self.series.trend, self._limit
        return time_to_limit(found, limit) if found is not None and limit is not None else None

    @property
    def _longer(self) -> str:
        more = self._needs_s
        return f"; {self.series.part} must be {_about(more)} longer" if more else ""

    @property
    def _needs_s(self) -> float | None:
        found, points = self.series.trend, self.series.points
        if found is not None:
            return seconds_until_decided(found, self.series.threshold)
        if len(points) < 2:
            return None
        pace = (points[-1][0] - points[0][0]) / (len(points) - 1)
        return max(1.0, (LEAST_SAMPLES - len(settled(points))) * pace / (1 - WARM_UP))


def rises(what: str) -> str:
    """Return the verb that a figure takes."""
    return "grow" if _many(what) else "grows"


def _many(what: str) -> bool:
    return what.partition(" in ")[0].endswith(("s", "ies"))


def _about(seconds: float) -> str:
    """Write a time with two digits: an estimate has no more."""
    unit = next((unit for unit in ("d", "h", "m") if seconds >= 2 * _SECONDS[unit]), "s")
    return f"{float(f'{seconds / _SECONDS[unit]:.2g}'):g}{unit}"


def left(one: Rest) -> str:
    """Say what is left at rest."""
    peers = "" if one.allowed == one.before else f", {one.allowed:.4g} for as many peers as now"
    return (
        f"{one.node}: {one.more:.4g} {one.figure.noun} more at rest than before: at least {one.after:.4g} after all "
        f"faults, at most {one.before:.4g} in the baseline{peers}"
    )


def left_numbers(one: Rest) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "node": one.node,
        "figure": one.figure.name,
        "before": one.before,
        "after": one.after,
        "allowed": None if one.allowed == float("inf") else one.allowed + one.tolerance,
        "leaked": one.leaked,
    }
