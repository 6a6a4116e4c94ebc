"""What is fetched beside all stages, and what becomes of it when the stages are over."""

from __future__ import annotations

import asyncio
import threading
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
