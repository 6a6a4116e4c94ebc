"""Who gets a stream when: two queues, rounds, and requests that only some streams may take; on a fake clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from simulation import Loop
from syncnode.config import SyncKeys
from syncnode.errors import NoStreams, RequestFailed
from syncnode.messages import BLOCK_NUMBER, Request, Response
from syncnode.requests import Filter, Requests, anyone, only


class Peer:
    """A stream that answers when the test says so."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.peer_id, self.busy, self.failures = name, False, 0
        self.asked: list[Request] = []
        self._log = log
        self.answers: asyncio.Queue[Response | RequestFailed] = asyncio.Queue()

    async def ask(self, request: Request, timeout: float) -> Response:
        self.asked.append(request)
        self._log.append(f"{request.req_id}")
        answer = await self.answers.get()
        if isinstance(answer, RequestFailed):
            raise answer
        return answer

    def answer(self) -> None:
        self.answers.put_nowait(Response(BLOCK_NUMBER, 1, number=1))


class Desk:
    """A request manager over some peers; `log` has the requests in the order in which they were sent."""

    def __init__(self, *names: str, **keys: Any) -> None:
        self.log: list[str] = []
        self.open = {name: Peer(name, self.log) for name in names}
        self.on_change: list[Callable[[], None]] = []
        self.requests = Requests(self, SyncKeys(**keys), random.Random(1))  # type: ignore[arg-type]
        self.tasks: list[asyncio.Task[Any]] = []

    def fault(self, stream: Peer, reason: str) -> None:
        stream.failures += 1

    def ask(self, number: int, allow: Filter = anyone, *, urgent: bool = False) -> asyncio.Task[Any]:
        asked = self.requests.ask(Request(BLOCK_NUMBER, req_id=number), allow, urgent=urgent)
        self.tasks.append(asyncio.ensure_future(asked))
        return self.tasks[-1]

    def lose(self, name: str) -> None:
        del self.open[name]
        for callback in self.on_change:
            callback()


@pytest.fixture
def run() -> Iterator[Callable[[Callable[[], Coroutine[Any, Any, None]]], None]]:
    loop = Loop()
    yield lambda story: loop.run_until_complete(story())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()


async def answered(desk: Desk, *names: str) -> None:
    """Let peers answer what they were asked, and everything happen that follows at once."""
    for name in names:
        desk.open[name].answer()
    await asyncio.sleep(0.001)


def test_one_request_at_a_time_on_each_stream_and_the_next_in_the_next_round(run):
    async def story() -> None:
        desk = Desk("a", "b")
        for number in (1, 2, 3):
            desk.ask(number)
        await asyncio.sleep(0.01)
        assert desk.log == ["1", "2"]
        assert desk.requests.waiting == 1
        await answered(desk, "a")
        assert desk.log == ["1", "2"], "a stream that gets free begins no round"
        await asyncio.sleep(0.1)
        assert desk.log == ["1", "2", "3"]
        assert desk.requests.waiting == 0

    run(story)


def test_a_new_request_begins_a_round_for_those_before_it(run):
    async def story() -> None:
        desk = Desk("a")
        desk.ask(1)
        desk.ask(2)
        await asyncio.sleep(0.01)
        await answered(desk, "a")
        assert desk.log == ["1"]
        desk.ask(3)
        await asyncio.sleep(0.001)
        assert desk.log == ["1", "2"]

    run(story)


def test_urgent_requests_come_first(run):
    async def story() -> None:
        desk = Desk("a")
        for number in (1, 2, 3):
            desk.ask(number)
        for number in (4, 5):
            desk.ask(number, urgent=True)
        for _ in range(4):
            await asyncio.sleep(0.11)
            await answered(desk, "a")
        await asyncio.sleep(0.11)
        assert desk.log == ["1", "4", "5", "2", "3"]

    run(story)


