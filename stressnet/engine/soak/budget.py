"""A soak's folder never takes more of the disk than was said: what tells least goes first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from stressnet.engine.soak import thin
from stressnet.engine.soak.folder import LINES, NIGHT, ROUNDS, kept_rounds, round_folder
from stressnet.record import runs

LEAST = 4 << 20
"""Bytes. Below it not even what was asked and one round have room."""
_RESERVE = 1 / 8
"""Share that is kept free for what is written without asking: journals and verdicts."""
_AIR = 0.9
"""Where something has to go, it is as much as leaves the folder at this share of what it may hold."""
_LOGS = 1 / 16
"""Share that the logs of one round may take."""
_LATEST = {"fail": 3, "inconclusive": 1}
"""How many of the latest rounds that did not pass are kept whole, beside the first that failed."""
_COARSEST_S = 3600.0

Coarsen = Callable[[], float]
"""Make the samples of the night coarser; return the seconds between two looks then."""


class Budget:
    """Watches over one soak's folder."""

    def __init__(self, folder: Path, limit: int, coarsen: Coarsen) -> None:
        self._folder = folder
        self._may = int(limit * (1 - _RESERVE))
        self._limit = limit
        self._coarsen = coarsen
        self._current = 0
        """The round that is being done; 0: none."""
        self._first = 0
        """The first that failed; 0: none has."""
        self._need = 0
        self._before = -1
        """What the rounds that are over take; below 0: not measured yet."""
        self._latest = 0
        """The latest round that counts there."""
        self._one_by_one = RLock()
        self.full = False
        """Whether there was something for which no room could be made."""

    def log_bytes(self, nodes: int) -> int:
        """Return how much of each node's log one round may keep."""
        return int(self._limit * _LOGS / max(1, nodes))

    def begin(self, number: int) -> None:
        """Make room for a round before it begins: for as much as the round before it took."""
        with self._one_by_one:
            self._current = number
            self._measure()
            self._make_room(min(self._need, self._may // 4))

    def room(self, need: int) -> bool:
        """Tell whether so many bytes more may be written, after making room for them where that is possible.

        Threads may ask, one after the other.
        """
        with self._one_by_one:
            return self._make_room(need)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the folder to oneself: threads that ask for room wait, and one that is making it is waited for.

        It cannot be stopped when who asked is cancelled, and it changes the lines, the night and rounds that are over.
        """
        with self._one_by_one:
            yield

    def _make_room(self, need: int) -> bool:
        if self._used() + need <= self._may:
            return True
        for _ in self._reductions():
            if self._used() + need <= self._may * _AIR:
                return True
        fits = self._used() + need <= self._may
        self.full = self.full or not fits
        return fits

    def settle(self, number: int, first_failure: int) -> None:
        """Thin what need not be whole any more, now that a round is over; the first that failed stays whole.

        May be done again for the same round, which counts once.
        """
        with self._one_by_one:
            self._current, self._first = number, first_failure
            self._measure()
            if number != self._latest:
                self._need = self._size(number)
                self._before += self._need
                self._latest = number
            self._current = 0
            for one in self._not_kept(self._whole()):
                self._change(one, thin.thin_round)

    def _measure(self) -> None:
        if self._before < 0:
            self._before = sum(self._size(one) for one in self._others())

    def _used(self) -> int:
        beside = (one for one in self._folder.iterdir() if one.name != ROUNDS)
        return self._before + sum(map(thin.size, beside)) + self._size(self._current)

    def _size(self, number: int) -> int:
        return thin.size(round_folder(self._folder, number), shared=False) if number else 0

    def _change(self, number: int, action: Callable[[Path], object]) -> None:
        """Do something to a round that is over, and see what it takes then, also where that was done in part."""
        before = self._size(number)
        try:
            action(round_folder(self._folder, number))
        finally:
            self._before += self._size(number) - before

    def _others(self) -> list[int]:
        return [one for one in kept_rounds(self._folder) if one != self._current]

    def _whole(self) -> list[int]:
        return [one for one in self._others() if thin.is_whole(round_folder(self._folder, one))]

    def _not_kept(self, whole: list[int]) -> list[int]:
        """Return the rounds that are whole, and neither the first that failed nor among the latest."""
        outcomes = {one: thin.outcome(round_folder(self._folder, one)) for one in whole}
        kept = {self._first}
        for outcome, count in _LATEST.items():
            kept |= set([one for one in whole if outcomes[one] == outcome][-count:])
        return [one for one in whole if one not in kept]

    # What goes, in this order.

    def _reductions(self) -> Iterator[None]:
        """Do one thing after the other that makes the folder smaller, the least loss first."""
        yield from self._remove(self._thinned("pass"))
        yield from self._remove(self._thinned("inconclusive", ""))
        yield from self._remove(self._thinned("fail"))
        for one in self._first_last(self._whole()):
            self._change(one, thin.thin_round)
            yield
        yield from self._remove(self._first_last(self._others()))
        while thin.size(self._folder / NIGHT / runs.SAMPLES) > self._may // 8:
            if self._coarsen() > _COARSEST_S:
                break
            yield
        if thin.size(self._folder / LINES) > self._may // 8:
            thin.trim_lines(self._folder / LINES)
            yield

    def _thinned(self, *outcomes: str) -> list[int]:
        whole = set(self._whole())
        paths = {one: round_folder(self._folder, one) for one in self._others() if one not in whole}
        return [one for one, path in paths.items() if one != self._first and thin.outcome(path) in outcomes]

    def _first_last(self, numbers: list[int]) -> list[int]:
        """Return them with the first that failed behind all others."""
        return sorted(numbers, key=lambda one: (one == self._first, one))

    def _remove(self, numbers: list[int]) -> Iterator[None]:
        for one in numbers:
            self._change(one, lambda path: shutil.rmtree(path, ignore_errors=True))
            yield
