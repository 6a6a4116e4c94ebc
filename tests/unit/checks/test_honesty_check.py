"""Whether nodes say truly that they are in sync, and what it costs others to ask them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from records import BEGUN, Making, found, healthy

from stressnet.engine.run import answers
from stressnet.errors import AgentError

CHECK = "in_sync_honesty"


def says(making: Making, name: str, answer: Callable[[float], bool | None], every: float = 2.0) -> None:
    """Let a node say whether it is in sync, every 2 s."""
    with (making.path / "answers.jsonl").open("a") as file:
        for number in range(int(100 / every) + 1):
            found = answer(number * every)
            if found is not None:
                file.write(
                    json.dumps({"time": BEGUN + number * every, "node": name, "in_sync": found}) + "\n"
                )


def lagging(making: Making, name: str = "us-2", since: float = 60.0, until: float = 1000.0) -> None:
    making.looks[name] = lambda at: {"height": int(2 * since)} if since <= at < until else healthy(at)


def test_who_is_in_step_may_say_so(making: Making) -> None:
    for name in making.looks:
        says(making, name, lambda _: True)
    finding = found(making.made(), CHECK)
    assert (finding.outcome, finding.summary) == ("pass", "3 nodes said truly whether they are in sync")


def test_who_lags_and_says_otherwise_is_named(making: Making) -> None:
    """From when, for how long, and how far behind."""
    lagging(making)
    says(making, "us-2", lambda _: True)
    finding = found(making.made(), CHECK)
    assert (finding.outcome, finding.nodes, finding.at) == ("fail", ("us-2",), BEGUN + 66)
    assert finding.numbers["lies"] == [
        {"node": "us-2", "begun": BEGUN + 66, "ended": BEGUN + 100, "behind": 80}
    ]
    assert finding.summary == "us-2 said to be in sync for 34s from +0:46 on, up to 80 blocks behind"


def test_who_lags_and_says_so_is_honest(making: Making) -> None:
    lagging(making)
    says(making, "us-2", lambda at: at < 62)
    assert found(making.made(), CHECK).outcome == "pass"


def test_who_is_in_step_and_denies_it_is_no_liar(making: Making) -> None:
    says(making, "us-2", lambda _: False)
    assert found(making.made(), CHECK).outcome == "pass"


def test_bounds_are_as_asked(making: Making) -> None:
    lagging(making, until=72.0)
    says(making, "us-2", lambda _: True)
    assert found(making.made(), CHECK).outcome == "pass"
    assert found(making.made(), CHECK, **{"for": "3s"}).outcome == "fail"
    assert found(making.made(), CHECK, lag=3).outcome == "fail"
    assert found(making.made(), CHECK, lag=3, of="us-1,us-3").outcome == "inconclusive"


def test_only_what_fails_is_told_beside_a_failure(making: Making) -> None:
    """What was wrong for a moment is among the numbers."""
    making.looks["us-2"] = lambda at: {"height": 0} if at >= 60 else healthy(at)
    says(making, "us-2", lambda at: at >= 70 or at == 62)
    finding = found(making.made(), CHECK)
    assert (len(finding.lines), len(finding.numbers["lies"])) == (1, 2)


def test_a_true_word_ends_a_lie(making: Making) -> None:
    lagging(making)
    says(making, "us-2", lambda at: at % 6 != 0)
    assert found(making.made(), CHECK).outcome == "pass"


def test_nobody_knows_what_was_said_in_between(making: Making) -> None:
    """Two wrong answers half a minute apart are no lie of half a minute."""
    lagging(making)
    says(making, "us-2", lambda at: True if at in (68, 98) else None)
    assert found(making.made(), CHECK).outcome == "pass"


def test_who_is_cut_off_cannot_know_better(making: Making) -> None:
    """After the heal it can."""
    lagging(making, since=30.0, until=62.0)
    making.cut("us-2", 30.0, 60.0)
    says(making, "us-2", lambda _: True)
    assert found(making.made(), CHECK).outcome == "pass"
    lagging(making, since=30.0, until=70.0)
    assert found(making.made(), CHECK).outcome == "fail"


def test_no_answers_give_no_verdict(making: Making) -> None:
    assert found(making.made(), CHECK).summary == "no node has said whether it is in sync"


def test_a_torn_line_is_passed_over(making: Making) -> None:
    says(making, "us-1", lambda _: True)
    with (making.path / "answers.jsonl").open("a") as file:
        file.write('{"time": 1000050.0, "no')
    assert found(making.made(), CHECK).outcome == "pass"


@pytest.fixture
def loaded(making: Making) -> Making:
    """From second 30 to 40 us-1 is called 200 times; us-2 and us-3 count requests, one in 2 s when nobody calls."""
    making.event(30, "load on", step="ask", nodes=["us-1"], for_s=10)
    making.event(40, "load over", step="ask", calls={"us-1": {"sent": 200, "answered": 200, "failed": {}}})
    says(making, "us-1", lambda _: True)
    return making


def counting(making: Making, per_s: float) -> None:
    for name in ("us-2", "us-3"):
        making.series(name, "asked", lambda at: 0.25 * at + per_s * max(0.0, min(at, 40.0) - 30.0))


def test_calls_that_make_others_work_fail(loaded: Making) -> None:
    """Who had to work is named, and how much for each call; the harness's own questions are calls too."""
    counting(loaded, 10.0)
    finding = found(loaded.made(), CHECK, queries="asked")
    assert (finding.outcome, finding.nodes, finding.at) == ("fail", ("us-2", "us-3"), BEGUN + 30)
    assert finding.summary == "asked rose by 194 with 206 calls of ask: 0.94 a call"
    assert found(loaded.made(), CHECK, queries="asked", per_call=1).outcome == "pass"
    assert found(loaded.made(), CHECK).outcome == "pass"


