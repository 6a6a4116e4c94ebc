"""The folder of a soak never takes more than was said, and what tells least goes first."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from soaking import MemoryPlace, Trial

from stressnet.engine.run.phases import Limits
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.soak import thin
from stressnet.engine.soak.budget import LEAST, Budget
from stressnet.engine.soak.folder import LINES, SUMMARY, kept_rounds, new_round, round_folder
from stressnet.engine.soak.rounds import read_rounds
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.record.samples import NodeSample, read


class Measured(MemoryPlace):
    """Measures the folder after each round, by a program that is not ours."""

    most = 0

    async def do(self, scenario: Scenario, path: Path, limits: Limits, *, fresh: bool, settled: bool) -> None:
        self.measure(path)
        await super().do(scenario, path, limits, fresh=fresh, settled=settled)
        self.measure(path)

    def measure(self, path: Path) -> None:
        said = subprocess.run(["du", "-sB1", path.parent.parent], capture_output=True, text=True, check=True)
        self.most = max(self.most, int(said.stdout.split()[0]))


def measured(trial: Trial, rows: int, log_bytes: int, bad: str = "") -> Measured:
    trial.place = place = Measured(trial.scenario.plan, bad=lambda number: bad if number > 1 else "")
    place.row_count, place.log_bytes = rows, log_bytes
    return place


@pytest.mark.parametrize(("bad", "rows", "count"), [("", 300, 45), ("fail", 1500, 15)])
def test_the_budget_is_never_passed(tmp_path: Path, bad: str, rows: int, count: int) -> None:
    """Whether rounds pass or fail; as many are kept as there is room for."""
    trial = Trial(tmp_path)
    trial.budget, trial.for_s = LEAST, count * 60.0
    place = measured(trial, rows=rows, log_bytes=1 << 20, bad=bad)
    amount = trial.run()
    assert amount.checkpoint.tally.total == count
    assert LEAST // 2 < place.most <= LEAST
    assert 2 < len(kept_rounds(trial.folder)) < count
    assert len(list(read_rounds(trial.folder / LINES))) == count


def test_the_first_failure_is_kept_whole_and_so_are_the_latest(tmp_path: Path) -> None:
    """Those between are thinned, passed rounds too; all of them are records still."""
    trial = Trial(tmp_path)
    failing = (2, 4, 5, 7, 8)
    trial.place = MemoryPlace(trial.scenario.plan, bad=lambda number: "fail" if number in failing else "")
    trial.place.row_count, trial.place.log_bytes = 100, 1000
    trial.run()
    assert kept_rounds(trial.folder) == list(range(1, 11))
    whole = [number for number in range(1, 11) if thin.is_whole(round_folder(trial.folder, number))]
    assert whole == [2, 5, 7, 8]
    for number in range(1, 11):
        path = round_folder(trial.folder, number)
        looks = len(Record(path).nodes["us-1"])
        assert looks == (100 if number in whole else pytest.approx(13, abs=1))
        assert (path / runs.VERDICT).exists()


def test_without_any_room_verdicts_are_kept_and_that_is_said(tmp_path: Path) -> None:
    """A round that is larger than the budget is judged without samples; the soak goes on."""
    trial = Trial(tmp_path)
    trial.budget = LEAST
    place = measured(trial, rows=3, log_bytes=0)
    place.claim = LEAST
    amount = trial.run()
    assert place.most <= LEAST
    assert amount.checkpoint.tally.total == 10
    assert amount.outcome == "inconclusive"
    assert any("verdicts only are kept" in note for note in amount.checkpoint.notes)
    assert "verdicts only are kept" in (trial.folder / SUMMARY).read_text()


def test_a_link_takes_no_more_than_itself(tmp_path: Path) -> None:
    """`latest` names the round that is being done, which counts once."""
    trial = Trial(tmp_path)
    budget = Budget(trial.folder, 32 << 20, lambda: 0.0)
    for number in (1, 2):
        budget.begin(number)
        path = new_round(trial.folder, number)
        (path / runs.LOGS / "us-1.log").write_bytes(b"x" * (1 << 20 if number == 1 else 15 << 20))
        if number == 1:
            budget.settle(1, 0)
    assert (trial.folder / runs.LATEST).resolve() == path
    assert thin.size(trial.folder / runs.LATEST) < 4096
    assert budget.room(5 << 20)
    assert kept_rounds(trial.folder) == [1, 2]


@pytest.mark.parametrize("begun", [True, False])
def test_a_round_that_is_settled_again_counts_once(tmp_path: Path, begun: bool) -> None:
    """A close that failed behind it is done again, also of a round that another process began."""
    trial = Trial(tmp_path)
    budget = Budget(trial.folder, 32 << 20, lambda: 0.0)
    if begun:
        budget.begin(1)
    logs = new_round(trial.folder, 1) / runs.LOGS
    (logs / "us-1.log").write_bytes(b"x" * (10 << 20))
    for _ in range(3):
        budget.settle(1, 1)
    assert budget.room(17 << 20)
    assert thin.is_whole(round_folder(trial.folder, 1))


def test_what_could_be_changed_in_part_only_counts_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a round that is thinned the logs may be gone before something fails."""
    trial = Trial(tmp_path)
    budget = Budget(trial.folder, 32 << 20, lambda: 0.0)
    for number in (1, 2):
        (new_round(trial.folder, number) / runs.LOGS / "us-1.log").write_bytes(b"x" * (10 << 20))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(thin, "thin_samples", fail)
    with pytest.raises(OSError, match="No space"):
        budget.settle(1, 2)
    assert budget.room(17 << 20)
    assert [thin.is_whole(round_folder(trial.folder, number)) for number in (1, 2)] == [False, True]


