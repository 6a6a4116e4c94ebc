"""Many runs of a plan: their order, how they are counted, and what they say together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from stressnet.checks.expectation import Expectation
from stressnet.engine.prove import Done, Ended, Proof, Prover, Tally, Turn
from stressnet.engine.room import Room
from stressnet.errors import StageError

FAIL, PASS = Expectation("fail"), Expectation("pass")
EXPECTED = {"bug": FAIL, "fixed": PASS}


def done(turn: Turn, outcome: Ended = "pass") -> Done:
    error = StageError("it did not come up") if outcome == "error" else None
    return Done(turn, outcome, "because", 1.0, error=error)


def proof(**outcomes: str) -> Proof:
    """A proof with runs as in `bug="ffi"`: fail, fail, inconclusive."""
    words: dict[str, Ended] = {"p": "pass", "f": "fail", "i": "inconclusive", "e": "error"}
    tallies = {
        name: Tally(name, EXPECTED[name], [done(Turn(name, 1), words[letter]) for letter in letters])
        for name, letters in outcomes.items()
    }
    return Proof(tallies, 0.95)


def test_variants_are_run_in_turn() -> None:
    """A machine that becomes busy meanwhile is bad for all of them alike."""
    turns: list[Turn] = []

    async def do(turn: Turn) -> Done:
        turns.append(turn)
        return done(turn)

    asyncio.run(Prover(EXPECTED, 2, do).run())
    assert turns == [Turn("bug", 1), Turn("fixed", 1), Turn("bug", 2), Turn("fixed", 2)]


def test_so_many_go_on_at_once_and_never_more() -> None:
    """Three are begun before the first is over."""
    going = 0
    most = 0

    async def do(turn: Turn) -> Done:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0)
        going -= 1
        return done(turn)

    found = asyncio.run(Prover(EXPECTED, 5, do).run(at_once=3))
    assert most == 3
    assert [len(tally.done) for tally in found.tallies.values()] == [5, 5]


class SomeRoom(Room):
    """A machine with two CPUs, and looks at them that take no time."""

    def __init__(self, *idle: bool) -> None:
        super().__init__()
        self._cpus = 2
        self._idle = list(idle)

    async def is_idle(self) -> bool:
        """As it was told, then for ever."""
        for _ in range(3):
            await asyncio.sleep(0)
        return self._idle.pop(0) if self._idle else True


def test_a_run_begins_beside_others_when_there_is_room() -> None:
    """The first waits for nobody, nor does one when none goes on any more that it could disturb."""
    going: list[int] = []

    async def do(turn: Turn) -> Done:
        going.append(turn.number)
        for _ in range(12):
            await asyncio.sleep(0)
        told.append(list(going))
        going.remove(turn.number)
        return done(turn)

    told: list[list[int]] = []
    room = SomeRoom(False, True)
    room.learn("bug", [0.7])
    asyncio.run(Prover({"bug": FAIL}, 3, do, room=room).run(at_once=3))
    assert told[0] == [1, 2]
    told.clear()
    asyncio.run(Prover({"bug": FAIL}, 3, do, room=SomeRoom(*[False] * 99)).run(at_once=3))
    assert told == [[1], [2], [3]]


def test_more_runs_go_on_at_once_when_it_is_known_what_they_need() -> None:
    """Alone at first; and what spins goes beside few, while others overtake it."""
    going: list[str] = []
    seen: list[Counter[str]] = []
    needs = {"spin": 0.9, "calm": 0.3}

    async def do(turn: Turn) -> Done:
        going.append(turn.variant)
        for _ in range(60):
            await asyncio.sleep(0)
        seen.append(Counter(going))
        going.remove(turn.variant)
        return replace(done(turn), busy=[needs[turn.variant]])

    found = asyncio.run(Prover({"spin": FAIL, "calm": PASS}, 12, do, room=SomeRoom()).run(at_once=32))
    assert [len(tally.done) for tally in found.tallies.values()] == [12, 12]
    assert seen[0].total() == 1
    known = seen[4:]
    assert max(one["spin"] for one in known) == 1
    assert max(one["calm"] for one in known if one["spin"]) == 2
    seen.clear()
    asyncio.run(Prover({"calm": PASS}, 24, do, room=SomeRoom()).run(at_once=32))
    assert (seen[0].total(), max(one["calm"] for one in seen)) == (1, 5)


@pytest.mark.parametrize(
    ("found", "answer", "code"),
    [
        (proof(bug="f" * 20, fixed="p" * 20), "proven", 0),
        (proof(bug="f" * 19 + "p", fixed="p" * 19 + "i"), "proven", 0),
        (proof(bug="f" * 18 + "pp", fixed="p" * 20), "not proven", 1),
        (proof(bug="f" * 18 + "pi", fixed="p" * 20), "not proven", 1),
        (proof(bug="f" * 18 + "ie", fixed="p" * 20), "unclear", 2),
        (proof(bug="f" * 18 + "ii", fixed="p" * 19 + "f"), "unclear", 2),
        (proof(bug="i", fixed="f"), "not proven", 1),
        (proof(bug="f", fixed=""), "unclear", 2),
    ],
    ids=[
        "all",
        "19 of 20",
        "two opposite",
        "one opposite",
        "not known",
        "one variant is not known",
        "both",
        "none",
    ],
)
def test_the_answer_is_of_the_variants_that_fall_short(found: Proof, answer: str, code: int) -> None:
    """The opposite of what was expected weighs more than what is not known, in a variant that falls short."""
    assert (found.answer, found.exit_code) == (answer, code)


def test_pass_where_nothing_should_be_known_is_the_opposite() -> None:
    """A variant may expect to be inconclusive."""
    tally = Tally("blind", Expectation("inconclusive"), [done(Turn("blind", 1), "pass")])
    assert Proof({"blind": tally}, 0.95).answer == "not proven"


@pytest.mark.parametrize(
    ("failed", "as_expected", "answer"),
    [
        (("spike",), 1, "proven"),
        (("growth",), 0, "not proven"),
        (("spike", "growth"), 0, "not proven"),
    ],
)
def test_a_fail_by_other_checks_is_the_opposite(failed: Sequence[str], as_expected: int, answer: str) -> None:
    """What should be a spike, and no growth, is not shown by growth."""
    one = replace(done(Turn("bug", 1), "fail"), failed=failed)
    tally = Tally("bug", Expectation("fail", ("spike",)), [one])
    assert (tally.as_expected, Proof({"bug": tally}, 0.95).answer) == (as_expected, answer)
    raw = tally.to_raw()
    assert raw["expected"] == {"fail": ["spike"]}
    assert raw["otherwise"] == ({} if as_expected else {f"fail by {', '.join(failed)}": 1})


def test_a_tally_says_how_sure_it_is() -> None:
    """Wilson's interval: of 20 of 20 it begins at 83.9 %."""
    raw = proof(bug="f" * 20).tallies["bug"].to_raw()
    assert (raw["as_expected"], raw["runs"], round(raw["low"], 3), raw["high"]) == (20, 20, 0.839, 1.0)
    assert (raw["outcomes"], raw["others"]) == ({"fail": 20}, [])


