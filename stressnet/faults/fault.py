"""One fault, as it goes from the controller to the agent and into the agent's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing done to named targets for a time."""

    id: str
    """Given by the agent ("f1", "f2", ...); "" before."""
    kind: str
    """A name of `kinds.KINDS`."""
    parameters: Mapping[str, float | bool | str] = field(default_factory=dict)
    """By name, in SI: seconds, bits a second, bytes, shares from 0 to 1. What is not named has its default."""
    links: tuple[tuple[str, str], ...] = ()
    """Directed pairs of node names, for the layers packet and stream: (A, B) is all data that flows from A to B."""
    nodes: tuple[str, ...] = ()
    """For the layers node and protocol."""
    ends_at: float = 0.0
    """Unix time; 0: it holds until it is healed."""
    asked: str = ""
    """In the user's words, for people: "latency --from us --to eu latency=80ms"."""

    @property
    def number(self) -> int:
        """The number in its id: one that came later has a greater one."""
        return int(self.id[1:])

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "parameters": dict(self.parameters),
            "links": [list(link) for link in self.links],
            "nodes": list(self.nodes),
            "ends_at": self.ends_at,
            "asked": self.asked,
        }

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Fault:
        """Read what `to_raw` wrote, whatever else is beside it; ValueError where it is no fault."""
        try:
            return cls(
                id=str(raw["id"]),
                kind=str(raw["kind"]),
                parameters=dict(raw["parameters"]),
                links=tuple((str(source), str(target)) for source, target in raw["links"]),
                nodes=tuple(map(str, raw["nodes"])),
                ends_at=float(raw["ends_at"]),
                asked=str(raw["asked"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no fault: {error!r}") from error
