"""What the reference node needs and gives: start, memory and CPU at rest, serving, and catching up.

python -m benchmarks.syncnode start      from exec until /health says 200
python -m benchmarks.syncnode crowd      memory and CPU of each node of a net at rest, without a time scale
python -m benchmarks.syncnode serve      blocks served for each second of a core, over one and over four streams
python -m benchmarks.syncnode catchup    a fresh node and four that have 10,000 blocks; limiter off, and as it is
python -m benchmarks.syncnode wire       the messages by hand, and by protobuf's runtime: import and memory
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import machine

IMAGE = Path(__file__).resolve().parents[1] / "images" / "syncnode"
sys.path.insert(0, str(IMAGE))

from syncnode.chain import Chain  # noqa: E402 (it is found only now)
from syncnode.config import P2PKeys  # noqa: E402
from syncnode.frames import Hello  # noqa: E402
from syncnode.framing import Framed  # noqa: E402
from syncnode.log import Log  # noqa: E402
from syncnode.messages import BLOCKS_BY_NUM, Request, Response, decode  # noqa: E402
from syncnode.metrics import Metrics  # noqa: E402
from syncnode.rules import Rules  # noqa: E402
from syncnode.store import Store  # noqa: E402
from syncnode.swarm import Swarm  # noqa: E402

COMMAND = [sys.executable, "-m", "stressnet"]
RULES = Rules("localnet", 0, 1, ["absent"], 1.0)
"""A chain whose only validator never runs: it stays as long as it was written."""
OFF = {"rate_total": 1e6, "rate_stream": 1e6}
BATCH = 10
TOPOLOGY = """
name: bench-crowd
links: {{random: {{degree: 6}}}}
sampling: off
defaults: {{kind: syncnode, config: {{time_scale: 1, chain.block_time: 3s}}}}
nodes:
  v-{token}: {{role: validator, count: 4}}
  f-{token}: {{role: full, count: {full}}}
"""
IMPORT = """
import asyncio, hashlib, json, os, random, struct, sys, time, tomllib
sys.path[:0] = sys.argv[2:]
def resident(): return int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
memory, begun = resident(), time.perf_counter()
exec('import ' + sys.argv[1])
print(time.perf_counter() - begun, resident() - memory)
"""
_hosts = itertools.count(2)


@dataclass
class Process:
    """A node that runs by itself on a loopback address."""

    home: Path
    host: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; return how many seconds later it was healthy."""
        words = [sys.executable, str(IMAGE / "bin" / "syncnode"), "--home", str(self.home)]
        with (self.home / "log").open("ab") as log:
            begun = time.perf_counter()
            self.process = subprocess.Popen(words, stderr=log)
        while not self._healthy():
            assert self.process.poll() is None, (self.home / "log").read_text()
            time.sleep(0.001)
        return time.perf_counter() - begun

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def height(self) -> int:
        """Return the height that it tells by JSON-RPC."""
        connection = http.client.HTTPConnection(self.host, 9500, timeout=10)
        connection.request("POST", "/", json.dumps({"id": 1, "method": "hmyv2_blockNumber", "params": []}))
        answer = json.load(connection.getresponse())
        connection.close()
        return int(answer["result"])

    def cpu_s(self) -> float:
        """Return the CPU time that it has used."""
        assert self.process is not None
        return cpu_s(self.process.pid)

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection(self.host, 9500, timeout=10)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def node(
    folder: Path, name: str, peers: Sequence[str] = (), chain: Path | None = None, **keys: object
) -> Process:
    """Write a node's configuration, and give it a chain; keys are those of [sync]."""
    home, host = folder / name, f"127.77.{os.getpid() % 250}.{next(_hosts)}"
    (home / "data").mkdir(parents=True)
    if chain is not None:
        shutil.copy(chain, home / "data" / "blocks.log")
    lows = "" if peers else "soft_low_cap = 0\nhard_low_cap = 0"
    sync = "\n".join(f"{key} = {value}" for key, value in keys.items())
    (home / "config.toml").write_text(
        f'[node]\nname = "{name}"\nseed = {RULES.seed}\n[discovery]\n{lows}\n[sync]\n{sync}\n'
        f'[p2p]\nlisten = "{host}:9000"\npeers = {json.dumps([f"{peer}:9000" for peer in peers])}\n'
        f'[rpc]\nlisten = "{host}:9500"\n[metrics]\nlisten = "{host}:9900"\n'
        f"[chain]\nvalidators = {json.dumps(RULES.validators)}\n"
    )
    return Process(home, host)


