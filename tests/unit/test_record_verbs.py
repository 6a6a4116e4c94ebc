"""The verbs around records: what they print, what they write, and with which exit code."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from unit.records import BEGUN, make_record, verdict_of

from stressnet.checks.check import Finding
from stressnet.checks.verdict import Judgement, Verdict
from stressnet.cli import group
from stressnet.cli.verdict_text import print_verdict
from stressnet.engine.recheck import recheck, write_verdict
from stressnet.engine.soak.folder import SOAK, STATE, locked, new_soak, round_folder
from stressnet.errors import InputError, UsageError
from stressnet.faultplan.read import is_fault_plan
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.resources import folder, topology

EXAMPLE = folder("faults") / "stuck-after-cut.yaml"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(group, [str(word) for word in words])


@pytest.mark.parametrize(
    ("facts", "code", "word"),
    [({}, 0, "PASS"), ({"stuck": ["us-1"]}, 1, "FAIL"), ({"until": 30}, 2, "INCONCLUSIVE")],
    ids=["pass", "fail", "killed"],
)
def test_check_exits_as_the_verdict_is(
    facts: dict[str, object], code: int, word: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    """The latest record of a plan is found by the plan's name, and left as it is."""
    path = make_record(tmp_path / "runs", **facts)  # type: ignore[arg-type]
    before = sorted(path.iterdir())
    done = run("check", "cut")
    assert done.exit_code == code
    assert f"\n{word}  cut · bug" in done.output
    assert sorted(path.iterdir()) == before


def test_check_as_json_is_the_verdict(run: Callable[..., Result], tmp_path: Path) -> None:
    """As `run --json` prints it."""
    path = make_record(tmp_path / "elsewhere", stuck=["us-1"])
    done = run("check", path, "--json")
    facts = json.loads(done.stdout)
    assert (facts["outcome"], facts["checks"][0]["nodes"]) == ("fail", ["us-1"])
    assert facts["run"] == "elsewhere/cut/" + path.name


