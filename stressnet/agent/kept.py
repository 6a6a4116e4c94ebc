"""Faults with what became of them, and the file that has them: the next agent goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stressnet.agent.interposition import Counts
from stressnet.agent.router import Count
from stressnet.faults.fault import Fault

_REMEMBERED = 200
"""Faults that are over and still listed."""

State = Literal["on", "not achieved", "healed", "ended", "failed"]
"""`not achieved`: it is on, and what was measured lies outside the tolerance of its kind. `failed`: it should be on,
and a node does not do it."""
_ON = ("on", "not achieved", "failed")


@dataclass(slots=True)
class Kept:
    """One fault with what became of it; times are Unix seconds, 0 for not yet."""

    fault: Fault
    state: State
    since: float
    until: float = 0.0
    before: Counts = field(default_factory=dict)
    """What its links had counted when it began; nothing once it is over."""
    achieved: dict[str, Any] = field(default_factory=dict)
    hits: int = 0
    """Packets that it dropped, or connections that were opened while it was on."""
    at_heal: dict[str, Any] = field(default_factory=dict)
    """What was there of it when it was about to be taken off, as plain data (see `Presence`)."""
    lease_ends_at: float = 0.0
    """Until then somebody wants it; 0: it has no lease."""

    @classmethod
    def begun(cls, fault: Fault, now: float, counted: Counts, lease_s: float) -> Kept:
        """Return a fault that is on from now; of what links have counted only its own are kept: they are many."""
        before = {link: counted[link] for link in fault.links if link in counted}
        return cls(fault, "on", now, before=before, lease_ends_at=now + lease_s if lease_s else 0.0)

    def is_over(self, state: State, now: float, hits: int = 0) -> None:
        """Note how it ended; nobody asks any more what was before it."""
        self.state, self.until, self.hits, self.before = state, now, hits, {}

    @property
    def on(self) -> bool:
        """Whether it is on, well or not."""
        return self.state in _ON

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        until = self.until or self.fault.ends_at
        now = {"state": self.state, "since": self.since, "until": until, "hits": self.hits}
        now["lease_ends_at"] = self.lease_ends_at
        return {**self.fault.to_raw(), **now, "achieved": self.achieved, "at_heal": self.at_heal}

    def to_file(self) -> dict[str, Any]:
        """Return what the next agent must know: beside all that is told, what its links had counted before."""
        links = [link for link in self.fault.links if self.on and link in self.before]
        before = [[*link, self.before[link].connections, self.before[link].dropped] for link in links]
        return {**self.to_raw(), "before": before}

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> Kept:
        """Read what `to_file` wrote."""
        over = raw["state"] not in _ON
        return cls(
            Fault.from_raw(raw),
            raw["state"],
            float(raw["since"]),
            float(raw["until"]) if over else 0.0,
            before={
                (source, target): Count(connections=connections, dropped=dropped)
                for source, target, connections, dropped in raw.get("before", ())
            },
            achieved=raw["achieved"],
            hits=raw["hits"],
            at_heal=raw.get("at_heal", {}),
            lease_ends_at=float(raw["lease_ends_at"]),
        )

    @property
    def end(self) -> float:
        """When it ends by itself: at its own time, or that of its lease; 0 for never."""
        return min((end for end in (self.fault.ends_at, self.lease_ends_at) if end), default=0.0)

    @property
    def ended_by(self) -> Literal["time", "lease"]:
        """Which of the two was over first: what was asked for, or the wish of whoever asked."""
        return "time" if self.end == self.fault.ends_at else "lease"


def read(path: Path) -> tuple[int, list[Kept]]:
    """Return the number of the next fault, and those that there are; a file that is not there has none."""
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError:
        return 1, []
    return raw["next"], [Kept.from_raw(one) for one in raw["faults"]]


def write(path: Path, following: int, kept: Iterable[Kept]) -> list[Kept]:
    """Write all that are on and the latest of the others, at once or not at all (OSError); return which."""
    found = list(kept)
    over = [one for one in found if not one.on][-_REMEMBERED:]
    left = sorted([*(one for one in found if one.on), *over], key=lambda one: one.fault.number)
    partial = path.with_suffix(".partial")
    # One by one: of a list of all, the encoder makes thousands of pieces before it joins them, at every sign of life.
    faults = ", ".join(json.dumps(one.to_file()) for one in left)
    partial.write_text(f'{{"next": {following}, "faults": [{faults}]}}')
    partial.replace(path)
    return left