def test_what_is_usual_is_not_for_the_calls(loaded: Making) -> None:
    counting(loaded, 0.0)
    finding = found(loaded.made(), CHECK, queries="asked", per_call=0.001)
    assert (finding.outcome, finding.numbers["queries_per_call"]) == ("pass", {"ask": 0.0})


@pytest.mark.parametrize(("more", "outcome"), [(8, "pass"), (40, "fail")])
def test_what_chance_adds_is_not_for_the_calls(loaded: Making, more: int, outcome: str) -> None:
    """Of four requests a second some ten more or less come in ten seconds."""
    loaded.series("us-2", "asked", lambda at: 4 * at + (more if at >= 36 else 0), every=1.0)
    assert found(loaded.made(), CHECK, queries="asked", per_call=0.01).outcome == outcome


def test_a_height_that_is_not_told_makes_no_liar(making: Making) -> None:
    """Its last one is of a time in which it may have been in step."""
    making.looks["us-1"] = lambda at: {**(healthy(at) or {}), "height": None} if at > 60 else healthy(at)
    says(making, "us-1", lambda _: True)
    assert found(making.made(), CHECK).outcome == "pass"


def test_a_load_that_was_not_put_on_gives_no_verdict(making: Making) -> None:
    counting(making, 0.0)
    says(making, "us-1", lambda _: True)
    finding = found(making.made(), CHECK, queries="asked")
    assert (finding.outcome, finding.summary) == ("inconclusive", "no load is over, so nothing was asked")


def load(making: Making, step: str, calls: dict[str, Any]) -> None:
    """From second 60 to 70."""
    making.event(60, "load on", step=step, nodes=["us-1"], for_s=10)
    making.event(70, "load over", step=step, calls=calls)


@pytest.mark.parametrize(
    "calls", [{}, {"us-1": {"sent": 200, "answered": 0, "failed": {"connection refused": 200}}}]
)
def test_calls_that_nobody_answered_give_no_verdict(making: Making, calls: dict[str, Any]) -> None:
    """A wrong port, or a node that is down: what an answer takes is not known."""
    load(making, "ask", calls)
    says(making, "us-1", lambda _: True)
    counting(making, 0.0)
    finding = found(making.made(), CHECK, queries="asked")
    assert (finding.outcome, finding.summary) == ("inconclusive", "no call of load ask was answered")


def test_a_load_that_nobody_answered_is_told_beside_one_that_was(loaded: Making) -> None:
    load(loaded, "down", {"us-1": {"sent": 200, "answered": 0, "failed": {"connection refused": 200}}})
    counting(loaded, 1.0)
    finding = found(loaded.made(), CHECK, queries="asked")
    assert finding.outcome == "pass"
    assert [line.endswith("none of the load was answered") for line in finding.lines] == [False, True]


def test_calls_that_failed_count_where_others_were_answered(making: Making) -> None:
    """They may have made others work before they failed."""
    load(making, "ask", {"us-1": {"sent": 200, "answered": 1, "failed": {"": 199}}})
    says(making, "us-2", lambda at: True if at < 60 else None)
    making.series("us-2", "asked", lambda at: max(0.0, min(at, 70.0) - 60.0))
    assert found(making.made(), CHECK, queries="asked").numbers["queries_per_call"] == {"ask": 0.05}


def test_calls_that_nobody_answered_and_that_make_others_work_fail(making: Making) -> None:
    load(making, "ask", {"us-1": {"sent": 200, "answered": 0, "failed": {"TimeoutError": 200}}})
    says(making, "us-1", lambda _: True)
    making.series("us-2", "asked", lambda at: 20 * max(0.0, min(at, 70.0) - 60.0))
    assert found(making.made(), CHECK, queries="asked").outcome == "fail"


def test_a_series_that_nobody_tells_gives_no_verdict(loaded: Making) -> None:
    counting(loaded, 0.0)
    assert "did you mean 'asked'?" in found(loaded.made(), CHECK, queries="aske").summary


def test_a_lie_fails_though_the_rest_is_not_known(making: Making) -> None:
    lagging(making)
    says(making, "us-2", lambda _: True)
    assert found(making.made(), CHECK, queries="asked").outcome == "fail"


def test_only_a_plan_that_asks_it_has_nodes_asked() -> None:
    assert answers.are_wanted([{"name": "x", "check": CHECK, "parameters": {}}])
    assert not answers.are_wanted([{"name": CHECK, "check": "stuck", "parameters": {}}])


def test_answers_are_written_as_they_come(making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not answer is left out, and an agent that is away is asked again."""
    monkeypatch.setattr(answers, "tellers", lambda plan, what: ["us-1", "us-2"])
    monkeypatch.setattr(answers, "_EVERY_S", 0.0)
    turns = 0

    async def ask(_: Any, nodes: Any, what: str) -> dict[str, Any]:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise AgentError("away")
        if turns == 4:
            raise asyncio.CancelledError
        return {"us-1": turns == 2, "us-2": ValueError("no answer")}

    with suppress(asyncio.CancelledError):
        asyncio.run(answers.keep_asking(making.plan, None, making.path, None, ask))  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (making.path / "answers.jsonl").read_text().splitlines()]
    assert [(one["node"], one["in_sync"]) for one in lines] == [("us-1", True), ("us-1", False)]


def test_nodes_that_cannot_be_asked_are_not(making: Making) -> None:
    async def ask(*_: Any) -> dict[str, Any]:
        raise AssertionError

    making.plan = replace(making.plan, nodes=tuple(replace(node, in_sync=None) for node in making.plan.nodes))
    asyncio.run(answers.keep_asking(making.plan, None, making.path, None, ask))  # type: ignore[arg-type]
