"""What is fetched beside all stages, and what becomes of it when the stages are over."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from stressnet.backends.base import Backend
from stressnet.engine.run import watch
from stressnet.record.journal import RunJournal
from stressnet.record.samples import Samples


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

    async def fetch(backend: Backend, copy: Path, since: float) -> int:
        Samples(copy, "net").close(alone=True)
        return 1

    monkeypatch.setattr(Samples, "absorb", absorb)
    monkeypatch.setattr(watch, "fetch", fetch)

    async def main() -> None:
        path = tmp_path / "run"
        path.mkdir()
        journal = RunJournal(path / "journal.jsonl")
        looking = watch.Watch(path, None, journal, ())  # type: ignore[arg-type]  # only `fetch` would use it
        first = asyncio.create_task(looking.fetch())
        await asyncio.to_thread(taking.wait, 5)
        first.cancel()
        asyncio.get_running_loop().call_later(0.1, going.set)
        await asyncio.gather(first, return_exceptions=True)
        await looking.fetch()
        looking.close()
        journal.close()

    asyncio.run(main())
    assert seen == [True, True]
