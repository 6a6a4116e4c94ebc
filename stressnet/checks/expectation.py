"""What somebody expects of a run: its verdict, and by which checks it fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from stressnet.checks.check import Outcome


@dataclass(frozen=True, slots=True)
class Expectation:
    """A verdict."""

    outcome: Outcome
    failing: tuple[str, ...] = ()
    """Names of the checks that fail, and no others do; empty: nobody says which."""

    def __str__(self) -> str:
        return f"{self.outcome} by {', '.join(self.failing)}" if self.failing else self.outcome

    def met_by(self, outcome: str, failed: Collection[str]) -> bool:
        """Tell whether a verdict, and the checks that failed, are what was expected."""
        return outcome == self.outcome and (not self.failing or set(failed) == set(self.failing))

    def to_raw(self) -> str | dict[str, Any]:
        """Return it as a fault plan says it."""
        return {self.outcome: list(self.failing)} if self.failing else self.outcome

    @classmethod
    def from_raw(cls, raw: str | Mapping[str, Any]) -> Expectation:
        """Read what `to_raw` returned."""
        if isinstance(raw, str):
            return cls(cast(Outcome, raw))
        ((outcome, failing),) = raw.items()
        return cls(cast(Outcome, outcome), tuple(failing))
