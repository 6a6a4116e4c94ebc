"""What the node writes by hand is protobuf: code generated from sync.proto reads the same, and the other way round."""

from __future__ import annotations

import importlib.util
import random
from types import ModuleType
from typing import Any

import pytest
from grpc_tools import protoc
from hypothesis import given
from hypothesis import strategies as st
from loopback import IMAGE
from simulation import World
from syncnode import messages, wire
from syncnode.block import Block
from syncnode.config import P2PKeys
from syncnode.errors import ProtocolError
from syncnode.frames import Hello
from syncnode.framing import Framed
from syncnode.log import Log
from syncnode.messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_HASHES, BLOCKS_BY_NUM, Request, Response
from syncnode.metrics import Metrics
from syncnode.swarm import Swarm

REQUESTS = {
    BLOCK_NUMBER: "get_block_number_request",
    BLOCK_HASHES: "get_block_hashes_request",
    BLOCKS_BY_NUM: "get_blocks_by_num_request",
    BLOCKS_BY_HASHES: "get_blocks_by_hashes_request",
}
RESPONSES = {kind: name.replace("request", "response") for kind, name in REQUESTS.items()}

U64 = st.integers(0, 2**64 - 1)
NUMS = st.lists(U64, max_size=50)
BYTES = st.lists(st.binary(max_size=40), max_size=10)
HASHES = st.lists(st.sampled_from([b"", bytes(32), bytes(range(32))]), max_size=50)
"""An empty one stands for a number that the peer does not know."""
FIELD = st.integers(100, 2**29 - 1)
UNKNOWN = st.lists(
    st.one_of(
        st.builds(wire.number, FIELD, U64),
        st.builds(wire.data, FIELD, st.binary(max_size=20)),
        st.builds(lambda f, raw: wire.varint(f << 3 | 1) + raw, FIELD, st.binary(min_size=8, max_size=8)),
        st.builds(lambda f, raw: wire.varint(f << 3 | 5) + raw, FIELD, st.binary(min_size=4, max_size=4)),
    ),
    max_size=4,
).map(b"".join)


