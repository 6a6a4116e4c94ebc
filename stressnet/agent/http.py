"""One HTTP/1.1 conversation with a port inside a node's namespace, kept open between questions."""

from __future__ import annotations

import asyncio
import socket

import h11

from stressnet.agent.sockets import OpenSocket, connect

_READ = 65536
_LARGEST = 16 * 1024 * 1024
"""Longest answer that is read, bytes: a node's metrics page is well under 1 MB."""


class Session:
    """Asks one port questions, one at a time; connects again when the node has closed."""

    def __init__(self, open_socket: OpenSocket, addresses: tuple[str, ...], port: int) -> None:
        self._open = open_socket
        self._addresses = addresses
        self._port = port
        self._socket: socket.socket | None = None
        self._state = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, path: str, body: bytes = b"", *, timeout: float) -> tuple[int, bytes]:
        """Return status and content of the answer; OSError or TimeoutError where there is none."""
        kept = self._socket is not None
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(method, path, body)
        except TimeoutError:  # an OSError too, but one more question would only wait again
            self.close()
            raise
        except (OSError, h11.RemoteProtocolError) as error:
            self.close()
            if not kept:
                raise OSError(str(error)) from error
        except BaseException:
            self.close()
            raise
        return await self.ask(method, path, body, timeout=timeout)

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = await connect(self._open, self._addresses, self._port)
            self._state = h11.Connection(h11.CLIENT)
        headers = [("Host", f"{self._addresses[0]}:{self._port}"), ("Accept", "*/*")]
        if body:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        message = self._state.send(h11.Request(method=method, target=path, headers=headers)) or b""
        if body:
            message += self._state.send(h11.Data(data=body)) or b""
        message += self._state.send(h11.EndOfMessage()) or b""
        await asyncio.get_running_loop().sock_sendall(self._socket, message)
        answer = await self._answer(self._socket)
        self._settle()
        return answer

    async def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        status, content = 0, bytearray()
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                self._state.receive_data(await asyncio.get_running_loop().sock_recv(connection, _READ))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > _LARGEST:
                    raise OSError(f"an answer of more than {_LARGEST} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return status, bytes(content)
            elif isinstance(event, h11.ConnectionClosed):
                raise OSError("closed before the answer was complete")

    def _settle(self) -> None:
        if self._state.our_state is h11.MUST_CLOSE or self._state.their_state is not h11.DONE:
            self.close()
        else:
            self._state.start_next_cycle()

    def close(self) -> None:
        """Close the connection; the next question opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
