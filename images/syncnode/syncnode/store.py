"""The chain on disk: an append-only log of records with checksums, and a small index in memory.

A record is a block in the order in which it became part of the chain. One whose height is not above the
previous record's replaces what was there from that height on: that is how a change of branch is written.
Each append is one write into the page cache, so it outlives `kill -9`; only a crash of the machine can lose
the last seconds. Whatever does not end in a whole, valid record is cut off at the start; a file that does not
even begin with block 0 is somebody else's, and is left alone.
"""

from __future__ import annotations

import os
import struct
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from .block import HASH_SIZE, Block
from .errors import NodeError, StartError

_RECORD = struct.Struct("<II")  # length of the body, checksum of the body
_MAX_RECORD = 64 * 1024 * 1024
_SIGNATURE = struct.Struct("<B")


class Store:
    """The blocks of one chain by height; 40 bytes of memory a block."""

    def __init__(self, path: Path, genesis: Block, fsync_interval: float = 10.0) -> None:
        self._offsets = array("Q")
        self._hashes = bytearray()
        self._fsync_interval = fsync_interval
        self._synced = time.monotonic()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.cut_bytes = self._load(genesis)

    def __len__(self) -> int:
        return len(self._offsets)

    def hash(self, height: int) -> bytes:
        """Return the hash of the block at a height; IndexError where there is none."""
        if not 0 <= height < len(self._offsets):
            raise IndexError(height)
        return bytes(self._hashes[height * HASH_SIZE : (height + 1) * HASH_SIZE])

    def find(self, hash_: bytes) -> int:
        """Return the height of the block with that hash, -1 where there is none; quick near the tip."""
        if len(hash_) != HASH_SIZE:
            return -1
        at = self._hashes.rfind(hash_)
        while at >= 0 and at % HASH_SIZE:
            at = self._hashes.rfind(hash_, 0, at + HASH_SIZE - 1)
        return at // HASH_SIZE if at >= 0 else -1

    def raw(self, height: int) -> tuple[bytes, bytes]:
        """Read the body and the signature of the block at a height."""
        offset = self._offsets[height]
        size, _ = _RECORD.unpack(os.pread(self._file, _RECORD.size, offset))
        record = os.pread(self._file, size, offset + _RECORD.size)
        split = 1 + record[0]
        return record[split:], record[1:split]

    def block(self, height: int) -> Block:
        """Read the block at a height."""
        return Block.decode(*self.raw(height))

    def append(self, blocks: Sequence[Block]) -> None:
        """Write blocks that follow each other, the first of them on a block that is there, in one go."""
        end = os.fstat(self._file).st_size
        offsets = []
        out = bytearray()
        for block in blocks:
            offsets.append(end + len(out))
            out += _encode(block)
        self._write(out, end)
        for block, offset in zip(blocks, offsets, strict=True):
            self._index(block, offset)

    def _write(self, out: bytearray, offset: int) -> None:
        written = 0
        try:
            while written < len(out):
                written += os.write(self._file, memoryview(out)[written:])
        except OSError as error:
            os.ftruncate(self._file, offset)  # a full disk must not leave half a record before the next one
            raise OSError(error.errno, error.strerror, str(self._path)) from None
        if time.monotonic() - self._synced > self._fsync_interval:
            self.sync()

    def sync(self) -> None:
        """Force what was written to the disk."""
        os.fdatasync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Force what was written to the disk and close the file."""
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = -1

    def _index(self, block: Block, offset: int) -> None:
        if block.height != len(self._offsets):
            del self._offsets[block.height :]
            del self._hashes[block.height * HASH_SIZE :]
        self._offsets.append(offset)
        self._hashes += block.hash

    def _load(self, genesis: Block) -> int:
        size = os.fstat(self._file).st_size
        offset = 0
        while (block_and_end := self._record(offset, size)) is not None:
            block, end = block_and_end
            if not self._fits(block):
                break
            self._index(block, offset)
            offset = end
        if len(self) and self.hash(0) != genesis.hash:
            raise StartError(
                "the data directory holds the chain of another net (seed, validators or block time)"
            )
        if size and not offset and not self._torn(_encode(genesis)):
            raise StartError(f"{self._path} is no chain of blocks: with it moved away, all is synced anew")
        if size > offset:
            os.ftruncate(self._file, offset)
        if not len(self):
            self.append([genesis])
        return size - offset

    def _torn(self, first: bytes) -> bool:
        """Tell whether the file holds but a part of its first record."""
        return first.startswith(os.pread(self._file, len(first) + 1, 0))

    def _record(self, offset: int, end: int) -> tuple[Block, int] | None:
        head = os.pread(self._file, _RECORD.size, offset)
        if len(head) < _RECORD.size:
            return None
        size, checksum = _RECORD.unpack(head)
        offset += _RECORD.size
        if not 1 <= size <= _MAX_RECORD or offset + size > end:
            return None
        record = os.pread(self._file, size, offset)
        if len(record) != size or crc32(record) != checksum:
            return None
        split = 1 + record[0]
        try:
            return Block.decode(record[split:], record[1:split]), offset + size
        except NodeError:
            return None

    def _fits(self, block: Block) -> bool:
        if block.height == 0:
            return not len(self)
        return 0 < block.height <= len(self) and self.hash(block.height - 1) == block.parent


def _encode(block: Block) -> bytes:
    record = _SIGNATURE.pack(len(block.signature)) + block.signature + block.body()
    return _RECORD.pack(len(record), crc32(record)) + record
