"""What is fetched beside all stages, and what becomes of it when the stages are over."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from unit.records import STUCK, make_record

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


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """Of which checks and nodes evidence was gathered."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    async def gather(_: Backend, nodes: Sequence[str], folder: Path, check: str, **__: object) -> list[str]:
        asked.append((check, tuple(nodes)))
        return [f"{check}.txt"]

    monkeypatch.setattr(watch, "gather", gather)
    return asked


def judged(path: Path, times: int, breached: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Judge a record so often; return what was noted."""

    async def main() -> None:
        with closing(RunJournal(path / "journal.jsonl")) as journal:
            looking = watch.Watch(path, None, journal, (STUCK,), breached=breached)  # type: ignore[arg-type]
            for _ in range(times):
                await looking.judge()
            assert looking.verdict is not None
            assert looking.verdict.failed == ("stuck",)

    before = len(read_journal(path / "journal.jsonl"))
    asyncio.run(main())
    return read_journal(path / "journal.jsonl")[before:]


def test_there_is_evidence_of_the_first_failure(
    tmp_path: Path, gathered: list[tuple[str, tuple[str, ...]]]
) -> None:
    """However often it is judged; it is of the nodes that the check names."""
    path = make_record(tmp_path, stuck=["us-1", "us-2"])
    breach, evidence = judged(path, 2)
    assert gathered == [("stuck", ("us-1", "us-2"))]
    assert (breach["event"], breach["check"], breach["nodes"]) == ("breach", "stuck", ["us-1", "us-2"])
    assert "stuck" in breach["summary"]
    assert (evidence["event"], evidence["files"]) == ("evidence", ["stuck.txt"])


def test_of_what_had_failed_before_there_is_evidence_already(
    tmp_path: Path, gathered: list[tuple[str, tuple[str, ...]]]
) -> None:
    """A run that is gone on with gathers none a second time."""
    assert judged(make_record(tmp_path, stuck=["us-1"]), 2, breached=["stuck"]) == []
    assert gathered == []


def test_a_journal_that_takes_nothing_for_a_moment_ends_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gathered: list[tuple[str, tuple[str, ...]]]
) -> None:
    """Samples are fetched and failures judged as before, and there is evidence of them."""
    path = make_record(tmp_path, stuck=["us-1"])
    fetched: list[float] = []

    async def full(_: Backend, __: Path, since: float) -> int:
        fetched.append(since)
        raise OSError(28, "No space left on device")

    async def main() -> None:
        with closing(RunJournal(path / "journal.jsonl")) as journal:

            def note(*_: object, **__: object) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(journal, "note", note)
            looking = watch.Watch(path, None, journal, (STUCK,))  # type: ignore[arg-type]
            running = asyncio.create_task(looking.run())
            async with asyncio.timeout(20):
                while len(fetched) < 3 or not gathered:  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0.01)
            assert not running.done()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            looking.close()

    monkeypatch.setattr(watch, "fetch", full)
    monkeypatch.setattr(watch, "_FETCH_S", 0.01)
    monkeypatch.setattr(watch, "_JUDGE_S", 0.01)
    asyncio.run(main())
    assert gathered == [("stuck", ("us-1",))]


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