@contextmanager
def running(*nodes: Process) -> Iterator[None]:
    """Start nodes, and end them."""
    try:
        for one in nodes:
            one.start()
        yield
    finally:
        for one in nodes:
            one.end()


def write_chain(path: Path, blocks: int, payload: int) -> Path:
    """Write a chain that ends now, a block for each slot."""
    chain = Chain(Store(path, RULES.genesis), RULES)
    first = RULES.slot(time.time()) - blocks
    for start in range(0, blocks, 500):
        batch, parent = [], chain.head
        for number in range(start, min(start + 500, blocks)):
            parent = RULES.propose("absent", parent, first + number, payload)
            batch.append(parent)
        chain.extend(batch)
    chain.close()
    return path


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spread(values: Sequence[float], form: str = ".0f") -> str:
    """Return median, least and most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def start(folder: Path, options: argparse.Namespace) -> None:
    """Start one node again and again."""
    times, cpu = [], []
    for number in range(options.repetitions + 1):
        one = node(folder, f"n{number}")
        times.append(one.start() * 1e3)
        cpu.append(one.cpu_s() * 1e3)
        one.end()
    # The first has compiled the sources.
    print(
        f"exec to /health 200: {spread(times[1:])} ms, {spread(cpu[1:])} ms of CPU, of {options.repetitions}"
    )


def crowd(folder: Path, options: argparse.Namespace) -> None:
    """Measure the nodes of a net that has nothing to do but its blocks."""
    os.environ["XDG_STATE_HOME"] = str(folder)
    topology = folder / "bench-crowd.yaml"
    token = f"bench{os.getpid()}"
    topology.write_text(TOPOLOGY.format(full=options.count - 4, token=token))
    stressnet("up", str(topology), "--backend", "netns")
    try:
        stressnet("status", "bench-crowd", "--until", "synced", "--timeout", "5m")
        time.sleep(options.rest)
        pids = nodes_named(token)
        assert len(pids) == options.count, f"{len(pids)} processes of {options.count} nodes were found"
        before, begun = [cpu_s(pid) for pid in pids], time.monotonic()
        time.sleep(options.span)
        span = time.monotonic() - begun
        shares = [(cpu_s(pid) - then) / span * 100 for pid, then in zip(pids, before, strict=True)]
        memory = [pss_mb(pid) for pid in pids]
    finally:
        stressnet("down", "bench-crowd")
    print(f"{options.count} nodes, a block every 3 s: PSS {spread(memory, '.1f')} MB each")
    print(f"{options.count} nodes, over {span:.0f} s: CPU {spread(shares, '.2f')} % of a core each")


def stressnet(*words: str) -> None:
    """Run the program."""
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)


def nodes_named(token: str) -> list[int]:
    """Return the nodes with a word in their names, by which we know ours among everyone's."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if token in "".join(words) and any(word.endswith("bin/syncnode") for word in words):
                found.append(int(pid))
    return found


