"""All variants of a fault plan, run again and again: how often each gives the verdict that it should give."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from stressnet.checks.expectation import Expectation
from stressnet.checks.measures import MEASURES
from stressnet.checks.proportion import wilson
from stressnet.engine.room import Room
from stressnet.errors import StressnetError

Ended = Literal["pass", "fail", "inconclusive", "error"]
"""What a run gave; error: there is no verdict, because the net did not come up."""
Answer = Literal["proven", "not proven", "unclear"]
EXIT_CODES: Mapping[Answer, int] = {"proven": 0, "not proven": 1, "unclear": 2}
CONFIDENCE = 0.95
_UNCLEAR = ("inconclusive", "error")


@dataclass(frozen=True, slots=True)
class Turn:
    """One run that is to be done: the number of it among those of its variant, from 1 on."""

    variant: str
    number: int


@dataclass(frozen=True, slots=True)
class Done:
    """One run that is over."""

    turn: Turn
    outcome: Ended
    reason: str
    seconds: float
    failed: Sequence[str] = ()
    """Names of the checks that failed."""
    record: Path | None = None
    """None: it was removed, or never made."""
    error: StressnetError | None = None
    """Why there is no verdict."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What it took, by the names of `checks.measures.MEASURES`."""
    busy: Sequence[float] = ()
    """How many CPUs it used in each `checks.measures.BUSY_S` since its begin; empty where nobody knows."""


@dataclass(slots=True)
class Tally:
    """The runs of one variant so far."""

    variant: str
    expected: Expectation
    done: list[Done] = field(default_factory=list)

    @property
    def as_expected(self) -> int:
        """How many gave the verdict that was expected, by the checks that were."""
        return len(self.done) - len(self.others)

    @property
    def others(self) -> Sequence[Done]:
        """The runs that gave something else, in the order in which they were over."""
        return [one for one in self.done if not self.expected.met_by(one.outcome, one.failed)]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the probability that a run gives what is expected (Wilson)."""
        return wilson(self.as_expected, len(self.done), CONFIDENCE)

    def reaches(self, share: float) -> bool:
        """Tell whether at least this share was as expected."""
        return bool(self.done) and self.as_expected >= share * len(self.done) - 1e-9

    @property
    def opposed(self) -> bool:
        """Whether a run gave a verdict that is the opposite of what was expected, or failed by other checks."""
        return any(one.outcome not in _UNCLEAR for one in self.others)

    @property
    def otherwise(self) -> Mapping[str, int]:
        """How many of the others ended how, the most first; what failed by other checks is called so."""
        return dict(Counter(map(self.word, self.others)).most_common())

    def word(self, done: Done) -> str:
        """Return how a run ended that went otherwise."""
        same = done.outcome == self.expected.outcome
        return f"{done.outcome} by {', '.join(done.failed)}" if same else done.outcome

    def spread(self, measure: str) -> tuple[float, float, float] | None:
        """Return least, median and most of what the runs took; None where none knows."""
        values = sorted(one.measures[measure] for one in self.done if measure in one.measures)
        return (values[0], median(values), values[-1]) if values else None

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON; records are named by their folders, which lie beside that of the proof."""
        low, high = self.interval
        return {
            "variant": self.variant,
            "expected": self.expected.to_raw(),
            "runs": len(self.done),
            "as_expected": self.as_expected,
            "low": low,
            "high": high,
            "outcomes": dict(Counter(one.outcome for one in self.done)),
            "otherwise": dict(self.otherwise),
            "measures": {name: list(found) for name in MEASURES if (found := self.spread(name))},
            "others": [
                {
                    "number": one.turn.number,
                    "outcome": one.outcome,
                    "reason": one.reason,
                    "seconds": round(one.seconds, 3),
                    "record": one.record.name if one.record else None,
                }
                for one in self.others
            ],
        }


@dataclass(slots=True)
class Proof:
    """What all runs together say."""

    tallies: Mapping[str, Tally]
    share: float
    """Of each variant's runs so many must be as expected."""
    interrupted: bool = False

    @property
    def answer(self) -> Answer:
        """proven, not proven (a variant did the opposite too often), or unclear (nobody knows often enough)."""
        short = [one for one in self.tallies.values() if not one.reaches(self.share)]
        if self.interrupted:
            return "unclear"
        if not short:
            return "proven"
        return "not proven" if any(one.opposed for one in short) else "unclear"

    @property
    def exit_code(self) -> int:
        """0 proven, 1 not proven, 2 unclear."""
        return EXIT_CODES[self.answer]


class Prover:
    """Does all runs of a proof, the variants in turn, some at once."""

    def __init__(
        self,
        expected: Mapping[str, Expectation],
        runs: int,
        do: Callable[[Turn], Awaitable[Done]],
        *,
        share: float = 0.95,
        told: Callable[[Done], None] = lambda done: None,
        room: Room | None = None,
    ) -> None:
        """`expected`: what each variant should give. `do` does one run. `told` hears of each that is over.

        With `room` a run begins beside others only where there is some, and one that needs much lets others go first.
        """
        self.proof = Proof({name: Tally(name, verdict) for name, verdict in expected.items()}, share)
        self._turns = deque(Turn(name, number + 1) for number in range(runs) for name in expected)
        self._do = do
        self._told = told
        self._room = room
        self._going: dict[Turn, float] = {}
        """The runs that go on, and when they began, by the loop's clock."""
        self._door = asyncio.Lock()

    async def run(self, at_once: int = 1) -> Proof:
        """Do all runs; where it is cancelled, wait until those that go on are undone, and return what there is.

        Raises the error of the first run of all: what keeps it from coming up keeps the others too.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._work())
        except asyncio.CancelledError:
            self.proof.interrupted = True
        except ExceptionGroup as errors:
            raise _first(errors) from None
        return self.proof

    async def _work(self) -> None:
        while turn := await self._next():
            try:
                done = await self._do(turn)
            finally:
                del self._going[turn]
            if self._cancelled():
                return  # a run that is interrupted comes to an orderly end, but its verdict says nothing
            if done.error and not any(tally.done for tally in self.proof.tallies.values()):
                raise done.error
            if self._room and done.busy:
                self._room.learn(turn.variant, done.busy)
            self.proof.tallies[done.turn.variant].done.append(done)
            self._told(done)

    async def _next(self) -> Turn | None:
        """Return the run that begins now; None where all have begun."""
        async with self._door:
            while self._turns:
                if turn := await self._fitting():
                    self._turns.remove(turn)
                    self._going[turn] = asyncio.get_running_loop().time()
                    return turn
            return None

    async def _fitting(self) -> Turn | None:
        """Return the first run that there is room for beside those that go on; None where there is none just now."""
        room = self._room
        if room and self._going and not await room.is_idle():
            return None
        if not room or not self._going:
            return self._turns[0]
        now = asyncio.get_running_loop().time()
        going = [(turn.variant, now - begun) for turn, begun in self._going.items()]
        return next((turn for turn in self._turns if room.fits(going, turn.variant)), None)

    def _cancelled(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


def _first(errors: BaseException) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors
