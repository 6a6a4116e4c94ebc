"""Whatever bytes come, a decoder gives what they say or its documented error; and what was encoded comes back.

Few cases by default. 10,000 for each property, 120,000 in all and four minutes, with

    python -m pytest tests/unit/syncnode/test_syncnode_fuzz.py --hypothesis-profile=many --timeout=0
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncnode import frames, messages, wire
from syncnode.block import Block
from syncnode.chain import Chain
from syncnode.config import Config, P2PKeys
from syncnode.connection import Connection
from syncnode.discovery import Record
from syncnode.errors import ProtocolError, StartError
from syncnode.framing import Framed
from syncnode.gossip import Gossip
from syncnode.log import Log
from syncnode.metrics import Metrics
from syncnode.rules import Rules
from syncnode.store import Store, _encode
from syncnode.stream import Stream
from syncnode.swarm import Swarm

RULES = Rules("net", 0, 1, ["a"], 1.0)
BLOCK = RULES.propose("a", RULES.genesis, 9, 40)
HASHES = [bytes([n]) * 32 for n in range(3)]
U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=40)
TIP = wire.number(1, 5) + wire.data(2, HASHES[1])

# Valid messages of each sort, to be changed here and there.
GREETINGS = [frames.Hello("Qm1", "one", "10.0.0.1:9000", HASHES[2], 2**62, 300).encode()]
RECORDS = [Record("Qm1", "one", "10.0.0.1:9000").encode()]
BLOCKS = [BLOCK.body(), RULES.genesis.body()]
GOSSIP = [
    wire.data(1, TIP),
    wire.data(2, wire.data(1, BLOCK.body()) + wire.data(2, BLOCK.signature)),
    wire.data(3, TIP),
    wire.data(4, HASHES[0]),
]
MESSAGES = [
    messages.Request(messages.BLOCK_NUMBER, req_id=1).encode(),
    messages.Request(messages.BLOCK_HASHES, [1, 300, 2**63], req_id=2**63).encode(),
    messages.Request(messages.BLOCKS_BY_NUM, [1], req_id=3).encode(),
    messages.Request(messages.BLOCKS_BY_HASHES, hashes=HASHES, req_id=4).encode(),
    messages.Response(messages.BLOCK_NUMBER, 5, number=77).encode(),
    messages.Response(messages.BLOCK_HASHES, 6, hashes=[*HASHES, b""]).encode(),
    messages.Response(messages.BLOCKS_BY_HASHES, 7, blocks=[BLOCK.body()], signatures=HASHES[:1]).encode(),
    messages.Response(0, 8, error="no").encode(),
]
FRAMES = [
    b"".join(frames.frame(kind, kind % 3, payload) for kind in range(1, 10))
    for payload in (b"", b"1234", GREETINGS[0])
]

EDIT = st.tuples(
    st.sampled_from(["flip", "set", "cut", "drop", "double", "insert"]),
    st.integers(0, 2**16),
    st.integers(0, 255),
)


def mangled(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """Make arbitrary bytes, and valid messages with a few changes."""
    return st.binary(max_size=120) | st.builds(
        _edited, st.sampled_from(valid), st.lists(EDIT, min_size=1, max_size=4)
    )


def _edited(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    out = bytearray(data)
    for what, place, value in edits:
        at = place % (len(out) + 1)
        if what == "insert":
            out.insert(at, value)
        elif what == "cut":
            del out[at:]
        elif what == "drop":
            del out[at : at + value % 8]
        elif what == "double":
            out[at:at] = out[at : at + value]
        elif at < len(out):
            out[at] = value if what == "set" else out[at] ^ 1 << value % 8
    return bytes(out)


def _looked_at(data: bytes) -> None:
    message = wire.Message(data)
    for read in (message.number, message.data, message.text, message.all, message.numbers):
        for field in range(6):
            with contextlib.suppress(ProtocolError):
                read(field)


DECODERS: dict[str, tuple[list[bytes], Callable[[bytes], Any]]] = {
    "wire": (MESSAGES + GOSSIP, _looked_at),
    "message": (MESSAGES, messages.decode),
    "greeting": (GREETINGS, frames.Hello.decode),
    "record": (RECORDS, Record.decode),
    "block": (BLOCKS, lambda data: Block.decode(data, BLOCK.signature)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_any_bytes_are_what_they_say_or_a_protocol_error(name):
    valid, decode = DECODERS[name]

    @given(mangled(valid))
    def test(data: bytes) -> None:
        with contextlib.suppress(ProtocolError):
            decode(data)

    test()
    for data in valid:
        decode(data)


@given(mangled(FRAMES), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_any_bytes_in_any_pieces_are_the_same_frames_or_the_same_error(data, cuts):
    def cut(sizes: list[int]) -> tuple[list[tuple[int, int, bytes]], bool]:
        decoder, got, at, number = frames.Decoder(), [], 0, 0
        try:
            while at < len(data):
                step = sizes[number % len(sizes)]
                for frame in decoder.feed(data[at : at + step]):
                    got.append(frame)  # noqa: PERF402 (those before the error count)
                at, number = at + step, number + 1
                assert len(decoder._rest) <= frames.HEADER.size + frames.MAX_PAYLOAD
        except ProtocolError:
            return got, True
        return got, False

    assert cut(cuts) == cut([len(data) + 1])


@pytest.fixture(scope="module")
def gossip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], None]]:
    """Return what a node does with a message of gossip, on a chain of its own and with nobody to send to."""
    loop = asyncio.new_event_loop()
    config, log, metrics, rng = Config(), Log("error"), Metrics(), random.Random(1)
    greeting = frames.Hello("me", "me", "", RULES.genesis.hash, 1, 0)
    chain = Chain(Store(tmp_path_factory.mktemp("fuzz") / "log", RULES.genesis), RULES)
    node = Gossip(
        Swarm(P2PKeys(), greeting, log, metrics, rng),
        chain,
        config,
        log,
        metrics,
        rng,
        lambda work: work.close(),
    )
    carrier = Connection(
        dialled=True, hello=greeting, handlers={}, on_hello=lambda _: None, on_close=lambda _: None
    )
    neighbour = node.neighbours.greet(Framed(Stream(carrier, 1, "gossip", 65536), 1 << 20))

    async def receive(message: bytes) -> None:
        with contextlib.suppress(ProtocolError):
            node._receive(neighbour, message)
        for timer, _ in node._wanted.values():
            timer.cancel()
        node._wanted.clear()

    yield lambda message: loop.run_until_complete(receive(message))
    assert chain.height <= 1
    loop.close()


@given(data=mangled(GOSSIP))
def test_any_gossip_is_taken_or_a_protocol_error(gossip, data):
    gossip(data)


@given(data=mangled([_encode(RULES.genesis) + _encode(BLOCK)]))
def test_any_file_is_a_chain_or_left_alone(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.log"
    path.write_bytes(data)
    try:
        Store(path, RULES.genesis).close()
    except StartError:
        assert path.read_bytes() == data


@given(TEXT.filter(bool), TEXT, TEXT, st.binary(max_size=40), U64, U64)
def test_greetings_come_back(peer_id, name, address, genesis, instance, dial):
    sent = frames.Hello(peer_id, name, address, genesis, instance, dial)
    got = frames.Hello.decode(sent.encode())
    assert all(getattr(got, slot) == getattr(sent, slot) for slot in frames.Hello.__slots__)


@given(TEXT, TEXT, TEXT)
def test_records_come_back(peer_id, name, address):
    got = Record.decode(Record(peer_id, name, address).encode())
    assert (got.peer_id, got.name, got.address) == (peer_id, name, address)


@given(U64, U64, st.binary(min_size=32, max_size=32), TEXT, st.binary(max_size=200), st.binary(max_size=40))
def test_blocks_come_back(height, slot, parent, proposer, payload, signature):
    sent = Block.build(height, slot, parent, proposer, payload)
    sent.signature = signature
    got = Block.decode(sent.body(), signature)
    assert all(getattr(got, slot) == getattr(sent, slot) for slot in Block.__slots__)


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), U64 | st.binary(max_size=20)), max_size=20))
def test_fields_come_back(sent):
    data = b"".join(
        wire.number(field, value) if isinstance(value, int) else wire.data(field, value)
        for field, value in sent
    )
    assert list(wire.fields(data)) == [(field, value) for field, value in sent if value != 0 or value == b""]


@pytest.mark.parametrize("crumbs", [b"\x08\x01", b"\x0a\x00"], ids=["numbers", "empty strings"])
def test_a_message_of_crumbs_is_refused_before_it_needs_memory(crumbs):
    with pytest.raises(ProtocolError, match="65536 fields"):
        wire.Message(crumbs * 70_000)
    with pytest.raises(ProtocolError, match="65536 numbers"):
        wire.Message(wire.data(1, b"\x01" * 40_000) * 2).numbers(1)
    with pytest.raises(ProtocolError, match="65536 numbers"):
        wire.unpack(b"\x01" * 70_000)
