"""A net must settle once before a round on it says anything; that it no longer does later is for checks to find."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from soaking import MemoryPlace, Trial, small_scenario
from test_soak_rounds import killed_in, rounds

from stressnet.engine.links import LinksStatus
from stressnet.engine.run import phases
from stressnet.engine.run.phases import Before, Limits
from stressnet.engine.run.resume import Progress
from stressnet.engine.run.settle import NotSettled
from stressnet.engine.soak import checkpoint, livenet
from stressnet.engine.soak.livenet import LivePlace
from stressnet.record import runs
from stressnet.record.journal import RunJournal, read_journal


def test_a_net_that_never_settles_makes_no_round_fail(tmp_path: Path) -> None:
    """As in a run of its own, each of them is inconclusive, and so is the soak."""
    trial = Trial(tmp_path, bad=lambda _: "unsettled")
    trial.place.settle_s = 30.0
    amount = trial.run()
    assert amount.outcome == "inconclusive"
    assert {one.outcome for one in rounds(trial)} == {"inconclusive"}
    assert len(rounds(trial)) == 20
    assert not amount.checkpoint.settled


def test_a_net_that_settled_late_is_judged_from_then_on(tmp_path: Path) -> None:
    trial = Trial(tmp_path, bad=lambda number: "" if number == 3 else "unsettled")
    trial.place.settle_s = 30.0
    trial.run()
    assert [one.outcome for one in rounds(trial)][:5] == [
        "inconclusive",
        "inconclusive",
        "pass",
        "fail",
        "fail",
    ]


def test_a_new_net_must_settle_anew(tmp_path: Path) -> None:
    """Before it is made that stands in the checkpoint: after a kill it is found, and must not pass for the old one."""
    stands: list[bool] = []

    class Looking(MemoryPlace):
        async def make(self) -> None:
            stands.append(checkpoint.load(trial.folder).settled)
            await super().make()

    trial = Trial(tmp_path)
    hows = {2: "gone", 3: "unsettled", 5: "unsettled"}
    trial.place = Looking(trial.scenario.plan, bad=lambda number: hows.get(number, ""))
    trial.place.settle_s = 30.0
    trial.run()
    assert [one.outcome for one in rounds(trial)][:5] == [
        "pass",
        "inconclusive",
        "inconclusive",
        "pass",
        "fail",
    ]
    assert stands == [False, False]


@pytest.mark.parametrize(("killed_s", "second"), [(15.0, "inconclusive"), (45.0, "fail")])
def test_whether_a_net_had_settled_is_known_after_a_kill(
    tmp_path: Path, killed_s: float, second: str
) -> None:
    """Killed while it settles, and in the timeline."""
    trial = Trial(tmp_path, bad=lambda number: "unsettled" if number > 1 else "")
    trial.place.settle_s = 30.0
    killed_in(trial, killed_s)
    trial.run()
    assert trial.place.done[:2] == ["calm", "again"]
    assert [one.outcome for one in rounds(trial)][:2] == ["inconclusive", second]


@pytest.mark.parametrize(
    ("fresh", "settled", "timeout_s", "before"),
    [(True, False, 300.0, None), (False, False, 300.0, False), (False, True, 30.0, True)],
)
def test_a_round_on_a_net_that_settled_before_waits_less(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh: bool,
    settled: bool,
    timeout_s: float,
    before: bool | None,
) -> None:
    """And of one that is not fresh only what comes now is in the record, whether it has settled or not."""
    asked: list[Any] = []

    async def live(scenario: Any, *_: Any, before: Before | None, limits: Limits) -> None:
        asked.append((scenario.settling.timeout_s, before and before.settled))

    monkeypatch.setattr(livenet, "live", live)
    monkeypatch.setattr(livenet, "look_at_links", no_links)
    one = small_scenario()
    one = replace(one, settling=replace(one.settling, timeout_s=300.0))
    screen: Any = Silent()
    place = LivePlace(one, screen)
    asyncio.run(place.do(one, tmp_path, Limits(), fresh=fresh, settled=settled))
    assert asked == [(timeout_s, before)]


@pytest.mark.parametrize("before", [None, Before(), Before(settled=True)])
def test_only_a_net_that_settled_before_is_gone_on_with_where_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Before | None
) -> None:
    async def never(*_: Any) -> None:
        raise NotSettled("after 5m us-1 had not reached height 8")

    monkeypatch.setattr(phases, "look_at_links", no_links)
    monkeypatch.setattr(phases, "settle", never)
    scenario = small_scenario()
    timeline: Any = Nothing()
    screen: Any = Silent()
    with closing(RunJournal(tmp_path / runs.JOURNAL)) as journal:
        one = phases._Phases(scenario, timeline, journal, timeline, screen, before)
        work = one.run(Progress(), fresh=True)
        if before and before.settled:
            asyncio.run(work)
        else:
            with pytest.raises(NotSettled):
                asyncio.run(work)
    begun = [event["phase"] for event in read_journal(tmp_path / runs.JOURNAL) if event["event"] == "phase"]
    assert ("baseline" in begun) == bool(before and before.settled)


async def no_links(_: Any) -> LinksStatus:
    """What the agent says of a net without links."""
    return LinksStatus((), "", "", 0, {})


class Nothing:
    """A timeline that does nothing."""

    async def run(self, *_: Any) -> None:
        pass


class Silent:
    """A screen that shows nothing."""

    def phase(self, name: str, seconds: float) -> None:
        pass
