"""What was there of a fault when it was about to be taken off: one look at what is in place, without any probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST = 8
"""Words that are kept; a fault may be on thousands of links."""

NO_ANSWER = "there was no answer in time"
"""What is `unseen` where a look took longer than a heal may wait."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What one look has found of a fault."""

    missing: Sequence[str] = ()
    """What was not there, in words: "a > b: no rule"."""
    unseen: Sequence[str] = ()
    """What could not be looked at, and why."""

    @property
    def there(self) -> bool | None:
        """Whether all of it was there; None where nothing was missing and not all could be looked at."""
        return False if self.missing else None if self.unseen else True

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"there": self.there, "missing": _some(self.missing), "unseen": _some(self.unseen)}

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Presence | None:
        """Read it from whatever else is beside it; None where nobody looked."""
        return cls(tuple(raw["missing"]), tuple(raw["unseen"])) if "there" in raw else None


def _some(words: Sequence[str]) -> list[str]:
    return [*words[:_MOST], *([f"and {len(words) - _MOST} more"] if len(words) > _MOST else [])]
