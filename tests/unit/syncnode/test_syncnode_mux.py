"""Streams on one connection: order, windows, half-close, reset; and one connection per pair of peers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket

import pytest
from loopback import address
from syncnode import frames
from syncnode.config import P2PKeys
from syncnode.connection import Connection
from syncnode.errors import DialError, ProtocolError, StreamClosed, StreamReset
from syncnode.framing import Framed
from syncnode.identity import peer_id
from syncnode.keeper import Keeper
from syncnode.log import Log
from syncnode.metrics import Metrics
from syncnode.stream import Stream
from syncnode.swarm import Swarm

WINDOW = 65536


def swarm(name: str, genesis: bytes = b"g", instance: int = 1, host: str = "") -> Swarm:
    keys = P2PKeys(
        listen=f"{host or address()}:9000", window=WINDOW, handshake_timeout=5.0, keepalive_interval=0.2
    )
    hello = frames.Hello(peer_id(1, name), name, keys.listen, genesis, instance, 0)
    return Swarm(keys, hello, Log("error"), Metrics(), random.Random(1))


async def pair(handler) -> tuple[Swarm, Swarm, Connection]:
    """Return two swarms and the connection that the first has dialled to the second."""
    one, two = swarm("one"), swarm("two")
    two.handlers["test"] = handler
    await two.listen()
    return one, two, await one.dial(two.keys.listen)


def run(test, handler=lambda stream: None) -> None:
    """Run a test with a connection whose far end puts inbound streams into a queue."""

    async def main() -> None:
        inbound: asyncio.Queue[Stream] = asyncio.Queue()

        def accept(stream: Stream) -> int | None:
            refusal = handler(stream)
            if refusal is None:
                inbound.put_nowait(stream)
            return refusal

        one, two, connection = await pair(accept)
        try:
            async with asyncio.timeout(10):
                await test(connection, inbound)
        finally:
            one.close()
            two.close()
            await asyncio.sleep(0.01)

    asyncio.run(main())


async def settled(condition) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 (there is no event for what the far end does)
            await asyncio.sleep(0.01)


def test_much_data_arrives_whole_and_in_order():
    async def test(connection, inbound):
        stream = await connection.open("test", 1)
        data = os.urandom(WINDOW * 20 + 13)
        sending = asyncio.ensure_future(stream.write(data))
        far = await inbound.get()
        assert await far.read_exactly(len(data)) == data
        await sending

    run(test)


def test_a_writer_waits_for_a_reader_that_does_not_read_and_other_streams_go_on():
    async def test(connection, inbound):
        slow = await connection.open("test", 1)
        writing = asyncio.ensure_future(slow.write(bytes(WINDOW + 1)))
        far_slow = await inbound.get()
        quick = await connection.open("test", 1)
        await quick.write(b"quick")
        assert await (await inbound.get()).read_exactly(5) == b"quick"
        assert not writing.done()
        await far_slow.read_exactly(WINDOW)
        await writing

    run(test)


def test_messages_of_many_senders_never_mix():
    async def test(connection, inbound):
        stream = Framed(await connection.open("test", 1), 1 << 20)
        sent = [bytes([n]) * (30000 + n) for n in range(20)]
        sending = asyncio.gather(*map(stream.send, sent))
        far = Framed(await inbound.get(), 1 << 20)
        assert [await far.receive() for _ in sent] == sent
        await sending

    run(test)


def test_a_message_above_the_limit_is_a_protocol_error():
    async def test(connection, inbound):
        await Framed(await connection.open("test", 1), 1 << 20).send(bytes(101))
        with pytest.raises(ProtocolError, match="above the limit"):
            await Framed(await inbound.get(), 100).receive()

    run(test)


def test_close_ends_one_direction_and_both_closes_end_the_stream():
    async def test(connection, inbound):
        stream = await connection.open("test", 1)
        far = await inbound.get()
        await stream.write(b"last")
        stream.close()
        assert await far.read_exactly(4) == b"last"
        with pytest.raises(StreamClosed):
            await far.read_exactly(1)
        await far.write(b"answer")
        far.close()
        assert await stream.read_exactly(6) == b"answer"
        assert (connection.streams, far.connection.streams) == ({}, {})

    run(test)


def test_reset_ends_both_ends_at_once_with_its_code():
    async def test(connection, inbound):
        stream = await connection.open("test", 1)
        far = await inbound.get()
        far.reset(frames.INTERNAL)
        with pytest.raises(StreamReset) as caught:
            await stream.read_exactly(1)
        assert caught.value.code == frames.INTERNAL
        with pytest.raises(StreamReset):
            await stream.write(b"x")
        assert (connection.streams, far.connection.streams) == ({}, {})

    run(test)


def test_a_refused_stream_is_gone_at_both_ends():
    async def test(connection, inbound):
        for protocol, code in (("test", frames.REFUSED), ("nobody", frames.UNKNOWN_PROTOCOL)):
            with pytest.raises(StreamReset) as caught:
                await connection.open(protocol, 1)
            assert caught.value.code == code
        assert connection.streams == {}

    run(test, handler=lambda stream: frames.REFUSED)


def test_more_data_than_the_window_ends_the_connection():
    async def test(connection, inbound):
        stream = await connection.open("test", 1)
        far = await inbound.get()
        for _ in range(5):
            connection.send(frames.DATA, stream.number, bytes(16384))
        with pytest.raises(StreamReset):
            await far.read_exactly(WINDOW * 2)
        assert "window" in far.connection.close_reason

    run(test)


def test_rubbish_on_a_connection_ends_it():
    async def test(connection, inbound):
        await connection.open("test", 1)
        far = (await inbound.get()).connection
        connection.send(99, 0)
        await settled(lambda: far.closed)
        assert "no frame" in far.close_reason

    run(test)


def test_peers_that_dial_each_other_at_once_keep_the_same_single_connection():
    async def main():
        for attempt in range(20):
            one, two = swarm(f"one{attempt}"), swarm(f"two{attempt}")
            await asyncio.gather(one.listen(), two.listen())
            got = await asyncio.gather(
                one.dial(two.keys.listen), two.dial(one.keys.listen), return_exceptions=True
            )
            await asyncio.sleep(0.05)
            assert [set(s.peers) for s in (one, two)] == [{two.hello.peer_id}, {one.hello.peer_id}], got
            mine, theirs = one.peers[two.hello.peer_id], two.peers[one.hello.peer_id]
            assert (mine.dialled, theirs.dialled) == (one.hello.peer_id < two.hello.peer_id, not mine.dialled)
            assert not mine.closed
            assert not theirs.closed
            assert len(one._all) == len(two._all) == 1
            one.close()
            two.close()
            await asyncio.sleep(0)

    asyncio.run(main())


def test_a_peer_that_restarted_replaces_its_old_connection():
    async def main():
        one, two = swarm("one"), swarm("two")
        await one.listen()
        first = await two.dial(one.keys.listen)
        again = swarm("two", instance=2)
        await again.dial(one.keys.listen)
        await asyncio.sleep(0.05)
        assert one.peers[again.hello.peer_id].remote.instance == 2
        assert first.closed
        for each in (one, two, again):
            each.close()

    asyncio.run(main())


def test_a_peer_of_another_net_a_banned_one_and_oneself_are_refused():
    async def main():
        one = swarm("one")
        await one.listen()
        with pytest.raises(DialError, match="another net"):
            await swarm("two", genesis=b"other").dial(one.keys.listen)
        one.drop(peer_id(1, "three"), "it lied")
        banned = await swarm("three").dial(one.keys.listen)
        await settled(lambda: banned.closed)
        assert banned.close_code == frames.BANNED
        with pytest.raises(DialError):
            await one.dial(one.keys.listen)
        with pytest.raises(DialError):
            await one.dial(f"{address()}:9")
        assert one.peers == {}
        one.close()

    asyncio.run(main())


def test_a_peer_that_takes_nothing_has_to_go_whatever_it_sends():
    """Also its socket does, though much waits to be sent: once it is dropped, and by itself in the end."""

    async def main(dropped: bool) -> None:
        one, two = swarm("one"), swarm("two")
        one.keys.keepalive_timeout = 0.2
        two.handlers["test"] = lambda stream: None
        await two.listen()
        connection = await one.dial(two.keys.listen)
        streams = [await connection.open("test", 1) for _ in range(100)]
        deaf = two.peers[one.hello.peer_id]
        for end, room in ((connection, socket.SO_SNDBUF), (deaf, socket.SO_RCVBUF)):
            end._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, room, 16384)
        deaf._transport.pause_reading()
        writing = [asyncio.ensure_future(stream.write(bytes(WINDOW))) for stream in streams]
        await asyncio.sleep(0.1)
        assert not connection.writable
        assert connection._transport.get_write_buffer_size() < WINDOW * 3
        if dropped:
            one.drop(two.hello.peer_id, "a reason")
        else:
            while not connection.closed:
                deaf.probe()
                await asyncio.sleep(0.05)
            assert "it took nothing" in connection.close_reason
        await settled(lambda: connection._transport.get_extra_info("socket").fileno() == -1)
        ended = await asyncio.gather(*writing, return_exceptions=True)
        assert any(isinstance(error, StreamReset) for error in ended)
        one.close()
        two.close()
        await asyncio.sleep(0.05)

    asyncio.run(main(dropped=True))
    asyncio.run(main(dropped=False))


def test_a_crowd_that_does_not_greet_keeps_no_peer_out():
    """Of more than 128 that have not said who they are the oldest have to go."""

    async def main() -> None:
        one, two = swarm("one"), swarm("two")
        await one.listen()
        host, _, port = one.keys.listen.rpartition(":")
        crowd = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
        await settled(lambda: len(one._strangers) == 128)
        for reader, _ in crowd[: 200 - 128]:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        assert (await two.dial(one.keys.listen)).peer_id == one.hello.peer_id
        assert set(one.peers) == {two.hello.peer_id}
        for _, writer in crowd:
            writer.close()
        await settled(lambda: not one._strangers and len(one._all) == 1)
        one.close()
        two.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_keeper_remembers_no_peer_that_has_gone():
    """Also where another answers at the address each time."""

    async def main() -> None:
        one = swarm("one")
        one.keys.reconnect_min = 0.02
        where = address()
        keeper = Keeper(one, [f"{where}:9000"], Log("error"), random.Random(1))
        keeping = asyncio.ensure_future(keeper.keep(f"{where}:9000"))
        for number in range(4):
            other = swarm(f"other{number}", host=where)
            await other.listen()
            await settled(lambda id_=other.hello.peer_id: id_ in one.peers)
            other.close()
            await settled(lambda: not one.peers)
        assert keeper._lost == {}
        keeping.cancel()
        one.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_silent_peer_is_given_up():
    async def main():
        one, two = swarm("one"), swarm("two")
        one.keys.keepalive_timeout = 0.2
        await two.listen()
        connection = await one.dial(two.keys.listen)
        await asyncio.sleep(0.8)
        assert not connection.closed, "PING keeps an idle connection"
        two.peers[one.hello.peer_id]._transport.pause_reading()
        await asyncio.sleep(0.8)
        assert "silent" in connection.close_reason
        one.close()
        two.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())