@pytest.fixture(scope="module")
def proto(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("generated")
    assert protoc.main(["protoc", f"-I{IMAGE}", f"--python_out={folder}", "sync.proto"]) == 0
    spec = importlib.util.spec_from_file_location("sync_pb2", folder / "sync_pb2.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated(proto: ModuleType, sent: Request | Response) -> Any:
    """Read with the generated code what the node wrote."""
    return proto.Message.FromString(sent.encode())


def written(message: Any) -> Request | Response:
    """Read with the node what the generated code wrote."""
    return messages.decode(message.SerializeToString())


def same(one: Request | Response, other: Request | Response) -> bool:
    return type(one) is type(other) and all(getattr(one, key) == getattr(other, key) for key in one.__slots__)


def test_the_numbers_are_those_of_the_real_messages(proto):
    assert proto.DESCRIPTOR.package == "harmony.stream.sync.message"
    for name, shift in (("Request", 2), ("Response", 3)):
        kinds = {field.number: field.name for field in proto.DESCRIPTOR.message_types_by_name[name].fields}
        assert sorted(kinds) == list(range(1, 10 + shift))
        assert kinds[shift + 4] == f"get_node_data_{name.lower()}"
        assert kinds[shift + 9] == f"get_trie_nodes_{name.lower()}"
    assert set(messages.NAMES) | set(messages.OTHERS) == set(range(2, 12)) | {messages.UNKNOWN}


@given(U64, NUMS, BYTES)
def test_generated_code_reads_the_requests_of_the_node(proto, req_id, nums, hashes):
    for kind, name in REQUESTS.items():
        got = generated(proto, request(kind, req_id, nums, hashes))
        assert got.WhichOneof("req_or_resp") == "req"
        assert (got.req.req_id, got.req.WhichOneof("request")) == (req_id, name)
        body = getattr(got.req, name)
        assert list(getattr(body, "nums", nums)) == nums
        assert list(getattr(body, "block_hashes", hashes)) == hashes


@given(U64, NUMS, BYTES)
def test_the_node_reads_the_requests_of_generated_code(proto, req_id, nums, hashes):
    for kind, name in REQUESTS.items():
        sent = proto.Message(req=proto.Request(req_id=req_id))
        body = getattr(sent.req, name)
        body.SetInParent()
        for key, values in (("nums", nums), ("block_hashes", hashes)):
            if hasattr(body, key):
                getattr(body, key).extend(values)
        assert same(written(sent), request(kind, req_id, nums, hashes))


@given(U64, U64, HASHES, BYTES, st.text(min_size=1, max_size=30))
def test_generated_code_reads_the_responses_of_the_node(proto, req_id, number, hashes, blocks, error):
    for sent in responses(req_id, number, hashes, blocks, error):
        got = generated(proto, sent).resp
        assert got.req_id == req_id
        if sent.error:
            assert (got.WhichOneof("response"), got.error_response.error) == ("error_response", error)
            continue
        assert got.WhichOneof("response") == RESPONSES[sent.kind]
        body = getattr(got, RESPONSES[sent.kind])
        assert getattr(body, "number", number) == number
        assert list(getattr(body, "hashes", hashes)) == hashes
        assert list(getattr(body, "blocks_bytes", blocks)) == blocks
        assert list(getattr(body, "commit_sig", blocks[::-1])) == blocks[::-1]


@given(U64, U64, HASHES, BYTES, st.text(min_size=1, max_size=30))
def test_the_node_reads_the_responses_of_generated_code(proto, req_id, number, hashes, blocks, error):
    for wanted in responses(req_id, number, hashes, blocks, error):
        sent = proto.Message(resp=proto.Response(req_id=req_id))
        if wanted.error:
            sent.resp.error_response.error = error
            assert same(written(sent), wanted)
            continue
        body = getattr(sent.resp, RESPONSES[wanted.kind])
        body.SetInParent()
        if wanted.kind == BLOCK_NUMBER:
            body.number = number
        elif wanted.kind == BLOCK_HASHES:
            body.hashes.extend(hashes)
        else:
            body.blocks_bytes.extend(blocks)
            body.commit_sig.extend(blocks[::-1])
        assert same(written(sent), wanted)


@given(U64, NUMS, st.integers(0, 50))
def test_numbers_may_be_packed_or_not_or_both(proto, req_id, nums, cut):
    """As older writers of protobuf do it, and as a reader must take it."""
    plain = b"".join(wire.varint(1 << 3) + wire.varint(value) for value in nums[:cut])
    body = plain + wire.packed(1, nums[cut:])
    for kind, name in ((BLOCK_HASHES, REQUESTS[BLOCK_HASHES]), (BLOCKS_BY_NUM, REQUESTS[BLOCKS_BY_NUM])):
        raw = wire.data(1, wire.number(1, req_id) + wire.data(kind, body))
        assert list(getattr(proto.Message.FromString(raw).req, name).nums) == nums
        assert same(messages.decode(raw), Request(kind, nums, req_id=req_id))


@given(UNKNOWN, UNKNOWN, UNKNOWN, U64, NUMS)
def test_fields_that_nobody_knows_are_passed_over(proto, outer, middle, inner, req_id, nums):
    """Newer versions of a message have them, of whatever type."""
    request = wire.data(BLOCK_HASHES, inner + wire.packed(1, nums) + inner)
    raw = outer + wire.data(1, middle + wire.number(1, req_id) + request + middle) + outer
    assert list(proto.Message.FromString(raw).req.get_block_hashes_request.nums) == nums
    assert same(messages.decode(raw), Request(BLOCK_HASHES, nums, req_id=req_id))
    response = wire.data(3, inner + wire.number(1, 7) + inner)
    raw = outer + wire.data(2, middle + wire.number(1, req_id) + response + middle) + outer
    assert proto.Message.FromString(raw).resp.get_block_number_response.number == 7
    assert same(messages.decode(raw), Response(BLOCK_NUMBER, req_id, number=7))


@given(st.permutations([2, 3, 4, 5, 6, 11]))
def test_of_two_kinds_in_one_request_the_last_counts(proto, kinds):
    raw = wire.data(1, b"".join(wire.data(kind, b"") for kind in kinds))
    got = proto.Message.FromString(raw).req
    last = next(f.number for f in got.DESCRIPTOR.fields if f.name == got.WhichOneof("request"))
    asked = messages.decode(raw)
    assert isinstance(asked, Request)
    assert asked.kind == last == kinds[-1]


@given(U64)
def test_kinds_that_the_node_does_not_serve_are_known_for_what_they_are(proto, req_id):
    """One that the protocol has not had so far is still a question with an id, to be answered with an error."""
    for field in proto.DESCRIPTOR.message_types_by_name["Request"].fields[5:]:
        sent = proto.Message(req=proto.Request(req_id=req_id))
        getattr(sent.req, field.name).SetInParent()
        assert same(written(sent), Request(field.number, req_id=req_id))
    later = wire.data(1, wire.number(1, req_id) + wire.data(12, b"more"))
    assert proto.Message.FromString(later).req.WhichOneof("request") is None
    assert same(messages.decode(later), Request(messages.UNKNOWN, req_id=req_id))


@given(st.data())
def test_a_damaged_message_is_refused_or_means_the_same_to_both(proto, data):
    sent = data.draw(
        st.sampled_from(
            [
                Request(BLOCK_HASHES, [1, 300], req_id=7).encode(),
                Request(BLOCKS_BY_HASHES, hashes=[bytes(4), b""], req_id=2**64 - 1).encode(),
                Response(BLOCKS_BY_NUM, 9, blocks=[b"block"], signatures=[b"s"]).encode(),
            ]
        )
    )
    damaged = bytearray(sent)
    for place in data.draw(st.lists(st.integers(0, len(sent) - 1), max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        ours = messages.decode(bytes(damaged))
        theirs = proto.Message.FromString(bytes(damaged))
    except (ProtocolError, decode_error()):
        return
    if isinstance(ours, Request):
        assert theirs.WhichOneof("req_or_resp") == "req"
        assert ours.req_id == theirs.req.req_id
        name = REQUESTS.get(ours.kind)
        if name:
            body = getattr(theirs.req, name)
            assert ours.nums == tuple(getattr(body, "nums", ()))
            assert ours.hashes == tuple(getattr(body, "block_hashes", ours.hashes))
    else:
        assert theirs.WhichOneof("req_or_resp") == "resp"
        assert ours.req_id == theirs.resp.req_id
        name = RESPONSES.get(ours.kind)
        if name:
            body = getattr(theirs.resp, name)
            assert ours.blocks == tuple(getattr(body, "blocks_bytes", ()))
            assert ours.signatures == tuple(getattr(body, "commit_sig", ()))


def test_a_client_of_generated_code_is_served(proto, tmp_path, monkeypatch):
    """Kinds that the node has not are answered with an error, each, and the stream and the peer stay."""
    world = World(tmp_path, monkeypatch)

    async def story() -> None:
        node = await world.start("v", ["v"], [], discovery__soft_low_cap=0, discovery__hard_low_cap=0)
        await world.until(lambda: node.chain.height >= 5)
        hello = Hello("client", "client", "10.0.0.99:9000", node.rules.genesis.hash, 1, 0)
        swarm = Swarm(P2PKeys(), hello, Log("error"), Metrics(), random.Random(1))
        connection = await swarm.dial(node.config.p2p.listen)
        framed = Framed(await connection.open(node.rules.protocol("sync"), 5), 1 << 20)

        async def ask(sent: Any) -> Any:
            await framed.send(sent.SerializeToString())
            answer = proto.Message.FromString(await framed.receive()).resp
            assert answer.req_id == sent.req.req_id
            return answer

        for field in proto.DESCRIPTOR.message_types_by_name["Request"].fields[5:]:
            asked = proto.Message(req=proto.Request(req_id=field.number))
            getattr(asked.req, field.name).SetInParent()
            assert "not served" in (await ask(asked)).error_response.error
        nothing = proto.Message(req=proto.Request(req_id=77))
        assert "not served" in (await ask(nothing)).error_response.error
        nums = proto.GetBlocksByNumRequest(nums=[1, 2, 10**6])
        blocks = await ask(proto.Message(req=proto.Request(req_id=8, get_blocks_by_num_request=nums)))
        assert [Block.decode(*pair).height for pair in raw_blocks(blocks)] == [1, 2]
        nums = proto.GetBlockHashesRequest(nums=[0, 10**6])
        hashes = await ask(proto.Message(req=proto.Request(req_id=9, get_block_hashes_request=nums)))
        assert list(hashes.get_block_hashes_response.hashes) == [node.rules.genesis.hash, b""]
        assert not connection.closed
        swarm.close()

    world.run(story)


def raw_blocks(response: Any) -> list[tuple[bytes, bytes]]:
    body = response.get_blocks_by_num_response
    return list(zip(body.blocks_bytes, body.commit_sig, strict=True))


def test_nodes_load_no_protobuf():
    """The generated code is for these tests; no part of the node uses it."""
    for path in (IMAGE / "syncnode").glob("*.py"):
        assert "google" not in path.read_text(), path


def request(kind: int, req_id: int, nums: list[int], hashes: list[bytes]) -> Request:
    if kind in (BLOCK_HASHES, BLOCKS_BY_NUM):
        return Request(kind, nums, req_id=req_id)
    return Request(kind, hashes=hashes if kind == BLOCKS_BY_HASHES else (), req_id=req_id)


def responses(
    req_id: int, number: int, hashes: list[bytes], blocks: list[bytes], error: str
) -> list[Response]:
    return [
        Response(BLOCK_NUMBER, req_id, number=number),
        Response(BLOCK_HASHES, req_id, hashes=hashes),
        Response(BLOCKS_BY_NUM, req_id, blocks=blocks, signatures=blocks[::-1]),
        Response(BLOCKS_BY_HASHES, req_id, blocks=blocks, signatures=blocks[::-1]),
        Response(messages.UNKNOWN, req_id, error=error),
    ]


def decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
