"""What is on disk outlives kill -9, damage and a full disk: a chain opens again, or the file is left alone."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import IMAGE, Net, Process, until
from syncnode.chain import Chain
from syncnode.errors import StartError
from syncnode.rules import Rules
from syncnode.store import Store

RULES = Rules("net", 0, 1, ["a"], 1.0)
KILLS = 15

WRITER = """
import os, random, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from syncnode.chain import Chain
from syncnode.rules import Rules
from syncnode.store import Store

rules, rng = Rules("net", 0, 1, ["a"], 1.0), random.Random(sys.argv[3])
chain = Chain(Store(Path(sys.argv[2]), rules.genesis, fsync_interval=0.01), rules)
while True:
    parent = chain.block_at(max(0, chain.height - rng.choice((0, 0, 0, 3))))
    branch = []
    for _ in range(rng.randint(4, 12)):
        parent = rules.propose("a", parent, parent.slot + rng.randint(1, 9), rng.randint(0, 9000))
        branch.append(parent)
    chain.switch(branch)
    os.write(1, b"%d %s\\n" % (chain.height, chain.head.hash.hex().encode()))
"""
"""Adds blocks and changes branches as fast as it can, and says after each write what must be there from then on."""


def grown(path: Path, count: int, payload: int = 50) -> list[bytes]:
    """Make a chain of so many blocks; return the hashes of all, genesis first."""
    chain = Chain(Store(path, RULES.genesis), RULES)
    for slot in range(1, count + 1):
        chain.add(RULES.propose("a", chain.head, slot, payload))
    chain.close()
    return [chain.hash_at(height) for height in range(count + 1)]


def hashes(path: Path) -> list[bytes]:
    """Open a chain, read every block of it, and return their hashes."""
    store = Store(path, RULES.genesis)
    blocks = [store.block(height) for height in range(len(store))]
    store.close()
    for parent, block in itertools.pairwise(blocks):
        RULES.check_link(block, parent)
    return [block.hash for block in blocks]


def test_kill_9_at_any_moment_leaves_a_chain_that_opens(tmp_path):
    """All that was written when the process died is there, and nothing that was not."""
    rng, path, cut = random.Random(9), tmp_path / "log", 0
    for number in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-S", "-c", WRITER, str(IMAGE), str(path), str(number)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(rng.uniform(0, 0.03))
        writer.kill()
        writer.wait()
        told = (first + writer.stdout.read()).decode().splitlines()
        writer.stdout.close()
        height, head = max(told, key=lambda line: int(line.split()[0])).split()
        found = hashes(path)
        assert found[int(height)].hex() == head or len(found) > int(height) + 1, f"round {number}"
        cut += len(told)
    assert cut > KILLS, "the writer was killed in the middle of its work"


def test_a_log_cut_at_any_byte_of_its_last_record_opens_without_it(tmp_path):
    path = tmp_path / "log"
    grown(path, 4)
    last = path.stat().st_size
    path.unlink()
    whole = grown(path, 5)
    data = path.read_bytes()
    for size in range(last, len(data)):
        path.write_bytes(data[:size])
        assert hashes(path) == whole[:5], f"cut at byte {size}"
        assert path.stat().st_size == last


def test_a_first_record_cut_at_any_byte_is_written_anew(tmp_path):
    path = tmp_path / "log"
    whole = grown(path, 0)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert hashes(path) == whole, f"cut at byte {size}"


def test_a_flipped_bit_anywhere_costs_at_most_what_follows_it(tmp_path):
    """The chain opens up to the damage. Where block 0 is hit the file is left alone, and the node says so."""
    path, rng = tmp_path / "log", random.Random(3)
    grown(path, 0)
    first = path.stat().st_size
    whole = grown(path, 4)
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        if place < first:
            with pytest.raises(StartError, match="no chain of blocks"):
                Store(path, RULES.genesis)
            assert path.read_bytes() == damaged, "nothing was written to it"
        else:
            found = hashes(path)
            assert found == whole[: len(found)], f"byte {place}"
            assert len(found) < len(whole)
            assert path.read_bytes() == data[: path.stat().st_size]


@pytest.mark.parametrize("kind", ["empty", "foreign", "zeros", "a directory", "not ours to read"])
def test_a_node_says_what_it_cannot_read_and_touches_it_not(make_net, kind):
    node = make_net(["f"], ["v0"])["f"]
    log = node.home / "data" / "blocks.log"
    log.parent.mkdir()
    if kind == "a directory":
        log.mkdir()
    else:
        log.write_bytes({"foreign": b"%PDF-1.4" * 100, "zeros": bytes(5000)}.get(kind, b""))
    if kind == "not ours to read":
        log.chmod(0)
        if os.access(log, os.R_OK):
            pytest.skip("root may read everything")
    before = log.read_bytes() if kind in ("foreign", "zeros") else None
    node.start()
    assert node.process is not None
    if kind == "empty":
        until(lambda: node.height() == 0, 10, "the node runs")
        assert node.end() == 0
        return
    assert node.process.wait(10) == 1
    assert "blocks.log" in node.log()
    assert "Traceback" not in node.log()
    assert before is None or log.read_bytes() == before


class FullDisk:
    """A disk that is full after some blocks, and has room again when it is told to.

    For root it is a small file system that only the node sees; for others a limit on the size of files.
    """

    def __init__(self, node: Process) -> None:
        self._node = node
        self._small = ["prlimit", "--fsize=32768:", "--"]
        self._resize = ["true"]
        data = node.home / "data"
        data.mkdir()
        mount = f"mount -t tmpfs -o size=32k none {data} && echo && exec sleep 60"
        self._holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", mount], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline():
            self._small = ["nsenter", "-m", "-t", str(self._holder.pid)]
            self._resize = [*self._small, "mount", "-o", "remount,size=1m", str(data)]

    def start(self) -> None:
        with (self._node.home / "log").open("ab") as log:
            program = [sys.executable, str(IMAGE / "bin" / "syncnode"), "--home", str(self._node.home)]
            self._node.process = subprocess.Popen([*self._small, *program], stderr=log)

    def has_room(self) -> None:
        subprocess.run(self._resize, check=True)
        if self._small[0] == "prlimit":
            self._small = []

    def end(self) -> None:
        self._holder.kill()
        self._holder.communicate()


def test_a_full_disk_ends_the_node_with_its_reason_and_harms_no_block(make_net: Callable[..., Net]):
    """It ends again as long as the disk is full, and goes on from where it was when there is room."""
    node = make_net(["v0"], ["v0"], "block_time = 0.02")["v0"]
    config = (node.home / "config.toml").read_text().replace("payload = 64", "payload = 3000")
    (node.home / "config.toml").write_text(config.replace('level = "debug"', 'level = "info"'))
    disk = FullDisk(node)
    try:
        for _ in range(2):
            disk.start()
            assert node.process is not None
            assert node.process.wait(10) == 1
        ended = [line for line in node.log().splitlines() if "event=failed" in line]
        assert len(ended) == 2
        assert all("blocks.log" in line for line in ended)
        assert "Traceback" not in node.log()
        stopped = int(re.findall(r"event=stopped height=(\d+)", node.log())[-1])
        assert stopped >= 5
        disk.has_room()
        disk.start()
        until(lambda: node.height() >= stopped + 5, 10, "it goes on")
        assert node.end() == 0
        started = [line for line in node.log().splitlines() if "event=started" in line]
        assert f" height={stopped} " in started[-1]
        assert "torn_tail_cut" not in node.log(), "no half record was left"
    finally:
        disk.end()


def test_a_log_that_takes_no_line_stops_no_node(make_net: Callable[..., Net]):
    node = make_net(["v0"], ["v0"], "block_time = 0.02")["v0"]
    with Path("/dev/full").open("wb") as full:
        node.process = subprocess.Popen(
            [sys.executable, str(IMAGE / "bin" / "syncnode"), "--home", str(node.home)], stderr=full
        )
    until(lambda: node.height() >= 5, 10, "blocks are made")
    assert node.end(signal.SIGTERM) == 0
