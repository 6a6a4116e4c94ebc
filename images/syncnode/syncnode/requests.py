"""The request manager: requests wait in two queues, and round by round the first of them get the streams that are free.

A round begins with each new request, and every `sync.throttle_interval` while any wait; it sends at most
`sync.throttle_batch`. Those in a hurry, for which a pass of short range waits, come before the others. A request that
none of the free streams may take goes back to the head of its queue; unlike in the network that this node is modelled
on the round goes on behind it, so that one slow peer holds up only those that want no other.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Container

from .config import SyncKeys
from .errors import NoStreams, RequestFailed
from .messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_NUM, Request, Response
from .streams import Streams
from .syncstream import SyncStream

Filter = Callable[[SyncStream], bool]


def anyone(stream: SyncStream) -> bool:
    """Let every stream take the request."""
    return True


def only(streams: Container[SyncStream]) -> Filter:
    """Let some streams take the request, and no other."""
    return lambda stream: stream in streams


class _Waiting:
    """A request that has no stream yet."""

    __slots__ = ("allow", "stream")

    def __init__(self, allow: Filter) -> None:
        self.allow = allow
        self.stream: asyncio.Future[SyncStream] = asyncio.get_running_loop().create_future()


class Requests:
    """Sends requests over the streams that a caller allows, one at a time on each."""

    def __init__(self, streams: Streams, keys: SyncKeys, rng: random.Random) -> None:
        self._streams = streams
        self._keys = keys
        self._rng = rng
        self._urgent: deque[_Waiting] = deque()
        self._usual: deque[_Waiting] = deque()
        self._next_round: asyncio.TimerHandle | None = None
        self._timeouts = {
            BLOCK_NUMBER: keys.number_timeout,
            BLOCK_HASHES: keys.hashes_timeout,
            BLOCKS_BY_NUM: keys.by_number_timeout,
        }
        streams.on_change.append(self._give_up)

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a stream."""
        return len(self._urgent) + len(self._usual)

    @property
    def pending(self) -> int:
        """Return how many requests are under way, one a stream."""
        return sum(stream.busy for stream in self._streams.open.values())

    async def ask(
        self, request: Request, allow: Filter = anyone, *, urgent: bool = False
    ) -> tuple[Response, SyncStream]:
        """Send a request over some free stream; return the response and who gave it.

        NoStreams where no stream is allowed, or none gets free in time; RequestFailed where the peer failed.
        """
        stream = await self._acquire(allow, self._urgent if urgent else self._usual)
        try:
            return await self.ask_on(stream, request), stream
        finally:
            stream.busy = False

    async def ask_each(
        self, request: Callable[[], Request], streams: list[SyncStream], *, urgent: bool = False
    ) -> list[tuple[Response, SyncStream]]:
        """Send one request to each of several streams at once; return the answers that came."""
        asked = (self._ask_one(request(), stream, urgent=urgent) for stream in streams)
        return [answer for answer in await asyncio.gather(*asked) if answer is not None]

    async def ask_on(self, stream: SyncStream, request: Request) -> Response:
        """Send a request over a stream that was acquired; count the failure where it fails."""
        timeout = self._timeouts.get(request.kind, self._keys.by_hashes_timeout)
        try:
            response = await stream.ask(request, timeout)
        except RequestFailed as error:
            self._streams.fault(stream, str(error))
            raise
        stream.failures = 0
        return response

    def pick(self, count: int) -> list[SyncStream]:
        """Return up to so many different streams, by chance."""
        streams = list(self._streams.open.values())
        return self._rng.sample(streams, min(count, len(streams)))

    async def _ask_one(
        self, request: Request, stream: SyncStream, *, urgent: bool
    ) -> tuple[Response, SyncStream] | None:
        try:
            return await self.ask(request, only((stream,)), urgent=urgent)
        except (NoStreams, RequestFailed):
            return None

    async def _acquire(self, allow: Filter, queue: deque[_Waiting]) -> SyncStream:
        if not self._possible(allow):
            raise NoStreams("no stream may take the request")
        if len(queue) >= self._keys.max_waiting:
            raise NoStreams("too many requests wait")
        waiting = _Waiting(allow)
        queue.append(waiting)
        self._round()
        try:
            async with asyncio.timeout(self._keys.no_stream_timeout):
                return await waiting.stream
        except BaseException as error:
            if waiting in queue:
                queue.remove(waiting)
            elif not waiting.stream.cancelled() and waiting.stream.exception() is None:
                waiting.stream.result().busy = False  # it came in the same moment as the time-out
            if isinstance(error, TimeoutError):
                raise NoStreams("no stream became free in time") from None
            raise

    def _round(self) -> None:
        """Give free streams to those that wait."""
        left = self._keys.throttle_batch
        for queue in (self._urgent, self._usual):
            back: list[_Waiting] = []
            while queue and left and self._free(anyone):
                waiting = queue.popleft()
                free = self._free(waiting.allow)
                if not free:
                    back.append(waiting)
                elif not waiting.stream.done():
                    stream = self._rng.choice(free)
                    stream.busy = True
                    waiting.stream.set_result(stream)
                    left -= 1
            queue.extendleft(reversed(back))
        if self.waiting and self._next_round is None:
            loop = asyncio.get_running_loop()
            self._next_round = loop.call_later(self._keys.throttle_interval, self._tick)

    def _tick(self) -> None:
        self._next_round = None
        self._round()

    def _free(self, allow: Filter) -> list[SyncStream]:
        return [stream for stream in self._streams.open.values() if not stream.busy and allow(stream)]

    def _possible(self, allow: Filter) -> bool:
        return any(map(allow, self._streams.open.values()))

    def _give_up(self) -> None:
        """Tell those that wait in vain, because no stream is left that may take them."""
        for queue in (self._urgent, self._usual):
            for waiting in [one for one in queue if not self._possible(one.allow)]:
                queue.remove(waiting)
                if not waiting.stream.done():
                    waiting.stream.set_exception(
                        NoStreams("the last stream that may take the request is gone")
                    )
