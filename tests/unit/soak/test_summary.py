"""What a soak amounts to, how nodes changed over it, and how that is said."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from soaking import BEGUN, MemoryPlace, Trial, sample_rows, small_plan

from stressnet.checks import registry, verdict
from stressnet.checks.check import Check, Finding, Nothing, Outcome
from stressnet.checks.verdict import Verdict
from stressnet.engine.recheck import recheck
from stressnet.engine.run.stages import Asked, write_down
from stressnet.engine.soak import night as nights
from stressnet.engine.soak.amount import Amount, last_good_night, weigh
from stressnet.engine.soak.checkpoint import Checkpoint
from stressnet.engine.soak.figures import changes
from stressnet.engine.soak.folder import NIGHT, SUMMARY, new_soak
from stressnet.engine.soak.order import write_order
from stressnet.engine.soak.rounds import Failure, Round, Tally
from stressnet.engine.soak.summary import span, summary
from stressnet.record.record import Record
from stressnet.record.rows import NodeSample
from stressnet.record.samples import Samples, read


def tally_of(*outcomes: str) -> Tally:
    """`cut` is a round that was cut short."""
    found = Tally()
    for number, outcome in enumerate(outcomes, 1):
        kind = "inconclusive" if outcome == "cut" else outcome
        one = Round(number, number, 1, BEGUN, BEGUN + 60, 60.0 * number, kind, "why", outcome == "cut")
        found = found.with_round(one)
    return found


@pytest.mark.parametrize(
    ("outcomes", "ended", "outcome"),
    [
        (["pass"] * 3, "time", "pass"),
        (["pass"] * 3, "interrupted", "inconclusive"),
        (["pass", "fail", "pass"], "time", "fail"),
        (["pass", "fail", "cut"], "interrupted", "fail"),
        (["pass"] * 9 + ["inconclusive"], "time", "pass"),
        (["pass"] * 8 + ["inconclusive"] * 2, "time", "inconclusive"),
        (["pass", "cut", "cut", "cut"], "time", "pass"),
        (["cut"], "time", "inconclusive"),
        ([], "time", "inconclusive"),
    ],
)
def test_a_soak_amounts_to_its_rounds(outcomes: list[str], ended: str, outcome: str) -> None:
    """A failure stands; a tenth may say nothing; what was cut short does not count."""
    assert weigh(Checkpoint(tally=tally_of(*outcomes), ended=ended), None)[0] == outcome


@pytest.mark.parametrize(
    ("outcomes", "ended", "of_the_night", "outcome"),
    [
        (["pass"] * 3, "time", "pass", "pass"),
        (["pass"] * 3, "time", "inconclusive", "inconclusive"),
        (["pass"] * 3, "time", "fail", "fail"),
        (["pass"] * 3, "interrupted", "fail", "fail"),
        (["pass", "fail"], "time", "inconclusive", "fail"),
        (["cut"], "time", "pass", "inconclusive"),
    ],
)
def test_a_soak_amounts_to_its_night_as_a_whole_too(
    outcomes: list[str], ended: str, of_the_night: Outcome, outcome: str
) -> None:
    """It can fail, or say nothing, where no round did; but not pass where none did."""
    night = Verdict(of_the_night, "growth: why", ())
    found, reason = weigh(Checkpoint(tally=tally_of(*outcomes), ended=ended), night)
    assert found == outcome
    assert ("growth: why" in reason) == (of_the_night == outcome != "pass")


def test_a_tally_is_read_as_it_was_written() -> None:
    tally = tally_of("pass", "fail", "inconclusive", "cut")
    assert Tally.from_raw(tally.to_raw()) == tally


def test_a_failure_of_a_whole_net_names_the_first_and_the_last_of_its_nodes(tmp_path: Path) -> None:
    failure = Failure("stuck", tuple(f"us-{number}" for number in range(1, 101)), None, "", "it halted")
    first = Round(1, 1, 1, BEGUN, BEGUN + 60, 60.0, "fail", "why", failure=failure)
    amount = Amount("fail", "why", Checkpoint(tally=Tally().with_round(first)), {}, None)
    facts = {"name": "small", "variant": "", "for_s": 60.0, "begun_at": BEGUN, "seed": 7, "backend": "netns"}
    facts["command"] = ["stressnet"]
    assert "check `stuck` on `us-1` … `us-100`: it halted." in summary(tmp_path, facts, amount, None)


def a_night(folder: Path, grown_mib: float) -> Record:
    """Ten hours in which memory grows, descriptors double, and one node starts again."""
    trial = Trial(folder)
    path = trial.folder / NIGHT
    path.mkdir()
    write_down(path, trial.scenario, Asked(folder, ("stressnet",)))
    rows: list[Any] = []
    for row in sample_rows(small_plan(), 0.0, 36_000.0, 601, 10):
        if isinstance(row, NodeSample):
            share = row.monotonic / 36_000.0
            late = row.node == "us-2" and share > 0.5
            rows.append(
                replace(
                    row,
                    rss_bytes=int((20 + grown_mib * share) * 2**20),
                    fds=10 if share < 0.5 else 20,
                    cpu_s=row.monotonic * (0.1 if share < 0.5 else 0.2),
                    starts=2 if late else 1,
                    pid=43 if late else 42,
                )
            )
        else:
            rows.append(row)
    with closing(Samples(path / "samples.db", "net")) as samples:
        samples.write(
            rows,
            [(row.at, row.node, streams_of(row.node), row.fds - 6.0) for row in rows if hasattr(row, "fds")],
        )
    return Record(path)


def streams_of(node: str) -> str:
    """Return the series that counts its streams."""
    return small_plan().node(node).series["streams"] + '{sort="x"}'


def test_begin_and_end_of_a_night_are_told_apart(tmp_path: Path) -> None:
    """Medians over half an hour at each end; CPU by how fast the counter rises there."""
    found = changes(a_night(tmp_path, 40.0))["us-1"]
    assert found.begin.rss_bytes == pytest.approx(21 * 2**20, rel=0.02)
    assert found.end.rss_bytes == pytest.approx(59 * 2**20, rel=0.02)
    assert (found.begin.fds, found.end.fds) == (10, 20)
    assert (found.begin.cpu, found.end.cpu) == (pytest.approx(0.1), pytest.approx(0.2))
    assert (found.begin.streams, found.end.streams) == (4, 14)


def test_a_node_that_started_again_is_counted(tmp_path: Path) -> None:
    found = changes(a_night(tmp_path, 0.0))
    assert {name: change.restarts for name, change in found.items()} == {"us-1": 0, "us-2": 1}


def test_the_night_has_one_look_a_minute_without_the_first_round_in_what_changed(tmp_path: Path) -> None:
    """Rounds of a minute with many looks each; short nights are looked at closer."""
    trial = Trial(tmp_path)
    trial.for_s = 5 * 3600.0
    trial.scenario = trial.scenario_of(600.0)
    trial.place.row_count = 100
    trial.run()
    looks = [row.at for row in read(trial.folder / NIGHT / "samples.db", NodeSample) if row.node == "us-1"]
    assert len(looks) == pytest.approx(300, abs=3)
    assert len({at // 60 for at in looks}) == len(looks)
    record = Record(trial.folder / NIGHT)
    assert record.over
    assert record.phases["timeline"].begun == pytest.approx(BEGUN + 600.0, abs=1.0)


def test_a_night_that_grows_too_long_is_looked_at_less(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.place.row_count = 50
    trial.run()
    night = nights.Night(trial.folder, trial.scenario, trial.for_s)
    file = trial.folder / NIGHT / "samples.db"
    before = len(list(read(file, NodeSample)))
    every_s = [night.coarsen() for _ in range(5)]
    assert every_s[1] == 2 * every_s[0]
    assert len(list(read(file, NodeSample))) < before / 3


def test_a_summary_is_compared_with_the_last_night_that_passed(tmp_path: Path) -> None:
    """Not with one that failed after it, nor with one of another variant."""
    good = Trial(tmp_path)
    good.run()
    bad = another(tmp_path, BEGUN + 1e5, lambda number: "fail")
    bad.run()
    other = another(tmp_path, BEGUN + 2e5, variant="other")
    other.run()
    now = another(tmp_path, BEGUN + 3e5)
    found = last_good_night(now.folder)
    assert found is not None
    assert (found.path, found.rounds) == (good.folder, 10)
    now.run()
    text = (now.folder / SUMMARY).read_text()
    assert f"the end of the last good night, `{good.folder.name}` (10 rounds; here 10)" in text
    assert "| `us-1` | 20.0 MiB → 20.0 MiB (20.0 MiB) |" in text
    assert "No earlier soak" in (good.folder / SUMMARY).read_text()


def another(root: Path, begun_at: float, bad: Any = lambda _: "", variant: str = "") -> Trial:
    trial = Trial(root, bad=bad)
    trial.scenario = replace(trial.scenario, variant=variant)
    trial.folder = new_soak(root, "small", begun_at)
    write_order(trial.folder, trial.order, "", begun_at)
    return trial


def test_a_check_of_nights_is_asked_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes each round and fails the night, and so does the soak."""

    def judge(record: Record, _: Nothing) -> Finding:
        night = record.path.name == NIGHT
        return Finding("fail" if night else "pass", f"{len(record.nodes['us-1'])} looks")

    slow = Check("slow", "", Nothing, judge, nightly=True)
    checks = MappingProxyType({**registry.CHECKS, "slow": slow})
    for module in (nights, verdict):
        monkeypatch.setattr(module, "CHECKS", checks)
    trial = Trial(tmp_path)
    trial.scenario = replace(trial.scenario, checks=({"name": "leak", "check": "slow", "parameters": {}},))
    amount = trial.run()
    assert amount.checkpoint.tally.counts["pass"] == 10
    assert amount.outcome == "fail"
    assert "The night as a whole: fail: leak: " in (trial.folder / SUMMARY).read_text()