def pss_mb(pid: int) -> float:
    """Return the memory of a process, with its part of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def serve(folder: Path, options: argparse.Namespace) -> None:
    """Ask one node for all of its chain, over several streams: each is a peer of its own in this process."""
    chain = write_chain(folder / "chain", options.blocks, options.payload)
    for streams in (1, 4):
        rates, per_core = [], []
        for number in range(options.repetitions):
            server = node(folder, f"s{streams}-{number}", chain=chain, **OFF)
            with running(server):
                before, begun = server.cpu_s(), time.perf_counter()
                asyncio.run(ask_all(server.host, streams, options.blocks))
                rates.append(options.blocks / (time.perf_counter() - begun))
                per_core.append(options.blocks / (server.cpu_s() - before))
        print(
            f"{options.blocks} blocks of {options.payload} B, {BATCH} a request, {streams} streams: "
            f"{spread(per_core)} blocks/s a core, {spread(rates)} blocks/s, of {options.repetitions}",
            flush=True,
        )


async def ask_all(host: str, streams: int, blocks: int) -> None:
    """Ask for every block once."""
    todo = iter(range(1, blocks + 1, BATCH))

    async def ask(number: int) -> None:
        hello = Hello(
            f"client{number}", f"client{number}", f"127.0.0.1:{number + 1}", RULES.genesis.hash, 1, 0
        )
        swarm = Swarm(P2PKeys(), hello, Log("error"), Metrics(), random.Random(number))
        swarm.handlers[RULES.protocol("gossip")] = lambda stream: None
        connection = await swarm.dial(f"{host}:9000")
        framed = Framed(await connection.open(RULES.protocol("sync"), 10), 20 << 20)
        for first in todo:
            await framed.send(Request(BLOCKS_BY_NUM, range(first, first + BATCH), req_id=first).encode())
            answer = decode(await framed.receive())
            assert isinstance(answer, Response)
            assert len(answer.blocks) == min(BATCH, blocks + 1 - first)
        swarm.close()

    await asyncio.gather(*map(ask, range(streams)))


def catchup(folder: Path, options: argparse.Namespace) -> None:
    """Let fresh nodes sync from four others."""
    chain = write_chain(folder / "chain", options.blocks, options.payload)
    limited = options.blocks / (4 * 10 * BATCH)
    for limiter, keys, repetitions in (("off", OFF, options.repetitions), ("on", {}, 1)):
        times = []
        servers = [node(folder, f"{limiter}{n}", chain=chain, **keys) for n in range(4)]
        with running(*servers):
            for number in range(repetitions):
                fresh = node(folder, f"{limiter}-fresh{number}", [one.host for one in servers], **keys)
                begun = time.perf_counter()
                with running(fresh):
                    while fresh.height() < options.blocks:
                        time.sleep(0.02)
                    times.append(time.perf_counter() - begun)
                shutil.rmtree(fresh.home)
        goal = "under 10 s" if limiter == "off" else f"at four streams' rate at least {limited:.0f} s"
        print(
            f"{options.blocks} blocks of {options.payload} B from 4 nodes, limiter {limiter}: "
            f"{spread(times, '.1f')} s from exec, {spread([options.blocks / t for t in times])} blocks/s; {goal}",
            flush=True,
        )


def wire(folder: Path, options: argparse.Namespace) -> None:
    """Import either in a Python that has loaded what a node needs anyway."""
    words = ["grpc_tools.protoc", "-I", str(IMAGE), f"--python_out={folder}", "sync.proto"]
    subprocess.run([sys.executable, "-m", *words], check=True)
    for what in ("syncnode.messages", "sync_pb2"):
        found = []
        for _ in range(options.repetitions + 1):
            command = [sys.executable, "-c", IMPORT, what, str(IMAGE), str(folder)]
            found.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        times, memory = zip(*(map(float, row) for row in found[1:]), strict=True)
        print(
            f"import {what}: {spread([t * 1e3 for t in times], '.1f')} ms, "
            f"{spread([m / 2**20 for m in memory], '.1f')} MiB, of {options.repetitions}"
        )


def main() -> None:
    """Do one of them, or all."""
    parser = argparse.ArgumentParser()
    ways = {"start": start, "crowd": crowd, "serve": serve, "catchup": catchup, "wire": wire}
    parser.add_argument("what", nargs="+", choices=ways)
    parser.add_argument("--repetitions", type=int, default=0, help="10 for start and wire, 3 for the others")
    parser.add_argument("--count", type=int, default=50, help="nodes of the crowd")
    parser.add_argument("--rest", type=float, default=30, help="seconds until the crowd is measured")
    parser.add_argument("--span", type=float, default=60, help="seconds that it is measured for")
    parser.add_argument("--blocks", type=int, default=0, help="20,000 to serve, 10,000 to catch up with")
    parser.add_argument("--payload", type=int, default=2048)
    options = parser.parse_args()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # few set it, and then every start compiles the sources again
    # Nodes of a net take the first Python of PATH: it must be this one, with what is installed for it.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(IMAGE)], check=True)
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    for what in options.what:
        chosen = argparse.Namespace(**vars(options))
        chosen.repetitions = options.repetitions or (10 if what in ("start", "wire") else 3)
        chosen.blocks = options.blocks or (20_000 if what == "serve" else 10_000)
        with tempfile.TemporaryDirectory() as name:
            ways[what](Path(name), chosen)


if __name__ == "__main__":
    main()
