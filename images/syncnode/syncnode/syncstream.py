"""One sync stream: requests and responses both ways, one outstanding request in each direction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from . import frames
from .config import SyncKeys
from .defects import Defect
from .errors import NodeError, ProtocolError, RequestFailed, StreamClosed, StreamReset
from .framing import Framed
from .limiter import Limiter, wait
from .messages import NAMES, OTHERS, Request, Response, decode
from .metrics import Metrics
from .server import Server
from .stream import Stream


class SyncStream:
    """The sync protocol with one peer."""

    def __init__(
        self,
        stream: Stream,
        keys: SyncKeys,
        server: Server,
        total: Limiter,
        metrics: Metrics,
        rng: random.Random,
        defects: Sequence[str] = (),
    ) -> None:
        self.stream = stream
        self._defects = defects
        self.peer_id = stream.connection.peer_id
        self.busy = False
        self.failures = 0
        self.promises_broken = 0
        self.height = -1
        """What the peer last said; -1 before it was asked."""
        self._patience = 1
        self._framed = Framed(stream, keys.max_message)
        self._server = server
        self._limiters = (total, Limiter(keys.rate_stream))
        self._metrics = metrics
        self._topic = stream.protocol
        self._rng = rng
        self._owed = 0
        """Responses that may still come; each request brings one, though perhaps too late."""
        self._asked: Request | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._requests: asyncio.Queue[Request] = asyncio.Queue(keys.request_queue)

    async def run(self) -> None:
        """Serve and receive until the stream ends; raises what ended it."""
        serving = asyncio.ensure_future(self._serve())
        receiving = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait((serving, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            receiving.cancel()
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(RequestFailed("the stream ended"))
            ended = await asyncio.gather(serving, receiving, return_exceptions=True)
            # Error, frames and tasks know each other: what the peer has sent would stay until the collector comes.
            del serving, receiving
        for error in ended:
            if isinstance(error, NodeError):
                raise error.with_traceback(None)
            if isinstance(error, Exception):
                raise error

    async def ask(self, request: Request, timeout: float) -> Response:
        """Send a request and return its response; RequestFailed where none that is usable comes in time.

        Each time-out doubles the patience with this peer, up to eight times; each answer resets it.
        """
        request.req_id = self._rng.getrandbits(63) | 1
        self._asked = request
        self._owed += 1
        self._answer = asyncio.get_running_loop().create_future()
        kind = NAMES[request.kind]
        start = asyncio.get_running_loop().time()
        self._metrics.count("hmy_stream_sync_client_request", topic=self._topic, request_type=kind)
        try:
            async with asyncio.timeout(timeout * self._patience):
                await self._framed.send(request.encode())
                response = await self._answer
        except TimeoutError:
            self._patience = min(self._patience * 2, 8)
            raise self._failed(kind, "timeout") from None
        except StreamReset:
            raise self._failed(kind, "reset") from None
        finally:
            self._asked = self._answer = None
        if response.error:
            raise self._failed(kind, "error response")
        self._patience = 1
        delay = asyncio.get_running_loop().time() - start
        self._metrics.observe(
            "hmy_stream_sync_client_request_delay", delay, topic=self._topic, request_type=kind
        )
        return response

    def _failed(self, kind: str, error: str) -> RequestFailed:
        label = error
        if Defect.LABEL_EXPLOSION in self._defects:
            label = f"{error}: request {self._rng.getrandbits(63)} to {self.peer_id}"
        self._metrics.count(
            "hmy_stream_sync_failed_client_request", topic=self._topic, request_type=kind, error=label
        )
        return RequestFailed(f"{kind}: {error}")

    async def _receive(self) -> None:
        while True:
            try:
                buffer = await self._framed.receive()
            except NodeError as error:
                if isinstance(error, StreamClosed) and Defect.EOF_SPIN in self._defects:
                    await asyncio.sleep(0)
                    continue
                kind = "reset" if isinstance(error, StreamReset) else "closed"
                self._metrics.count("hmy_stream_msg_read_failed", error=kind)
                raise
            self._metrics.count("hmy_stream_msg_read")
            self._metrics.count("hmy_stream_bytes_read", len(buffer))
            message = decode(buffer)
            if isinstance(message, Request):
                self._server.check(message)
                await self._requests.put(message)
            else:
                self._deliver(message)

    def _deliver(self, response: Response) -> None:
        self._owed -= 1
        if self._owed < 0:
            raise ProtocolError("a response that nobody asked for")
        asked, answer = self._asked, self._answer
        if asked is None or answer is None or response.req_id != asked.req_id or answer.done():
            self._metrics.count("syncnode_late_responses_total")
            return
        if not response.error and response.kind != asked.kind:
            raise ProtocolError("a response of another kind than the request")
        answer.set_result(response)

    async def _serve(self) -> None:
        while True:
            request = await self._requests.get()
            kind = (NAMES | OTHERS)[request.kind]
            self._metrics.count("hmy_stream_num_server_request")
            self._metrics.count("hmy_stream_sync_server_request", topic=self._topic, request_type=kind)
            delay = await wait(*self._limiters)
            self._metrics.observe("hmy_stream_server_request_delay", delay)
            out = self._server.answer(request).encode()
            try:
                await self._server.faults.send(self._framed, out)
            except NodeError as error:
                self._metrics.count("hmy_stream_msg_write_failed", error=type(error).__name__)
                raise
            self._metrics.count("hmy_stream_msg_write")
            self._metrics.count("hmy_stream_bytes_write", len(out))

    def close(self, code: int = frames.CANCELLED) -> None:
        """End the stream."""
        self.stream.reset(code)
