"""The copy of a log that the agent makes until a node is ready."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from functools import partial

from stressnet.agent.logcopy import copy_until
from stressnet.agent.matching import Matcher


def copied(chunks: list[bytes], pattern: str, most: int = 1000) -> tuple[bytes, int]:
    """Return what was copied and how many chunks were asked for."""
    taken = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        for chunk in chunks:
            taken += 1
            yield chunk

    file = io.BytesIO()

    async def story() -> None:
        matcher = Matcher()
        await copy_until(source(), partial(matcher.finds, pattern), file, most)
        await matcher.close()

    asyncio.run(story())
    return file.getvalue(), taken


def test_nothing_is_copied_after_the_line_that_was_waited_for() -> None:
    """The node is ready then, and its log may grow for days."""
    assert copied([b"one\n", b"ready\n", b"more\n"], "^ready$") == (b"one\nready\n", 2)


def test_a_line_that_comes_in_pieces_is_found() -> None:
    """Engines hand a log on in pieces that know nothing of lines."""
    assert copied([b"one\nre", b"ady\nx", b"more"], "^ready$")[1] == 2


def test_a_log_without_that_line_is_copied_up_to_a_bound() -> None:
    """A node that talks for ever and is never ready does not fill the disk."""
    text, taken = copied([b"x" * 9 + b"\n"] * 100, "ready", most=50)
    assert taken == 5
    assert text.startswith((b"x" * 9 + b"\n") * 5)
    assert b"no further than 50 bytes" in text
    assert b"ready" not in text


def test_a_short_log_is_copied_whole() -> None:
    """Without the line, and within the bound, everything is there."""
    assert copied([b"a\n", b"b"], "ready") == (b"a\nb", 2)


def test_a_search_that_takes_too_long_ends_the_copy() -> None:
    """The prober finds the same in what was copied, and says so."""
    text = b"a" * 60 + b"!\n"
    assert copied([b"one\n", text, b"more\n"], "(a+)+$") == (b"one\n" + text, 2)
