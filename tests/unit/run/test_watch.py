"""What is fetched beside all stages, and what becomes of it when the stages are over."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stressnet.backends.base import Backend
from stressnet.engine.run import watch
from stressnet.record.journal import RunJournal, read_journal
from stressnet.record.samples import Samples


async def fetch(backend: Backend, copy: Path, since: float) -> int:
    """There is nothing new."""
    Samples(copy, "net").close(alone=True)
    return 1


@contextmanager
def watching(path: Path) -> Iterator[watch.Watch]:
    """A watch whose record is in this new folder."""
    path.mkdir()
    journal = RunJournal(path / "journal.jsonl")
    looking = watch.Watch(path, None, journal, ())  # type: ignore[arg-type]  # only what is replaced would use it
    yield looking
    looking.close()
    journal.close()


async def nobody(_: Backend) -> dict[str, int]:
    return {"rules": 0, "queues": 0}


def test_what_others_change_is_noted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before the run is not its own; an agent that has started again counts anew."""
    counts = iter([(3, 0), (3, 0), (5, 0), (5, 1), (1, 0), (1, 0)])

    async def changed(_: Backend) -> dict[str, int]:
        return dict(zip(("rules", "queues"), next(counts), strict=True))

    monkeypatch.setattr(watch, "fetch", fetch)
    monkeypatch.setattr(watch, "changed_by_others", changed)

    async def main() -> None:
        with watching(tmp_path / "run") as looking:
            for _ in range(6):
                await looking.fetch()

    asyncio.run(main())
    events = read_journal(tmp_path / "run" / "journal.jsonl")
    noted = [(event["what"], event["times"]) for event in events if event["event"] == "control changed"]
    assert noted == [("rules", 2), ("queues", 1), ("rules", 1)]


def test_a_fetch_that_is_cancelled_ends_before_the_last_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking in a file cannot be stopped half-way: two at once would be in each other's way."""
    taking, going = threading.Event(), threading.Event()
    real = Samples.absorb
    seen: list[bool] = []

    def absorb(samples: Samples, path: Path) -> None:
        taking.set()
        going.wait(5)
        seen.append(path.exists())
        real(samples, path)

    monkeypatch.setattr(Samples, "absorb", absorb)
    monkeypatch.setattr(watch, "fetch", fetch)
    monkeypatch.setattr(watch, "changed_by_others", nobody)

    async def main() -> None:
        with watching(tmp_path / "run") as looking:
            first = asyncio.create_task(looking.fetch())
            await asyncio.to_thread(taking.wait, 5)
            first.cancel()
            asyncio.get_running_loop().call_later(0.1, going.set)
            await asyncio.gather(first, return_exceptions=True)
            await looking.fetch()

    asyncio.run(main())
    assert seen == [True, True]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk full")]
)
def test_a_full_disk_stops_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is noted once, and what is missing comes with the next that is fetched."""
    counts = iter([error, error, None])

    async def fails(backend: Backend, copy: Path, since: float) -> int:
        if (failing := next(counts)) is not None:
            raise failing
        return await fetch(backend, copy, since)

    monkeypatch.setattr(watch, "fetch", fails)
    monkeypatch.setattr(watch, "changed_by_others", nobody)

    async def main() -> None:
        with watching(tmp_path / "run") as looking:
            for _ in range(3):
                await looking.fetch()

    asyncio.run(main())
    (event,) = read_journal(tmp_path / "run" / "journal.jsonl")
    assert event["event"] == "samples not fetched"
    assert str(error) in event["why"]


def test_a_clock_that_was_set_back_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been sampled since lies before the latest that there was."""
    asked: list[float] = []

    async def noting(backend: Backend, copy: Path, since: float) -> int:
        asked.append(since)
        return await fetch(backend, copy, since)

    monkeypatch.setattr(watch, "fetch", noting)
    monkeypatch.setattr(watch, "changed_by_others", nobody)
    monkeypatch.setattr(Samples, "latest", lambda _: time.time() + 60)

    async def main() -> None:
        with watching(tmp_path / "run") as looking:
            await looking.fetch()

    asyncio.run(main())
    assert asked[0] < time.time()
