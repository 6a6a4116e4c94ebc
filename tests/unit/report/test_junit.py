"""JUnit XML: one case for each check, and failures exactly where the verdict is fail."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.records import STUCK, make_record

from stressnet.checks.check import Finding, Outcome
from stressnet.checks.verdict import Judgement, Verdict, judge
from stressnet.record.record import Record
from stressnet.report.junit import RunFacts, facts_of, junit

FACTS = RunFacts("cut", "bug", 1_700_000_000.0, 62.5, "", (("seed", "7"),))


def judgement(outcome: Outcome, check: str = "stuck", **more: object) -> Judgement:
    return Judgement(check, check, {}, Finding(outcome, f"it is {outcome}", lines=("one", "two"), **more))  # type: ignore[arg-type]


def suite(facts: RunFacts, verdict: Verdict) -> ElementTree.Element:
    found = ElementTree.fromstring(junit(facts, verdict)).find("testsuite")
    assert found is not None
    return found


def case(of: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(one for one in of.iter("testcase") if one.get("name") == name)


def test_what_failed_has_its_message_and_its_lines() -> None:
    """The sort of failure is the check."""
    found = suite(
        FACTS, Verdict("fail", "stuck: it is fail", (judgement("fail"), judgement("pass", "height")))
    )
    failure = case(found, "stuck").find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type"), failure.text) == ("it is fail", "stuck", "one\ntwo")
    assert case(found, "height").find("failure") is None
    assert {key: found.get(key) for key in ("name", "tests", "failures", "skipped", "time", "timestamp")} == {
        "name": "cut.bug", "tests": "3", "failures": "1", "skipped": "0", "time": "62.500",
        "timestamp": "2023-11-14T22:13:20",
    }  # fmt: skip


def test_the_run_and_what_is_asked_of_every_run_are_a_class_of_their_own() -> None:
    """Their failing is not the nodes' fault."""
    found = suite(FACTS, Verdict("pass", "", (judgement("pass"), judgement("pass", "host_healthy"))))
    assert {one.get("name"): one.get("classname") for one in found.iter("testcase")} == {
        "run": "cut.bug.harness",
        "stuck": "cut.bug",
        "host_healthy": "cut.bug.harness",
    }


def test_the_time_of_the_run_is_counted_once() -> None:
    """Readers add up the times of test cases."""
    found = suite(FACTS, Verdict("pass", "", (judgement("pass"), judgement("pass", "height"))))
    assert sum(float(one.get("time", "")) for one in found.iter("testcase")) == 62.5


def test_what_is_inconclusive_is_skipped_with_its_reason() -> None:
    """It is neither good nor bad."""
    found = suite(FACTS, Verdict("inconclusive", "stuck: who knows", (judgement("inconclusive"),)))
    skipped = case(found, "stuck").find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "inconclusive: it is inconclusive"


def test_what_failed_on_a_sick_machine_does_not_count() -> None:
    """The verdict is inconclusive, so nothing fails, and the case says both."""
    judged = (judgement("fail"), judgement("inconclusive", "host_healthy"))
    found = suite(FACTS, Verdict("inconclusive", "host_healthy: the machine is to blame", judged))
    skipped = case(found, "stuck").find("skipped")
    assert skipped is not None
    assert (
        skipped.get("message") == "fail: it is fail; it does not count: host_healthy: the machine is to blame"
    )
    assert (found.get("failures"), found.get("skipped")) == ("0", "2")


@pytest.mark.parametrize(("until", "stuck"), [(62, ()), (62, ("us-1",)), (40, ("us-1",)), (3, ())])
def test_there_are_failures_exactly_where_the_verdict_is_fail(
    until: int, stuck: tuple[str, ...], tmp_path: Path
) -> None:
    """And where all is skipped or passed, something is skipped unless the verdict is pass."""
    record = Record(make_record(tmp_path, until=until, stuck=stuck))
    verdict = judge(record, [STUCK])
    found = suite(facts_of(record), verdict)
    assert (found.get("failures") != "0") == (verdict.outcome == "fail")
    assert (found.get("skipped") != "0") == (verdict.outcome == "inconclusive")


def test_a_run_that_was_killed_is_skipped(tmp_path: Path) -> None:
    """Although no check says anything against it."""
    record = Record(make_record(tmp_path, until=30))
    found = suite(facts_of(record), judge(record, [STUCK]))
    skipped = case(found, "run").find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "inconclusive: the run is not complete: it did not come to its end"


def test_properties_say_what_makes_the_run_again(tmp_path: Path) -> None:
    """Also a seed of zero."""
    path = make_record(tmp_path)
    (path / "run.json").write_text((path / "run.json").read_text().replace('"seed": 7', '"seed": 0'))
    record = Record(path)
    found = suite(facts_of(record), judge(record, [STUCK]))
    properties = {one.get("name"): one.get("value") for one in found.iter("property")}
    assert properties["seed"] == "0"
    assert properties["backend"] == "netns"
    assert properties["version.stressnet"] == "0"
    assert properties["command"] == "stressnet run cut.yaml"
    assert properties["outcome"] == "pass"


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_gives_xml_that_can_be_read(text: str) -> None:
    """What XML may say comes back as it was, in attributes and in texts; the rest is left out."""
    may = "".join(
        one
        for one in text
        if one in "\t\n" or " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one >= "\U00010000"
    )
    failed = Judgement(text, "stuck", {}, Finding("fail", text, lines=("<&]]>", text)))
    written = junit(RunFacts(text, "", 0.0, 0.0, "", ((text, text),)), Verdict("fail", text, (failed,)))
    found = ElementTree.fromstring(written.encode("utf-8")).find("testsuite")
    assert found is not None
    one = found.findall("testcase")[1]
    failure = one.find("failure")
    assert failure is not None
    assert (found.get("name"), one.get("name"), failure.get("message")) == (may, may, may)
    assert failure.text == f"<&]]>\n{may}"
