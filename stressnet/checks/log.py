"""How often a pattern is found in what nodes wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stressnet.checks.check import Check, Finding
from stressnet.checks.search import Matches, TooSlow, search
from stressnet.checks.vocabulary import NodeSelector, selected
from stressnet.plan import shorten
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.spec.fields import Model, refuse, whole
from stressnet.spec.words import show


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise refuse(show(value), "a regular expression")
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise refuse(f"{show(value)} is no regular expression: {error}", "one of Python's") from None
    return value


Pattern = Annotated[str, BeforeValidator(_pattern), WithJsonSchema({"type": "string"})]
Count = Annotated[int, BeforeValidator(whole(0, 2**53)), WithJsonSchema({"type": "integer", "minimum": 0})]


class Parameters(Model):
    """So many lines of the logs, of all these nodes together, must match a pattern; without a bound: none."""

    pattern: Pattern = Field(description="Regular expression (Python's), searched line by line.")
    of: NodeSelector = Field(default="all", description="Selector: whose logs; default: all.")
    at_most: Count | None = Field(default=None, description="So many lines at most; 0 without `at_least`.")
    at_least: Count | None = Field(default=None, description="So many lines at least.")

    @model_validator(mode="after")
    def _sense(self) -> Parameters:
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise refuse(f"at_least {self.at_least} above at_most {self.at_most}", "a range")
        return self

    @property
    def most(self) -> int | None:
        """The upper bound; None where there is none."""
        return 0 if self.at_most is None and self.at_least is None else self.at_most


def judge(record: Record, parameters: Parameters) -> Finding:
    """Count the lines that match, in the logs that were collected."""
    if not record.collected:
        return Finding("inconclusive", "the logs are not collected yet")
    names = selected(record, parameters.of)
    files = {name: record.path / runs.LOGS / f"{name}.log" for name in names}
    there = {name: file for name, file in files.items() if file.is_file()}
    try:
        found = dict(zip(there, search(parameters.pattern, list(there.values())), strict=True))
    except (TooSlow, OSError) as error:
        return Finding("inconclusive", str(error))
    return _finding(record, parameters, found, tuple(name for name in names if name not in there))


def _finding(
    record: Record, parameters: Parameters, found: Mapping[str, Matches], lost: tuple[str, ...]
) -> Finding:
    matched = dict(sorted(found.items(), key=lambda one: -one[1].count))
    matched = {name: one for name, one in matched.items() if one.count}
    count = sum(one.count for one in matched.values())
    lines = tuple(f"{name}:{number}: {text}" for name, one in matched.items() for number, text in one.first)
    numbers = {"lines": count, "by_node": {name: one.count for name, one in matched.items()}}
    what = f"{count} {'line matches' if count == 1 else 'lines match'} {parameters.pattern!r}"
    if parameters.most is not None and count > parameters.most:
        wanted = f"at most {parameters.most}" if parameters.most else "none"
        who = tuple(matched)
        return Finding("fail", f"{what} on {shorten(who)}, wanted: {wanted}", who, None, lines, numbers)
    cut = tuple(
        event["node"] for event in record.events if event["event"] == "log cut" and event["node"] in found
    )
    if lost or (cut and (parameters.most is not None or count < (parameters.at_least or 0))):
        why = f"the log of {shorten(lost)} is" if lost else f"the first part of the log of {shorten(cut)} is"
        return Finding(
            "inconclusive", f"{what}, but {why} not in the record", lost or cut, None, lines, numbers
        )
    if count < (parameters.at_least or 0):
        said = f"{what}, wanted: at least {parameters.at_least}"
        return Finding("fail", said, tuple(found), None, lines, numbers)
    return Finding("pass", what, (), None, lines, numbers)


CHECK = Check("log", "so many lines of the logs match a pattern, or none", Parameters, judge)
