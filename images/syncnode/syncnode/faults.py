"""What this node does wrong on purpose: nothing, until JSON-RPC tells it to. Called where replies are made.

Of several faults that are on, each acts by itself and draws for itself, reply by reply: first what a reply says
(an error leaves nothing for the others to spoil), then when it is sent, then how it is cut.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from . import wire
from .block import Block
from .config import DiscoveryKeys
from .framing import Framed
from .messages import BLOCK_HASHES, BLOCK_NUMBER, Request, Response
from .metrics import Metrics

_SHARE, _SECONDS = (0.0, 1.0), (0.001, 86400.0)
KNOWN: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "stream_error": {"probability": _SHARE},
    "reset_mid_frame": {"probability": _SHARE},
    "truncate_frame": {"probability": _SHARE},
    "clean_close": {"probability": _SHARE},
    "wrong_block_count": {"probability": _SHARE},
    "wrong_hash": {"probability": _SHARE},
    "delay_reply": {"probability": _SHARE, "delay": _SECONDS},
    "empty_hashes": {"probability": _SHARE},
    "discovery_interval": {"interval": _SECONDS},
}
"""Parameters of each fault with their least and greatest value; shares from 0 to 1, times in seconds."""


class WrongFault(Exception):
    """There is no such fault, or its parameters are not right."""


class Faults:
    """The faults of one node, and what each of them does."""

    def __init__(self, discovery: DiscoveryKeys, metrics: Metrics, rng: random.Random) -> None:
        self.on: dict[str, dict[str, float]] = {}
        self.on_interval: list[Callable[[], None]] = []
        """Called when the interval of discovery has changed."""
        self._discovery = discovery
        self._usual_interval = discovery.check_interval
        self._metrics = metrics
        self._rng = rng

    def set(self, name: object, parameters: object) -> None:
        """Put a fault on, or change its parameters; WrongFault names what is not right."""
        wanted = KNOWN[self._name(name)]
        if not isinstance(parameters, dict) or parameters.keys() != wanted.keys():
            raise WrongFault(f"{name} takes {', '.join(wanted)}, each once")
        for key, (least, most) in wanted.items():
            value = parameters[key]
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise WrongFault(
                    f"{name}: {key} must be a number from {least:g} to {most:g}, found {value!r}"
                )
        self.on[str(name)] = dict(parameters)
        self._pace()

    def clear(self, name: object) -> None:
        """Take a fault off, whether it is on or not."""
        self.on.pop(self._name(name), None)
        self._pace()

    def reply(self, request: Request, response: Response) -> Response:
        """Return the reply that is given instead of the right one."""
        if not self.on:
            return response
        if self._hits("stream_error"):
            return Response(request.kind, request.req_id, error="a fault that was asked for")
        if response.error:
            return response
        if request.kind == BLOCK_HASHES:
            return self._hashes(response)
        return response if request.kind == BLOCK_NUMBER else self._blocks(response)

    async def send(self, framed: Framed, message: bytes) -> None:
        """Send an encoded reply: late, in part, or as it is."""
        if self._hits("delay_reply"):
            await asyncio.sleep(self.on["delay_reply"]["delay"])
        if self._hits("reset_mid_frame"):
            await framed.send_half(message)
            framed.stream.reset()
        elif self._hits("clean_close"):
            framed.stream.close()
        elif self._hits("truncate_frame"):
            await framed.send_half(message)
        else:
            await framed.send(message)

    def _hashes(self, response: Response) -> Response:
        hashes: Sequence[bytes] = response.hashes
        if any(hashes) and self._hits("wrong_hash"):
            hashes = [_other(hash_) if hash_ else hash_ for hash_ in hashes]
        if any(hashes) and self._hits("empty_hashes"):
            hashes = [b""] * len(hashes)
        return Response(response.kind, response.req_id, hashes=hashes)

    def _blocks(self, response: Response) -> Response:
        blocks, signatures = list(response.blocks), list(response.signatures)
        if blocks and self._hits("wrong_hash"):
            blocks[-1] = _with_other_parent(blocks[-1])
        if blocks and self._hits("wrong_block_count"):
            blocks.append(blocks[-1])
            signatures.append(signatures[-1])
        return Response(response.kind, response.req_id, blocks=blocks, signatures=signatures)

    def _hits(self, name: str) -> bool:
        parameters = self.on.get(name)
        if parameters is None or self._rng.random() >= parameters["probability"]:
            return False
        self._metrics.count("syncnode_faults_total", fault=name)
        return True

    def _pace(self) -> None:
        interval = self.on.get("discovery_interval", {}).get("interval", self._usual_interval)
        if interval != self._discovery.check_interval:
            self._discovery.check_interval = interval
            for callback in self.on_interval:
                callback()

    @staticmethod
    def _name(name: object) -> str:
        if not isinstance(name, str) or name not in KNOWN:
            raise WrongFault(f"no fault is called {name!r}; known: {', '.join(KNOWN)}")
        return name


def _other(hash_: bytes) -> bytes:
    """Return a hash that no block has."""
    return bytes(byte ^ 0xFF for byte in hash_)


def _with_other_parent(body: bytes) -> bytes:
    """Return a block at the same height with a parent that there is not, and so with a hash that nobody signed."""
    message = wire.Message(body)
    block = Block(message.data(1), message.data(2), b"")
    return Block.build(block.height, block.slot, _other(block.parent), block.proposer, block.payload).body()