def test_the_record_of_a_night_asks_what_makes_sense_of_a_night(tmp_path: Path) -> None:
    """Not the checks of rounds, which it could only be inconclusive about; and its command is that of the soak."""
    trial = Trial(tmp_path)
    trial.run()
    night = Record(trial.folder / NIGHT)
    assert night.run["checks"] == []
    assert night.run["command"] == ["stressnet", "soak", "small.yaml", "--seed", "7", "--for", "10m"]
    assert recheck(night).outcome == "pass"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59.4, "59s"),
        (60, "1m"),
        (90, "1m 30s"),
        (3600, "1h"),
        (3690, "1h 01m"),
        (28800, "8h"),
        (360000, "100h"),
    ],
)
def test_how_long_is_said_in_two_units_at_most(seconds: float, words: str) -> None:
    """Not as decimal fractions: nobody reads 1.35m as 81 seconds."""
    assert span(seconds) == words


def test_a_summary_says_first_what_matters(tmp_path: Path) -> None:
    """The heading alone is the verdict; while it goes on it says so."""
    trial = Trial(tmp_path)
    seen: list[str] = []

    class Looking(MemoryPlace):
        async def find(self) -> bool:
            if self.steps == 5:
                seen.append((trial.folder / SUMMARY).read_text())
            return await super().find()

    trial.place = Looking(trial.scenario.plan)
    trial.run()
    assert seen[0].startswith("## Soak of small: in progress\n")
    assert (trial.folder / SUMMARY).read_text().startswith("## Soak of small: PASS\n")
