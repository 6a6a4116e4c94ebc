"""The protobuf wire format, as far as the few messages of this node need it: varints and byte strings.

By hand because of what protobuf's runtime costs each node of a crowd (docs/design.md). Fields of fixed size are
passed over, because no message here has one; groups are refused: proto3 has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .errors import ProtocolError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_MOST = 65536
"""Fields of one message, and numbers of one list: many small ones need far more memory than they have bytes."""
_MOST_TEXT = 1024
"""Bytes of a name, an id, an address or a reason: what peers are called is kept."""


def varint(value: int) -> bytes:
    """Encode an unsigned integer."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """Encode a field that holds an unsigned integer; 0 is left out, as proto3 does."""
    return varint(field << 3 | VARINT) + varint(value) if value else b""


def data(field: int, value: bytes) -> bytes:
    """Encode a field that holds bytes, text or a message; it is written even when empty."""
    return varint(field << 3 | BYTES) + varint(len(value)) + value


def packed(field: int, values: Iterable[int]) -> bytes:
    """Encode a packed list of unsigned integers."""
    return data(field, b"".join(map(varint, values)))


def read_varint(buffer: bytes, at: int) -> tuple[int, int]:
    """Return the integer at that place and the place after it."""
    value = shift = 0
    while True:
        if at >= len(buffer) or shift > 63:
            raise ProtocolError("a number is cut off or too long")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    if value >> 64:
        raise ProtocolError("a number needs more than 64 bits")
    return value, at


def fields(buffer: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield each field's number and value; ProtocolError where the bytes are no message."""
    at, end, count = 0, len(buffer), 0
    while at < end:
        if (count := count + 1) > _MOST:
            raise ProtocolError(f"a message of more than {_MOST} fields")
        key, at = read_varint(buffer, at)
        if not 8 <= key < 1 << 32:
            raise ProtocolError(f"no field has the number {key >> 3}")
        if key & 7 == VARINT:
            value, at = read_varint(buffer, at)
            yield key >> 3, value
        elif key & 7 == BYTES:
            size, at = read_varint(buffer, at)
            if at + size > end:
                raise ProtocolError("a field is longer than its message")
            yield key >> 3, buffer[at : at + size]
            at += size
        elif key & 7 in _FIXED:
            at += _FIXED[key & 7]
            if at > end:
                raise ProtocolError("a field is longer than its message")
        else:
            raise ProtocolError(f"a field of wire type {key & 7}")


def unpack(buffer: bytes) -> list[int]:
    """Decode a packed list of unsigned integers."""
    values: list[int] = []
    at = 0
    while at < len(buffer):
        if len(values) >= _MOST:
            raise ProtocolError(f"a list of more than {_MOST} numbers")
        value, at = read_varint(buffer, at)
        values.append(value)
    return values


class Message:
    """The fields of one message by number, with the type that the reader expects checked."""

    __slots__ = ("_fields",)

    def __init__(self, buffer: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        """In the order in which each came last."""
        for field, value in fields(buffer):
            values = self._fields.pop(field, None) or []
            values.append(value)
            self._fields[field] = values

    def number(self, field: int) -> int:
        """Return the last value of a field of integers; 0 where it is absent."""
        value = self._fields.get(field, [0])[-1]
        if not isinstance(value, int):
            raise ProtocolError(f"field {field} is no number")
        return value

    def data(self, field: int) -> bytes:
        """Return the last value of a field of bytes; empty where it is absent."""
        value = self._fields.get(field, [b""])[-1]
        if not isinstance(value, bytes):
            raise ProtocolError(f"field {field} is no byte string")
        return value

    def text(self, field: int) -> str:
        """Return the last value of a field of text; empty where it is absent."""
        value = self.data(field)
        if len(value) > _MOST_TEXT:
            raise ProtocolError(f"field {field} is a text of {len(value)} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ProtocolError(f"field {field} is no text") from None

    def all(self, field: int) -> list[bytes]:
        """Return every value of a repeated field of bytes."""
        values = self._fields.get(field, [])
        if not all(isinstance(value, bytes) for value in values):
            raise ProtocolError(f"field {field} is no byte string")
        return values  # type: ignore[return-value]

    def numbers(self, field: int) -> list[int]:
        """Return every value of a repeated field of integers, packed or not."""
        out: list[int] = []
        for value in self._fields.get(field, []):
            out.extend(unpack(value) if isinstance(value, bytes) else (value,))
            if len(out) > _MOST:
                raise ProtocolError(f"a list of more than {_MOST} numbers")
        return out

    def one_of(self, group: Sequence[int]) -> int:
        """Return which of several fields that exclude each other is set: the last that came; 0 for none."""
        return next((field for field in reversed(self._fields) if field in group), 0)

    def __contains__(self, field: int) -> bool:
        return field in self._fields