def test_what_went_otherwise_is_listed_with_its_reason() -> None:
    """One by one."""
    raw = proof(bug="fpi").tallies["bug"].to_raw()
    assert [(one["outcome"], one["reason"]) for one in raw["others"]] == [
        ("pass", "because"),
        ("inconclusive", "because"),
    ]


def interrupted(outcomes: Sequence[str]) -> tuple[Proof, list[str]]:
    """Interrupt the second of all runs; return the proof, and what that run did afterwards."""
    said: list[str] = []

    async def do(turn: Turn) -> Done:
        if turn != Turn("fixed", 1):
            return done(turn, "fail")
        begun.set()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it takes its net down
            said.append("undone")
            if "raises" in outcomes:
                raise
        return done(turn, "inconclusive")

    async def main() -> Proof:
        task = asyncio.create_task(Prover(EXPECTED, 3, do).run())
        await begun.wait()
        task.cancel()
        return await task

    begun = asyncio.Event()
    return asyncio.run(main()), said


@pytest.mark.parametrize("how", ["raises", "returns"])
def test_an_interruption_undoes_the_run_that_goes_on_and_begins_no_other(how: str) -> None:
    """Whether a run passes the interruption on, or comes to an orderly end by itself: it is not counted."""
    found, said = interrupted([how])
    assert said == ["undone"]
    assert found.interrupted
    assert [len(tally.done) for tally in found.tallies.values()] == [1, 0]
    assert found.exit_code == 2


def test_a_net_that_does_not_come_up_at_first_ends_it_all() -> None:
    """What is wrong with the machine is wrong for every run."""

    async def do(turn: Turn) -> Done:
        return done(turn, "error")

    with pytest.raises(StageError, match="it did not come up"):
        asyncio.run(Prover(EXPECTED, 20, do).run())


def test_a_net_that_does_not_come_up_later_is_one_run_without_a_verdict() -> None:
    """The others are done all the same, and whoever listens hears of each."""
    heard: list[Ended] = []

    async def do(turn: Turn) -> Done:
        return done(turn, "error" if turn == Turn("fixed", 1) else "fail")

    prover = Prover(EXPECTED, 2, do, told=lambda one: heard.append(one.outcome))
    found = asyncio.run(prover.run())
    assert heard == ["fail", "error", "fail", "fail"]
    assert [one.outcome for one in found.tallies["fixed"].done] == ["error", "fail"]
