"""A search in a log takes its time or is given up; whoever asks goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stressnet.agent.matching import Matcher, TooSlow

ENDLESS, TEXT = "(a+)+$", b"a" * 60 + b"!\n"


def with_matcher(story: Callable[[Matcher], Awaitable[None]]) -> None:
    async def run() -> None:
        matcher = Matcher()
        try:
            await story(matcher)
        finally:
            await matcher.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^ready$", b"one\nready\n", True),
        ("^ready$", b"one\nnot ready\n", False),
        ("", b"", True),
        ("\u00e9", "caf\u00e9".encode(), True),
        ("x", b"\xff\xfex", True),
        ("end$", b"." * 2**20 + b"end", True),
    ],
)
def test_a_pattern_is_looked_for_line_by_line(pattern: str, text: bytes, found: bool) -> None:
    """The helper answers what `re` says, of any bytes."""

    async def story(matcher: Matcher) -> None:
        assert await matcher.finds(pattern, text) is found

    with_matcher(story)


def test_a_search_without_end_is_given_up() -> None:
    """It stops nobody: other work goes on meanwhile, other patterns are looked for after it."""

    async def story(matcher: Matcher) -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(TooSlow, match=r"'\(a\+\)\+\$' took more than 2 s of CPU"):
            await matcher.finds(ENDLESS, TEXT)
        assert ticks > 20
        ticking.cancel()
        assert await matcher.finds("a!", TEXT)

    with_matcher(story)


def test_a_pattern_that_took_too_long_is_not_tried_again() -> None:
    """A hundred nodes of one kind would take a hundred times as long: the second is told at once, of any text."""

    async def story(matcher: Matcher) -> None:
        for text in (TEXT, b"aaa"):
            with pytest.raises(TooSlow):
                await matcher.finds(ENDLESS, text)

    with_matcher(story)


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones() -> None:
    """A node that ends while its log is searched takes its question with it."""

    async def story(matcher: Matcher) -> None:
        assert await matcher.finds("x", b"x")
        asking = asyncio.create_task(matcher.finds("x", b"." * 2**20 + b"x"))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert not await matcher.finds("x", b"y")

    with_matcher(story)


def test_a_helper_that_was_killed_comes_back() -> None:
    """The next question starts another."""

    async def story(matcher: Matcher) -> None:
        assert await matcher.finds("x", b"x")
        assert matcher._helper is not None
        matcher._helper.kill()
        await matcher._helper.wait()
        assert not await matcher.finds("x", b"x")
        assert await matcher.finds("x", b"x")

    with_matcher(story)
