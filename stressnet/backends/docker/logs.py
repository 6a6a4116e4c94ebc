"""What a node's container wrote, line by line."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import docker

from stressnet.images.engine import explained

_BATCHES = 64


async def lines(
    engine: docker.APIClient, container: str, *, follow: bool, tail: int | None, since: float = 0.0
) -> AsyncIterator[bytes]:
    """Yield the lines of a container's output, oldest first, without their ends; `since` is Unix time."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[list[bytes] | BaseException | None] = asyncio.Queue(_BATCHES)
    with explained(f"reading the log of {container}"):
        stream = await asyncio.to_thread(
            engine.logs,
            container,
            stream=True,
            follow=follow,
            tail="all" if tail is None else tail,
            since=since or None,
        )
    stopped = threading.Event()

    def carry() -> None:
        last: BaseException | None = None
        try:
            for batch in _split(stream):
                if stopped.is_set():
                    return
                asyncio.run_coroutine_threadsafe(queue.put(batch), loop).result()
        except Exception as error:  # the reader must learn of anything that ends the stream
            last = error
        if not stopped.is_set():
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(queue.put(last), loop)

    threading.Thread(target=carry, name=f"log-{container}", daemon=True).start()
    try:
        while True:
            batch = await queue.get()
            if batch is None:
                return
            if isinstance(batch, BaseException):
                with explained(f"reading the log of {container}"):
                    raise batch
            for line in batch:
                yield line
    finally:
        stopped.set()
        stream.close()
        while not queue.empty():
            queue.get_nowait()


def _split(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if whole:
            yield whole
    if rest:
        yield [rest]
