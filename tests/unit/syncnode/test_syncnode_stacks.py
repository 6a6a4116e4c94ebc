"""`debug_stacks` says of every task what it is and where it waits."""

from __future__ import annotations

import asyncio

from loopback import until
from syncnode.stacks import _MOST, stacks


async def outer() -> None:
    await inner()


async def inner() -> None:
    await asyncio.sleep(60)


async def told(count: int, name: str = "") -> str:
    tasks = [asyncio.create_task(outer(), name=f"{name}{number}") for number in range(count)]
    await asyncio.sleep(0)
    text = stacks(tasks)
    for task in tasks:
        task.cancel()
    return text


def test_a_task_is_told_with_all_that_it_waits_in():
    """The whole way from its coroutine to the innermost that it awaits, in this order."""
    count, _, name, *lines = asyncio.run(told(1, "waiter-")).splitlines()
    assert (count, name) == ("1 tasks", "waiter-0: outer")
    assert [line.rpartition(" in ")[2] for line in lines] == ["outer", "inner", "sleep"]
    assert f"{__file__}:{outer.__code__.co_firstlineno + 1} in outer" in lines[0]


def test_the_text_has_an_end_where_tasks_leak():
    """What does not fit is counted."""
    text = asyncio.run(told(3000))
    shown = text.count(": outer")
    assert _MOST * 0.9 < len(text) < _MOST * 1.1
    assert 0 < shown < 3000
    assert text.startswith("3000 tasks\n")
    assert text.endswith(f"... and {3000 - shown} more")


def test_a_node_tells_its_own(make_net):
    """Its servers and loops are all there, by their own names in the code."""
    net = make_net(["f"], [])
    net.start()
    node = net["f"]
    until(lambda: node.height() == 0, what="the node runs")
    text = node.call("debug_stacks")
    assert isinstance(text, str)
    assert all(loop in text for loop in ("Node.run", "Downloader.run", "Streams.run", "HttpServer._serve"))
