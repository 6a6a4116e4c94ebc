"""The last work of a command is done to its end, however often it is told to stop meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from stressnet.engine.ending import to_its_end, undisturbed


async def work(done: list[str]) -> str:
    await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    done.append("work")
    return "answer"


def test_it_returns_what_came_of_it() -> None:
    done: list[str] = []
    assert asyncio.run(to_its_end(work(done))) == "answer"
    assert done == ["work"]


def test_being_cancelled_again_and_again_only_shows_at_the_end() -> None:
    """The one who waits is cancelled, and not before the work is done."""
    done: list[str] = []

    async def main() -> None:
        waiting = asyncio.create_task(to_its_end(work(done)))
        for _ in range(3):
            await asyncio.sleep(0.01)
            waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert done == ["work"]


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_undisturbed_ends_as_if_nobody_had_been_cancelled(fails: bool) -> None:
    """Its answer is given, and its error too: what could not be removed must not pass for removed."""
    done: list[str] = []

    async def undo() -> str:
        answer = await work(done)
        if fails:
            raise ValueError("it is still there")
        return answer

    async def main() -> str:
        waiting = asyncio.create_task(undisturbed(undo()))
        for _ in range(3):
            await asyncio.sleep(0.01)
            waiting.cancel()
        return await waiting

    if fails:
        with pytest.raises(ValueError, match="still there"):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) == "answer"
    assert done == ["work"]


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_error_is_told(cancelled: bool) -> None:
    """As what it is, or as the cause of the cancellation."""

    async def fail() -> None:
        await asyncio.sleep(0.02)
        raise ValueError("the disk is full")

    async def main() -> BaseException:
        waiting = asyncio.create_task(to_its_end(fail()))
        await asyncio.sleep(0.01)
        if cancelled:
            waiting.cancel()
        with pytest.raises((ValueError, asyncio.CancelledError)) as found:
            await waiting
        return found.value

    error = asyncio.run(main())
    assert isinstance(error, asyncio.CancelledError) is cancelled
    assert "disk" in str(error.__cause__ if cancelled else error)
