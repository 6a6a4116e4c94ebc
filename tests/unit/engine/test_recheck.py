"""A record is judged again, by its own checks or by those of a changed fault plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.records import BEGUN, STUCK, make_record, verdict_of

from stressnet.engine.recheck import checks_from, recheck, set_aside_verdict, write_verdict
from stressnet.errors import InputError, UsageError
from stressnet.record.record import Record

PLAN = """\
topology: nowhere.yaml
duration: 10s
timeline: [{at: 1s, fault: pause, on: nobody}]
checks:
  - height: {reaches: 30, of: %s}
variants:
  fixed: {expect: pass}
  bug: {checks: [stuck, {stuck: {window: 20s}}], expect: fail}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "changed.yaml"
    file.write_text(PLAN % "us")
    return file


def test_the_record_asks_its_own_checks(tmp_path: Path) -> None:
    """As run.json has them."""
    record = Record(make_record(tmp_path, stuck=["us-2"]))
    verdict = recheck(record)
    assert verdict.outcome == "fail"
    assert verdict.judgements[0].name == "stuck"
    assert verdict.judgements[0].finding.nodes == ("us-2",)


def test_only_the_checks_of_a_plan_are_taken(plan: Path, tmp_path: Path) -> None:
    """Its topology need not be there, and nothing of its timeline need be possible."""
    record = Record(make_record(tmp_path, variant="fixed"))
    checks = checks_from(plan, record)
    assert checks == ({"name": "height", "check": "height", "parameters": {"reaches": 30, "of": "us"}},)
    assert recheck(record, checks).outcome == "pass"


def test_the_variant_is_that_of_the_record_unless_one_is_named(plan: Path, tmp_path: Path) -> None:
    """A check that is asked twice has two names."""
    record = Record(make_record(tmp_path))
    assert [one["name"] for one in checks_from(plan, record)] == ["stuck", "stuck-2"]
    assert [one["name"] for one in checks_from(plan, record, "fixed")] == ["height"]
    other = Record(make_record(tmp_path, variant="third"))
    assert [one["name"] for one in checks_from(plan, other)] == ["height"]


def test_checks_are_held_against_the_net_of_the_record(plan: Path, tmp_path: Path) -> None:
    """Whom a check is about must be there; the mistake has its place."""
    plan.write_text(PLAN % "boo")
    with pytest.raises(InputError) as refused:
        checks_from(plan, Record(make_record(tmp_path)), "fixed")
    assert [(one.line, one.path, one.nearest) for one in refused.value.problems] == [
        (5, "checks.0.height.of", "boot")
    ]


@pytest.mark.parametrize("check", [{**STUCK, "check": "gone"}, {**STUCK, "parameters": {"window": "soon"}}])
def test_a_check_that_this_version_does_not_know_is_refused(check: dict[str, object], tmp_path: Path) -> None:
    """With the version that made the record."""
    with pytest.raises(UsageError, match="'stuck' in a way that this version does not know") as refused:
        recheck(Record(make_record(tmp_path, checks=[check])))
    assert "stressnet 0" in refused.value.hints[0]


@pytest.mark.parametrize("until", [1, 2, 4, 10, 40, 60])
def test_what_kill_9_leaves_is_inconclusive(until: int, tmp_path: Path) -> None:
    """At whatever moment, also with half a line in the journal; the checks say what they see."""
    path = make_record(tmp_path, until=until, stuck=["us-1"])
    with (path / "journal.jsonl").open("a") as journal:
        journal.write('{"time": 1700000050.0, "event": "phase", "pha')
    verdict = recheck(Record(path))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "the run is not complete: it did not come to its end"
    assert verdict.judgements[0].finding.outcome == ("fail" if until >= 40 else "pass")


def test_a_run_of_which_nothing_was_sampled_is_inconclusive(tmp_path: Path) -> None:
    """The net had not come up."""
    path = make_record(tmp_path, until=1)
    (path / "samples.db").unlink()
    assert recheck(Record(path)).outcome == "inconclusive"


def test_the_earlier_verdict_is_kept(tmp_path: Path) -> None:
    """Under the time at which it was set aside; where there is none, nothing is."""
    path = make_record(tmp_path)
    record = Record(path)
    assert set_aside_verdict(path, BEGUN) is None
    write_verdict(record, recheck(record))
    kept = set_aside_verdict(path, BEGUN)
    assert kept == path / "verdict-20231114T221320Z.json"
    write_verdict(record, recheck(record, [{**STUCK, "name": "other"}]))
    assert '"stuck"' in kept.read_text()
    assert verdict_of(path)["checks"][0]["name"] == "other"
    assert 'name="other"' in (path / "junit.xml").read_text()
