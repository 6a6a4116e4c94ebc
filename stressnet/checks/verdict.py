"""One word for a run: all findings, and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stressnet.checks.check import Finding, Outcome
from stressnet.checks.registry import CHECKS
from stressnet.record.record import Record

EXIT_CODES: Mapping[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 2}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One check that was asked, and what it found."""

    name: str
    """In the fault plan."""
    check: str
    parameters: Mapping[str, Any]
    """As the fault plan says them."""
    finding: Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run amounts to."""

    outcome: Outcome
    reason: str
    judgements: tuple[Judgement, ...]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 inconclusive."""
        return EXIT_CODES[self.outcome]

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(one.name for one in self.judgements if one.finding.outcome == "fail")

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "checks": [
                {
                    "name": one.name,
                    "check": one.check,
                    "parameters": dict(one.parameters),
                    **one.finding.to_raw(),
                }
                for one in self.judgements
            ],
        }

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Verdict:
        """Read what `to_raw` wrote."""
        found = tuple(
            Judgement(one["name"], one["check"], one["parameters"], Finding.from_raw(one))
            for one in raw["checks"]
        )
        return cls(raw["outcome"], raw["reason"], found)


def judge(record: Record, asked: Sequence[Mapping[str, Any]]) -> Verdict:
    """Ask all checks of a fault plan (name, check, parameters as its file says them), and those of every run."""
    always = [
        {"name": name, "check": name, "parameters": {}} for name, check in CHECKS.items() if check.always
    ]
    found: dict[int, Judgement] = {}
    for place, one in sorted(enumerate((*asked, *always)), key=lambda pair: CHECKS[pair[1]["check"]].last):
        check = CHECKS[one["check"]]
        parameters = check.parameters.model_validate(one["parameters"])
        finding = check.judge(record, parameters)
        found[place] = Judgement(one["name"], check.name, one["parameters"], finding)
    return _weighed(record, [found[place] for place in sorted(found)])


def _weighed(record: Record, found: Sequence[Judgement]) -> Verdict:
    """What is to blame on harness or machine comes first, then what failed, then what is not known."""
    if record.incomplete:
        return Verdict("inconclusive", f"the run is not complete: {record.incomplete}", tuple(found))
    for always, outcome in ((True, "inconclusive"), (False, "fail"), (False, "inconclusive")):
        for one in found:
            if CHECKS[one.check].always is always and one.finding.outcome == outcome:
                return Verdict(outcome, f"{one.name}: {one.finding.summary}", tuple(found))
    asked = [one for one in found if not CHECKS[one.check].always]
    return Verdict(
        "pass", f"all {len(asked)} checks hold" if len(asked) > 1 else found[0].finding.summary, tuple(found)
    )
