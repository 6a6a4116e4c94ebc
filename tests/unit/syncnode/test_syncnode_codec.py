"""What goes over the wire comes back as it was, in whatever pieces it travels."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncnode import frames, messages, wire
from syncnode.block import Block
from syncnode.errors import InvalidBlock, ProtocolError
from syncnode.rules import Rules

U64 = st.integers(0, 2**64 - 1)
HASH = st.binary(min_size=32, max_size=32)
FRAME = st.tuples(st.integers(1, 9), st.integers(0, 2**32 - 1), st.binary(max_size=300))


@given(st.lists(FRAME, max_size=8), st.lists(st.integers(1, 40), min_size=1))
def test_frames_come_back_whatever_the_pieces(sent, cuts):
    data = b"".join(frames.frame(*frame) for frame in sent)
    decoder, got, at = frames.Decoder(), [], 0
    for number in range(len(data) + 1):
        step = cuts[number % len(cuts)]
        got += decoder.feed(data[at : at + step])
        at += step
        if at >= len(data):
            break
    assert got == sent


def test_an_impossible_frame_is_refused():
    for data in (b"\x00" + bytes(8), b"\x0a" + bytes(8), frames.HEADER.pack(3, 1, frames.MAX_PAYLOAD + 1)):
        with pytest.raises(ProtocolError):
            list(frames.Decoder().feed(data))


@given(U64)
def test_varints_come_back(value):
    encoded = wire.varint(value)
    assert wire.read_varint(encoded, 0) == (value, len(encoded))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_protocol_error(data):
    for read in (wire.Message, messages.decode, frames.Hello.decode, lambda raw: Block.decode(raw, b"")):
        with contextlib.suppress(ProtocolError):
            read(data)


@given(U64, st.lists(U64, max_size=50), st.lists(HASH, max_size=10))
def test_requests_come_back(req_id, nums, hashes):
    for kind in messages.NAMES:
        sent = messages.Request(kind, req_id=req_id)
        if kind in (messages.BLOCK_HASHES, messages.BLOCKS_BY_NUM):
            sent.nums = tuple(nums)
        elif kind == messages.BLOCKS_BY_HASHES:
            sent.hashes = tuple(hashes)
        got = messages.decode(sent.encode())
        assert isinstance(got, messages.Request)
        assert (got.kind, got.req_id, got.nums, got.hashes) == (kind, req_id, sent.nums, sent.hashes)


@given(U64, U64, st.lists(HASH, max_size=5), st.text(max_size=20))
def test_responses_come_back(req_id, number, hashes, error):
    sent = [
        messages.Response(messages.BLOCK_NUMBER, req_id, number=number),
        messages.Response(messages.BLOCK_HASHES, req_id, hashes=[*hashes, b""]),
        messages.Response(messages.BLOCKS_BY_NUM, req_id, blocks=hashes, signatures=hashes),
        messages.Response(messages.BLOCKS_BY_HASHES, req_id, blocks=hashes, signatures=hashes),
    ]
    if error:
        sent.append(messages.Response(0, req_id, error=error))
    for response in sent:
        got = messages.decode(response.encode())
        assert isinstance(got, messages.Response)
        assert all(getattr(got, name) == getattr(response, name) for name in messages.Response.__slots__)


def test_field_numbers_are_those_of_the_protocol():
    assert (
        messages.Request(messages.BLOCKS_BY_NUM, [1, 300], req_id=7).encode().hex()
        == "0a09080722050a0301ac02"
    )
    assert messages.Response(messages.BLOCK_NUMBER, 7, number=5).encode().hex() == "120608071a020805"


def test_a_block_comes_back_and_a_changed_one_does_not():
    rules = Rules("net", 0, 1, ["a"], 1.0)
    block = rules.propose("a", rules.genesis, 9, 100)
    again = Block.decode(block.body(), block.signature)
    assert (again.hash, again.height, again.slot, again.payload) == (block.hash, 1, 9, block.payload)
    body = bytearray(block.body())
    body[-1] ^= 1
    with pytest.raises(InvalidBlock, match="payload"):
        Block.decode(bytes(body), block.signature)