def test_a_round_sends_no_more_than_its_batch(run):
    """However many streams are free; the next 16 go when the interval is over."""

    async def story() -> None:
        desk = Desk(*map(str, range(50)))
        for peer in desk.open.values():
            peer.busy = True
        for number in range(50):
            desk.ask(number)
        await asyncio.sleep(0)
        for peer in desk.open.values():
            peer.busy = False
        sent = []
        for _ in range(4):
            await asyncio.sleep(0.1)
            sent.append(len(desk.log))
        assert sent == [16, 32, 48, 50]
        assert desk.log == [str(number) for number in range(50)]

    run(story)


def test_who_finds_no_stream_goes_back_to_the_head_and_holds_up_nobody(run):
    async def story() -> None:
        desk = Desk("a", "b")
        a, b = desk.open.values()
        b.busy = True
        desk.ask(1)
        desk.ask(2, only((a,)))
        desk.ask(3, lambda stream: stream is not a)  # type: ignore[comparison-overlap]
        desk.ask(4)
        await asyncio.sleep(0.01)
        b.busy = False
        await asyncio.sleep(0.1)
        assert desk.log == ["1", "3"]
        await answered(desk, "a")
        await asyncio.sleep(0.1)
        assert desk.log == ["1", "3", "2"]

    run(story)


def test_nobody_waits_for_a_stream_that_there_is_not(run):
    async def story() -> None:
        desk = Desk("a", "b")
        with pytest.raises(NoStreams, match="no stream may take"):
            await desk.ask(1, only(()))
        desk.ask(2, only((desk.open["a"],)))
        waits = desk.ask(3, only((desk.open["a"],)))
        await asyncio.sleep(0.01)
        begun = now()
        desk.lose("a")
        with pytest.raises(NoStreams, match="the last stream"):
            await waits
        assert now() - begun < 0.001
        assert desk.requests.waiting == 0

    run(story)


def test_each_queue_has_an_end(run):
    async def story() -> None:
        desk = Desk("a", max_waiting=2)
        for number in (1, 2, 3):
            desk.ask(number)
        await asyncio.sleep(0)
        with pytest.raises(NoStreams, match="too many"):
            await desk.ask(4)
        for number in (5, 6):
            desk.ask(number, urgent=True)
        await asyncio.sleep(0)
        with pytest.raises(NoStreams, match="too many"):
            await desk.ask(7, urgent=True)
        assert desk.requests.waiting == 4

    run(story)


def test_who_gives_up_or_waits_too_long_leaves_the_queue(run):
    async def story() -> None:
        desk = Desk("a", no_stream_timeout=60)
        desk.ask(1)
        late, cancelled = desk.ask(2), desk.ask(3, urgent=True)
        await asyncio.sleep(1)
        cancelled.cancel()
        await asyncio.sleep(0)
        assert desk.requests.waiting == 1
        with pytest.raises(NoStreams, match="in time"):
            await late
        assert now() == pytest.approx(60, abs=0.1)
        assert desk.requests.waiting == 0
        desk.ask(4)
        await answered(desk, "a")
        await asyncio.sleep(0.1)
        assert desk.log == ["1", "4"]

    run(story)


def test_a_stream_that_comes_as_its_request_is_cancelled_is_free_again(run):
    async def story() -> None:
        desk = Desk("a")
        first = desk.ask(1)
        second = desk.ask(2)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        desk.requests._round()
        assert desk.open["a"].busy
        second.cancel()
        await asyncio.sleep(0.001)
        assert not desk.open["a"].busy
        assert desk.log == ["1"]

    run(story)


def test_a_failure_is_held_against_the_stream_and_sets_it_free(run):
    async def story() -> None:
        desk = Desk("a")
        asked = desk.ask(1)
        desk.open["a"].answers.put_nowait(RequestFailed("reset"))
        with pytest.raises(RequestFailed):
            await asked
        assert (desk.open["a"].failures, desk.open["a"].busy) == (1, False)

    run(story)
