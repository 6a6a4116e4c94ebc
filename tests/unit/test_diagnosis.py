"""The kernel's table of connections, against sockets of this process."""

from __future__ import annotations

import socket

from stressnet.agent.diagnosis import Connection, all_connections, open_diagnosis


def found(near: socket.socket) -> Connection:
    """What the kernel says of one of our sockets."""
    with open_diagnosis() as diagnosis:
        ends = near.getsockname()[1], near.getpeername()[1]
        (one,) = (one for one in all_connections(diagnosis) if (one.local[1], one.remote[1]) == ends)
    return one


def pair() -> tuple[socket.socket, socket.socket, socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    return listener, near, listener.accept()[0]


def test_ends_and_queues_are_as_they_are() -> None:
    """What was written and not read waits at the reader; it has arrived, so nothing waits at the writer."""
    listener, near, far = pair()
    with listener, near, far:
        near.sendall(b"x" * 1234)
        assert found(far) == Connection("ESTABLISHED", far.getsockname(), near.getsockname(), 1234, 0)
        assert found(near) == Connection("ESTABLISHED", near.getsockname(), far.getsockname(), 0, 0)


def test_bytes_that_the_other_end_has_no_room_for_wait_at_the_writer() -> None:
    listener, near, far = pair()
    with listener, near, far:
        near.setblocking(False)
        sent = near.send(bytes(1 << 24))
        assert 0 < sent - found(far).rqueue <= found(near).wqueue <= sent


def test_states_have_their_names() -> None:
    """One end has closed, the other not; whether the kernel has acknowledged that yet is its own affair."""
    listener, near, far = pair()
    with listener, near, far:
        near.shutdown(socket.SHUT_WR)
        assert found(near).state in ("FIN_WAIT1", "FIN_WAIT2")
        assert found(far).state == "CLOSE_WAIT"


def test_a_listener_is_no_connection_and_ipv4_is_shown_as_such() -> None:
    """Also where a socket of IPv6 speaks it, as programs in Go do."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as near, open_diagnosis() as diagnosis:
            ends = {one.local: one.remote for one in all_connections(diagnosis) if one.local[1] == port}
            assert ends == {("127.0.0.1", port): near.getsockname()}