def test_check_writes_only_where_asked_and_by_other_checks(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    """What was there is kept beside."""
    path = make_record(tmp_path / "runs")
    write_verdict(Record(path), recheck(Record(path)))
    plan = tmp_path / "plan.yaml"
    plan.write_text("topology: t.yaml\nduration: 1s\nchecks: [{height: {reaches: 1000000}}]\n")
    assert run("check", "cut", "--plan", plan).exit_code == 1
    assert verdict_of(path)["outcome"] == "pass"
    assert run("check", "cut", "--plan", plan, "--write").exit_code == 1
    assert verdict_of(path)["outcome"] == "fail"
    assert [json.loads(file.read_text())["outcome"] for file in path.glob("verdict-*.json")] == ["pass"]
    assert verdict_of(path)["reason"] in html.unescape((path / "report.html").read_text())


def test_programs_of_other_checks_lie_beside_their_plan(run: Callable[..., Result], tmp_path: Path) -> None:
    """And not beside that of the record."""
    make_record(tmp_path / "runs", more=[{"time": BEGUN + 61, "event": "collected"}])
    (tmp_path / "other").mkdir()
    program = tmp_path / "other" / "own"
    program.write_text("#!/bin/sh\necho it is so\n")
    program.chmod(0o755)
    plan = tmp_path / "other" / "plan.yaml"
    plan.write_text("topology: t.yaml\nduration: 1s\nchecks: [{command: {run: [./own]}}]\n")
    assert "it is so" in run("check", "cut", "--plan", plan).output


def test_a_variant_is_of_a_plan(run: Callable[..., Result]) -> None:
    """Without one it would be passed over in silence."""
    assert "without it the record's own checks are asked" in run("check", "cut", "--variant", "bug").output


def test_an_archive_is_judged_anywhere_and_never_written_to(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    """By its file alone: the record is gone."""
    path = make_record(tmp_path / "runs", stuck=["us-1"])
    done = run("archive", "cut", "--json")
    file = json.loads(done.stdout)["file"]
    assert file == "cut-20231114T221320Z.tar.gz"
    path.rename(tmp_path / "gone")
    judged = run("check", file)
    assert judged.exit_code == 1
    assert f"record   {file}\n" in judged.output
    size = (tmp_path / file).stat().st_size
    assert "an archive is only read" in run("check", file, "--write").output
    assert (tmp_path / file).stat().st_size == size == json.loads(done.stdout)["bytes"]


def test_an_archive_is_not_a_part_of_itself(run: Callable[..., Result], tmp_path: Path) -> None:
    """It would grow while it is written."""
    path = make_record(tmp_path / "runs")
    done = run("archive", "cut", "--out", path / "a.tar.gz")
    assert isinstance(done.exception, UsageError)
    assert not (path / "a.tar.gz").exists()


def test_records_are_listed_the_newest_first(run: Callable[..., Result], tmp_path: Path) -> None:
    """Of all plans; one that was killed has neither an outcome nor a duration."""
    for path in (
        make_record(tmp_path / "runs"),
        make_record(tmp_path / "runs", name="leak", begun=BEGUN + 9),
    ):
        write_verdict(Record(path), recheck(Record(path)))
    make_record(tmp_path / "runs", begun=BEGUN + 5, until=30)
    listed = json.loads(run("ls", "--runs", "--json").stdout)
    assert [(one["plan"], one["outcome"], one["duration_s"]) for one in listed] == [
        ("leak", "pass", 60.0),
        ("cut", "", None),
        ("cut", "pass", 60.0),
    ]
    assert all(one["bytes"] > 10_000 for one in listed)
    lines = run("ls", "--runs").stdout.splitlines()
    assert lines[0].split() == ["PLAN", "VARIANT", "WHEN", "OUTCOME", "DURATION", "SIZE", "RECORD"]
    assert [line.split()[0] for line in lines[1:]] == ["leak", "cut", "cut"]
    assert "there are no records in elsewhere" in run("ls", "--runs", "--out", "elsewhere").stdout


def make_soak(
    root: Path, begun: float = BEGUN, first_failure: int = 0, ended: str = "time", **facts: Any
) -> Path:
    """Return the folder of a soak of two rounds as one leaves it, each round with a record."""
    path = new_soak(root, "cut", begun)
    runs.write_json(
        path / SOAK, {"name": "cut", "variant": "bug", "begun_at": begun, "for_s": 7200.0, **facts}
    )
    counts = {"pass": 1 if first_failure else 2, "fail": 1 if first_failure else 0, "inconclusive": 0}
    runs.write_json(path / STATE, {"soaked_s": 3700.0, "ended": ended, "tally": {"counts": counts}})
    failure = {"number": first_failure} if first_failure else None
    outcome = "fail" if first_failure else "pass" if ended == "time" else "inconclusive"
    runs.write_json(path / runs.VERDICT, {"outcome": outcome, "first_failure": failure})
    for number in (1, 2):
        record = make_record(root / "elsewhere", begun=begun + number)
        record.rename(round_folder(path, number))
    runs.point(path / runs.LATEST, "rounds/2")
    return path


def test_a_soak_is_one_line_among_the_records(run: Callable[..., Result], tmp_path: Path) -> None:
    """With how long it went on of how long it was to, and its rounds, which have no lines of their own."""
    make_record(tmp_path / "runs", begun=BEGUN + 5)
    make_soak(tmp_path / "runs", first_failure=2)
    titles, *lines = run("ls", "--runs").stdout.splitlines()
    assert titles.split()[4:6] == ["DURATION", "ROUNDS"]
    assert [line.split()[0] for line in lines] == ["cut", "cut"]
    assert re.search(
        r" fail +1h01m of 2h00m +2: 1 fail +[0-9.]+KiB +runs/cut/soak-20231114T221320Z$", lines[1]
    )
    first, second = json.loads(run("ls", "--runs", "--json").stdout)
    assert (first["is"], second["is"]) == ("run", "soak")
    assert second["rounds"] == {"pass": 1, "fail": 1, "inconclusive": 0}
    assert (second["outcome"], second["standing"], second["duration_s"]) == ("fail", "finished", 3700.0)


def test_a_soak_that_goes_on_has_no_outcome_yet(run: Callable[..., Result], tmp_path: Path) -> None:
    """But for one that has failed, which stands; of one that nobody does it is said that it is unfinished."""
    path = make_soak(tmp_path / "runs", ended="")
    assert " unfinished " in run("ls", "--runs").stdout
    with locked(path):
        assert " in progress " in run("ls", "--runs").stdout
        assert json.loads(run("ls", "--runs", "--json").stdout)[0]["outcome"] == ""
        runs.write_json(path / runs.VERDICT, {"outcome": "fail"})
        assert " fail, in progress " in run("ls", "--runs").stdout


@pytest.mark.parametrize("verb", ["check", "report", "archive"])
@pytest.mark.parametrize("said", ["cut", "runs/cut", "runs/cut/latest-soak"])
def test_of_a_soak_it_must_be_said_which_record(
    verb: str, said: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    """Its latest round is not what whoever names a night means; the error names what there is."""
    make_soak(tmp_path / "runs", first_failure=1)
    error = run(verb, said).exception
    assert isinstance(error, UsageError)
    assert "is a soak" in str(error)
    named = [hint.rpartition(": ")[2] for hint in error.hints]
    ours = "runs/cut/latest-soak"
    assert named == [f"{ours}/rounds/1", f"{ours}/latest", f"{ours}/summary.md"]
    assert run("check", named[0]).exit_code == 0


def test_an_archive_of_a_round_is_called_by_its_soak(run: Callable[..., Result], tmp_path: Path) -> None:
    """Rounds of all soaks have the same few numbers."""
    make_soak(tmp_path / "runs")
    assert run("archive", "runs/cut/latest-soak/latest").exit_code == 0
    assert run("check", "cut-soak-20231114T221320Z-2.tar.gz").exit_code == 0


def test_a_page_has_all_the_evidence(run: Callable[..., Result], tmp_path: Path) -> None:
    """Texts themselves; of packets, which no browser shows, where they lie."""
    path = make_record(tmp_path / "runs", stuck=["us-1"])
    (path / "evidence").mkdir(exist_ok=True)
    (path / "evidence" / "stuck-us-1-log.txt").write_text("asked for 128 blocks")
    (path / "evidence" / "stuck-us-1.pcap").write_bytes(bytes(2048))
    assert run("report", "cut").exit_code == 0
    page = (path / "report.html").read_text()
    assert "asked for 128 blocks" in page
    assert "2KiB in evidence/stuck-us-1.pcap of the record, for tcpdump or Wireshark" in page


@pytest.mark.parametrize("archived", [False, True], ids=["record", "archive"])
def test_report_writes_a_page_and_junit(archived: bool, run: Callable[..., Result], tmp_path: Path) -> None:
    """Into the record, or of an archive into this folder."""
    path = make_record(tmp_path / "runs", stuck=["us-1"])
    name = "cut-20231114T221320Z"
    if archived:
        run("archive", "cut")
    done = run("report", f"{name}.tar.gz" if archived else "cut", "--json")
    assert done.exit_code == 0, done.exception
    page, junit = (tmp_path / f"{name}.html", tmp_path / f"{name}.xml") if archived else (
        path / "report.html",
        path / "junit.xml",
    )  # fmt: skip
    assert "us-1 is stuck" in page.read_text()
    assert ElementTree.parse(junit).getroot().get("failures") == "1"


def test_a_report_is_two_files(run: Callable[..., Result], tmp_path: Path) -> None:
    """A page with the name of the other would lie on top of it."""
    make_record(tmp_path / "runs")
    refused = run("report", "cut", "--out", "r.xml")
    assert refused.exit_code
    assert "r.xml is where the JUnit XML goes" in refused.output
    assert not (tmp_path / "r.xml").exists()
    assert run("report", "cut", "--out", "r.html").exit_code == 0
    assert ElementTree.parse(tmp_path / "r.xml").getroot().tag == "testsuites"
    assert (tmp_path / "r.html").read_text().startswith("<!")


def test_validate_takes_fault_plans_with_all_variants(run: Callable[..., Result]) -> None:
    """It says what is in them."""
    done = run("validate", EXAMPLE)
    words = r": ok, 2 variants, \d+ nodes, \d+ steps?, \d+ checks?\n"
    assert re.fullmatch(re.escape(str(EXAMPLE)) + words, done.stdout)
    facts = json.loads(run("validate", EXAMPLE, "--json").stdout)
    assert [(one["name"], one["expect"]) for one in facts["variants"]] == [
        ("bug", {"fail": ["stuck", "recovery"]}),
        ("fixed", "pass"),
    ]


def test_validate_counts_what_differs_between_variants(run: Callable[..., Result], tmp_path: Path) -> None:
    """From the least to the most."""
    (tmp_path / "t.yaml").write_text("name: t\nnodes: {a: {kind: syncnode, count: 3}}\n")
    plan = "topology: t.yaml\nduration: 9s\nchecks: [stuck]\n"
    (tmp_path / "plain.yaml").write_text(plan)
    assert run("validate", "plain.yaml").stdout == "plain.yaml: ok, 3 nodes, 0 steps, 1 check\n"
    variants = "variants: {few: {expect: pass}, many: {set: {nodes.a.count: 5}, expect: pass}}\n"
    (tmp_path / "both.yaml").write_text(plan + variants)
    assert run("validate", "both.yaml").stdout == (
        "both.yaml: ok, 2 variants, 3 to 5 nodes, 0 steps, 1 check\n"
    )


def test_validate_asks_no_machine_for_the_program_of_relays(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault on streams is right also where Toxiproxy is not installed."""
    monkeypatch.setattr("stressnet.images.relay.find", lambda: None)
    (tmp_path / "t.yaml").write_text("name: t\nnodes: {a: {kind: syncnode, count: 2}}\n")
    (tmp_path / "p.yaml").write_text(
        "topology: t.yaml\nduration: 9s\nchecks: [stuck]\n"
        "timeline: [{at: 1s, fault: stall, from: a-1, to: a-2}]\n"
    )
    assert run("validate", "p.yaml").exit_code == 0


def test_validate_lists_the_mistakes_of_a_fault_plan(run: Callable[..., Result], tmp_path: Path) -> None:
    """Those of its checks, its timeline, and its topology; a plan that asks nothing is no topology."""
    (tmp_path / "t.yaml").write_text("name: t\nnodes: {a: {kind: syncnode, count: 2}}\n")
    plan = tmp_path / "p.yaml"
    plan.write_text(
        "topology: t.yaml\nduration: 9s\nchecks: [{height: {reaches: 3, of: b}}]\n"
        "timeline: [{at: 1s, fault: puase, on: a-1}]\n"
    )
    problems = json.loads(run("validate", plan, "--json").stdout)["problems"]
    assert [(one["line"], one["path"]) for one in problems] == [
        (3, "checks.0.height.of"),
        (4, "timeline.0.fault"),
    ]
    plan.write_text("topology: t.yaml\nduration: 9s\n")
    refused = run("validate", plan)
    assert isinstance(refused.exception, InputError)
    assert "checks" in refused.exception.message


def test_topologies_are_no_fault_plans() -> None:
    """Each file of ours is taken for what it is."""
    assert is_fault_plan(EXAMPLE)
    assert not any(is_fault_plan(file) for file in folder("topologies").glob("*.yaml"))
    assert topology("quickstart").exists()


def test_the_schema_of_fault_plans_has_the_checks(run: Callable[..., Result]) -> None:
    """And every reference in it leads somewhere."""
    body = json.loads(run("schema", "faults").stdout)
    assert {"topology", "timeline", "checks", "variants"} <= body["properties"].keys()
    assert "stuck" in body["$defs"]["Check"]["properties"]


def test_a_share_has_its_unit(run: Callable[..., Result]) -> None:
    """As everywhere."""
    done = run("prove", EXAMPLE, "--at-least", "95")
    assert "95 has no unit" in done.output


def test_prove_refuses_a_variant_that_is_not_there(run: Callable[..., Result], tmp_path: Path) -> None:
    """Before anything runs, and without a trace."""
    done = run("prove", EXAMPLE, "--variant", "bgu", "--backend", "netns")
    assert isinstance(done.exception, InputError)
    assert "did you mean 'bug'" in done.exception.message
    assert list(tmp_path.iterdir()) == []


def test_a_verdict_names_the_page_of_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is one, and it is of this verdict."""
    path = make_record(tmp_path / "runs", stuck=["us-1"])
    verdict = recheck(Record(path))
    print_verdict(path, verdict)
    assert "report " not in capsys.readouterr().out
    (path / "report.html").write_text("<p>")
    print_verdict(path, verdict)
    assert re.search(r"^report   \S+report.html$", capsys.readouterr().out, re.MULTILINE)
    print_verdict(path, verdict, name="an archive")
    assert "report " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variant", "expected", "said"),
    [
        ("bug", "fail", "expected fail: as this variant should"),
        ("bug", {"fail": ["stuck"]}, "expected fail: as this variant should"),
        ("bug", "pass", "expected fail: it should pass"),
        ("bug", {"fail": ["spike"]}, "expected fail: it should fail by spike"),
        ("", "pass", ""),
    ],
)
def test_a_verdict_says_whether_its_variant_should_give_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], variant: str, expected: object, said: str
) -> None:
    """A bug that fails is what a variant may be there to show; a plan without variants shows nothing but itself."""
    path = make_record(tmp_path / "runs", stuck=["us-1"])
    facts = {**json.loads((path / "run.json").read_text()), "variant": variant, "expected": expected}
    (path / "run.json").write_text(json.dumps(facts))
    print_verdict(path, recheck(Record(path)))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("expected ")]
    assert lines == ([said] if said else [])


def test_a_particular_that_is_the_summary_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the table of checks, where the one stands below the other."""
    path = make_record(tmp_path / "runs")
    finding = Finding(
        "inconclusive", "the machine is to blame: it was full", (), None, ("it was full", "too old")
    )
    print_verdict(
        path, Verdict("inconclusive", "", (Judgement("host_healthy", "host_healthy", {}, finding),))
    )
    said = capsys.readouterr().out
    assert said.count("it was full") == 1
    assert "too old" in said