def test_while_somebody_has_the_folder_to_himself_nobody_makes_room(tmp_path: Path) -> None:
    """Also not where a round begins or is over."""
    trial = Trial(tmp_path)
    new_round(trial.folder, 1)
    budget = Budget(trial.folder, LEAST, lambda: 0.0)
    for ask in (lambda: budget.room(0), lambda: budget.begin(1), lambda: budget.settle(1, 0)):
        done = threading.Event()
        asking = threading.Thread(target=lambda ask=ask, done=done: (ask(), done.set()))
        with budget.alone():
            asking.start()
            assert not done.wait(0.1)
        asking.join(5)
        assert done.is_set()


def test_a_thinned_file_keeps_the_close_looks(tmp_path: Path) -> None:
    """Of each span the look that found out most."""
    from dataclasses import replace

    from stressnet.record.samples import Samples, Thinned

    row = NodeSample(0.0, 0.0, "a", "ready", 1, 1)
    samples = Samples(tmp_path / "all.db", "net")
    rows = [replace(row, at=at, pss_bytes=7 if at == 3 else None) for at in (0.0, 2.0, 3.0, 4.0, 6.0, 9.0)]
    samples.write(rows, [(at, "a", f'{name}{{l="{at}"}}', at) for at in (1.0, 2.0) for name in ("x", "xy")])
    samples.close()
    fewer = Samples(tmp_path / "fewer.db", "net")
    fewer.absorb(tmp_path / "all.db", Thinned(5.0, series=frozenset({"x"})))
    fewer.close()
    assert [one.at for one in read(tmp_path / "fewer.db", NodeSample)] == [3.0, 9.0]
    from stressnet.record.samples import read_metrics

    assert [series for _, _, series, _ in read_metrics(tmp_path / "fewer.db")] == ['x{l="1.0"}', 'x{l="2.0"}']


def test_lines_of_rounds_that_failed_outlive_those_of_rounds_that_passed(tmp_path: Path) -> None:
    """Half of what passed goes, the older half."""
    trial = Trial(tmp_path, bad=lambda number: "fail" if number == 1 else "")
    trial.run()
    thin.trim_lines(trial.folder / LINES)
    assert [one.number for one in read_rounds(trial.folder / LINES)] == [1, 7, 8, 9, 10]
