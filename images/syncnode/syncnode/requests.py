"""The request manager: gives each request a free stream, or a place in the queue until one is free."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from .config import SyncKeys
from .errors import NoStreams, RequestFailed
from .messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_NUM, Request, Response
from .streams import Streams
from .syncstream import SyncStream

Filter = Callable[[SyncStream], bool]


def anyone(stream: SyncStream) -> bool:
    """Let every stream take the request."""
    return True


class Requests:
    """Sends requests over the streams that a caller allows, one at a time on each."""

    def __init__(self, streams: Streams, keys: SyncKeys, rng: random.Random) -> None:
        self._streams = streams
        self._keys = keys
        self._rng = rng
        self._queue: deque[tuple[Filter, asyncio.Future[SyncStream]]] = deque()
        self._timeouts = {
            BLOCK_NUMBER: keys.number_timeout,
            BLOCK_HASHES: keys.hashes_timeout,
            BLOCKS_BY_NUM: keys.by_number_timeout,
        }
        streams.on_change.append(self._assign)

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a stream."""
        return len(self._queue)

    async def ask(self, request: Request, allow: Filter = anyone) -> tuple[Response, SyncStream]:
        """Send a request over some free stream; return the response and who gave it.

        NoStreams where no stream is allowed, or none gets free in time; RequestFailed where the peer failed.
        """
        stream = await self._acquire(allow)
        try:
            return await self.ask_on(stream, request), stream
        finally:
            self._release(stream)

    async def ask_each(
        self, request: Callable[[], Request], streams: list[SyncStream]
    ) -> list[tuple[Response, SyncStream]]:
        """Send one request to each of several streams at once; return the answers that came."""
        asked = (self._ask_one(request(), stream) for stream in streams)
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

    async def _ask_one(self, request: Request, stream: SyncStream) -> tuple[Response, SyncStream] | None:
        try:
            return await self.ask(request, lambda other: other is stream)
        except (NoStreams, RequestFailed):
            return None

    async def _acquire(self, allow: Filter) -> SyncStream:
        stream = self._free(allow)
        if stream is None:
            if not any(map(allow, self._streams.open.values())):
                raise NoStreams("no stream may take the request")
            if len(self._queue) >= self._keys.max_waiting:
                raise NoStreams("too many requests wait")
            stream = await self._wait(allow)
        stream.busy = True
        return stream

    async def _wait(self, allow: Filter) -> SyncStream:
        future: asyncio.Future[SyncStream] = asyncio.get_running_loop().create_future()
        entry = (allow, future)
        self._queue.append(entry)
        try:
            async with asyncio.timeout(self._keys.no_stream_timeout):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._release(future.result())  # it came in the same moment as the time-out
            if isinstance(error, TimeoutError):
                raise NoStreams("no stream became free in time") from None
            raise
        finally:
            if entry in self._queue:
                self._queue.remove(entry)

    def _release(self, stream: SyncStream) -> None:
        stream.busy = False
        self._assign()

    def _free(self, allow: Filter) -> SyncStream | None:
        free = [s for s in self._streams.open.values() if not s.busy and allow(s)]
        return self._rng.choice(free) if free else None

    def _assign(self) -> None:
        """Give free streams to those that wait, first come first served; tell those that wait in vain."""
        for entry in list(self._queue):
            allow, future = entry
            stream = self._free(allow)
            if future.done():
                self._queue.remove(entry)
            elif stream is not None:
                stream.busy = True
                self._queue.remove(entry)
                future.set_result(stream)
            elif not any(map(allow, self._streams.open.values())):
                self._queue.remove(entry)
                future.set_exception(NoStreams("the last stream that may take the request is gone"))
