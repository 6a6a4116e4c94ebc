"""A verdict as JUnit XML, as GitLab, Jenkins and GitHub read it: a test case for the run itself and for every check.

The format: https://github.com/testmoapp/junitxml, of which only what all of the three read is used.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from stressnet.checks.expectation import Expectation
from stressnet.checks.registry import CHECKS
from stressnet.checks.verdict import Judgement, Verdict
from stressnet.record.record import Record

_FORBIDDEN = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""All but what XML 1.0 calls a Char; a carriage return too, which every reader would turn into something else."""
_HARNESS = "harness"
_KEYS = ("seed", "backend", "expected", "time_scale")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is said of a run beside its verdict."""

    name: str
    variant: str
    begun_at: float
    """Unix time."""
    seconds: float
    """How long it took."""
    incomplete: str
    """Why it did not come to its end; empty where it did."""
    properties: tuple[tuple[str, str], ...]

    @property
    def suite(self) -> str:
        """The plan and its variant."""
        return f"{self.name}.{self.variant}" if self.variant else self.name


def facts_of(record: Record) -> RunFacts:
    """Return what a record says of its run."""
    run = record.run
    begun = min((float(event["time"]) for event in record.events), default=float(run["begun_at"]))
    said = {**run, "expected": Expectation.from_raw(run["expected"])} if run.get("expected") else run
    properties = [(key, str(said[key])) for key in _KEYS if said.get(key) is not None]
    properties += [(f"version.{name}", str(version)) for name, version in run.get("versions", {}).items()]
    properties += [(f"host.{name}", str(value)) for name, value in run.get("host", {}).items()]
    properties.append(("command", shlex.join(run.get("command", ()))))
    seconds = max(0.0, record.now - begun)
    return RunFacts(run["name"], run["variant"], begun, seconds, record.incomplete, tuple(properties))


def junit(run: RunFacts, verdict: Verdict) -> str:
    """Return the XML. It has failures exactly where the verdict is fail: else what failed is skipped, with the reason.

    The whole time of the run stands at the test case `run`: checks are asked of all of it, and readers add times up.
    """
    cases = [_run_case(run), *(_check_case(run, verdict, one) for one in verdict.judgements)]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "time": f"{run.seconds:.3f}",
    }
    skipped = str(sum(case.find("skipped") is not None for case in cases))
    begun = datetime.fromtimestamp(run.begun_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    root = ElementTree.Element("testsuites", {"name": "stressnet", **counts})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _clean(run.suite), **counts, "skipped": skipped, "timestamp": begun}
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("outcome", verdict.outcome), ("reason", verdict.reason), *run.properties):
        ElementTree.SubElement(properties, "property", {"name": _clean(name), "value": _clean(value)})
    suite.extend(cases)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _run_case(run: RunFacts) -> ElementTree.Element:
    case = _case(run, "run", _HARNESS, run.seconds)
    if run.incomplete:
        _skip(case, f"inconclusive: the run is not complete: {run.incomplete}")
    return case


def _check_case(run: RunFacts, verdict: Verdict, one: Judgement) -> ElementTree.Element:
    always = one.check in CHECKS and CHECKS[one.check].always
    case = _case(run, one.name, _HARNESS if always else "", 0.0)
    finding = one.finding
    if finding.outcome == "fail" and verdict.outcome == "fail":
        failure = {"message": _clean(finding.summary), "type": one.check}
        ElementTree.SubElement(case, "failure", failure).text = _clean(
            "\n".join(finding.lines) or finding.summary
        )
    elif finding.outcome == "fail":
        _skip(case, f"fail: {finding.summary}; it does not count: {verdict.reason}")
    elif finding.outcome == "inconclusive":
        _skip(case, f"inconclusive: {finding.summary}")
    if finding.outcome != "fail" and finding.lines:
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(finding.lines))
    return case


def _case(run: RunFacts, name: str, sort: str, seconds: float) -> ElementTree.Element:
    group = f"{run.suite}.{sort}" if sort else run.suite
    return ElementTree.Element(
        "testcase", {"name": _clean(name), "classname": _clean(group), "time": f"{seconds:.3f}"}
    )


def _skip(case: ElementTree.Element, why: str) -> None:
    ElementTree.SubElement(case, "skipped", {"message": _clean(why)})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)
