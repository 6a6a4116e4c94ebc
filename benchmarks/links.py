"""What control of links costs, and how quick and exact faults are.

python -m benchmarks.links hop              round trips and throughput, direct and through a relay, in one net
python -m benchmarks.links packet           round trips with a fault on packets, and without, where no relay is
python -m benchmarks.links up --count 100   `up` without control of links, and with all of them, in turn
python -m benchmarks.links faults           from asking for a fault on all links of a net until it is on; healed
python -m benchmarks.links delay            delay asked and found, for 10 ms to 2 s
python -m benchmarks.links rate             rate asked and found, of one link's packets and of one stream
python -m benchmarks.links drop             share of datagrams asked to be dropped, and found, with its 99 % interval
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.live import net_of
from benchmarks.timing import Way, in_turn, machine
from stressnet.backends.base import Backend
from stressnet.engine.plan_topology import plan_topology
from stressnet.faults.fault import Fault
from stressnet.plan import Plan

COMMAND = [sys.executable, "-m", "stressnet"]
ECHO = """
import socket, threading
def serve(port):
    s = socket.create_server(('', port))
    while True:
        c, _ = s.accept()
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=talk, args=(c, port), daemon=True).start()
def talk(c, port):
    while data := c.recv(1 << 20):
        if port < 7010: c.sendall(data)
for port in (7000, 7001): threading.Thread(target=serve, args=(port,), daemon=True).start()
for port in (7010, 7011): threading.Thread(target=serve, args=(port,), daemon=True).start()
threading.Event().wait()
"""
ASK = """
import json, socket, sys, time
def connect(port):
    while True:
        try: c = socket.create_connection(('b', port)); break
        except OSError: time.sleep(0.1)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c
def trips(c, count):
    found = []
    for _ in range(count):
        begun = time.perf_counter(); c.sendall(b'x' * 64); c.recv(64)
        found.append((time.perf_counter() - begun) * 1e6)
    found.sort()
    return found[count // 2], found[int(count * 0.99)]
def speed(c, seconds=2.0):
    block, sent, begun = b'x' * (1 << 18), 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        c.sendall(block); sent += len(block)
    return sent * 8 / 1e9 / (time.perf_counter() - begun)
ways = {'direct': (connect(7001), connect(7011)), 'relay': (connect(7000), connect(7010))}
time.sleep(1)
for _ in range(7):
    for name, (small, large) in ways.items():
        print(json.dumps({'way': name, 'trips': trips(small, 3000), 'speed': speed(large)}), flush=True)
print('done', flush=True)
time.sleep(3600)
"""
SINK = """
import socket, threading, time
def tcp():
    s = socket.create_server(('', 7000))
    while True:
        c, _ = s.accept()
        threading.Thread(target=take, args=(c,), daemon=True).start()
def take(c):
    total = 0
    begun = time.perf_counter()
    while data := c.recv(1 << 16):
        total += len(data)
        if time.perf_counter() > begun + 1:
            now = time.perf_counter()
            print('rate %.0f' % (total * 8 / (now - begun)), flush=True)
            total, begun = 0, now
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    s.bind(('', 7002))
    s.settimeout(1)
    count = size = 0
    begun = time.perf_counter()
    while True:
        try:
            size += len(s.recv(2048)) + 42
            count += 1
            if time.perf_counter() > begun + 1:
                now = time.perf_counter()
                print('wire %.0f' % (size * 8 / (now - begun)), flush=True)
                size, begun = 0, now
        except TimeoutError:
            if count: print('came %d' % count, flush=True)
            count = 0
for job in (tcp, udp): threading.Thread(target=job, daemon=True).start()
threading.Event().wait()
"""
FLOOD = """
import socket, time
while True:
    try:
        c = socket.create_connection(('b', 7000))
        c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        while True: c.sendall(b'x' * 16384)
    except OSError:
        time.sleep(0.2)
"""
TORRENT = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        for _ in range(13): s.sendto(b'x' * 1458, ('b', 7002))
    except OSError: pass
    time.sleep(0.001)
"""
SHOWER = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    time.sleep(4)
    for number in range(20000):
        s.sendto(b'x' * 64, ('b', 7002))
        if number % 50 == 0: time.sleep(0.002)
"""


def topology(nodes: str, interpose: str = "all") -> str:
    return f"name: bench-links\ninterpose: {interpose}\nnodes:\n{nodes}"


def python(name: str, program: str, ports: str, count: int = 1) -> str:
    lines = "".join(f"        {line}\n" for line in program.strip().splitlines())
    head = f"  {name}:\n    kind: generic\n    image: stressnet/syncnode:1\n    ports: {{{ports}}}\n"
    many = f"    count: {count}\n" if count > 1 else ""
    return f"{head}{many}    command:\n      - python3\n      - -uc\n      - |\n{lines}"


def planned(folder: Path, text: str, backend: str) -> Plan:
    file = folder / "bench-links.yaml"
    file.write_text(text)
    return plan_topology(file, backend=backend)


async def call(net: Backend, name: str, **arguments: Any) -> Any:
    async with await net.connect() as agent:
        return await agent.call(name, **arguments)


async def hop(folder: Path, backend: str) -> None:
    """One connection each way of going, in turn seven times; the first time is not counted."""
    ports = "p2p: 7000/tcp, p2p-bulk: 7010/tcp, plain: 7001/tcp, bulk: 7011/tcp"
    plan = planned(folder, topology(python("b", ECHO, ports) + python("a", ASK, ports)), backend)
    async with net_of(plan) as net:
        lines: list[str] = []
        while "done" not in lines:
            await asyncio.sleep(2)
            lines = [line.decode() async for line in net.logs("a", follow=False, tail=None)]
    found = [json.loads(line) for line in lines if line.startswith("{")][2:]
    for what, pick in (
        ("p50 us", lambda one: one["trips"][0]),
        ("p99 us", lambda one: one["trips"][1]),
        ("Gbit/s", lambda one: one["speed"]),
    ):
        ways = {way: [pick(one) for one in found if one["way"] == way] for way in ("direct", "relay")}
        words = [
            f"{way} {statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"
            for way, values in ways.items()
        ]
        added = statistics.median(b - a for a, b in zip(*ways.values(), strict=True))
        print(f"{what}: {', '.join(words)}; difference {added:.1f}")


def bring_up(folder: Path, backend: str, count: int, repetitions: int) -> None:
    """The whole command, without control and with all links under control."""
    ways = {}
    for interpose in ("none", "all"):
        file = folder / f"{interpose}.yaml"
        file.write_text(
            topology(python("n", "import time; time.sleep(3600)", "p2p: 7000/tcp", count), interpose)
        )
        ways[interpose] = Way(
            lambda file=file: run("up", str(file), "--backend", backend),  # type: ignore[misc]
            lambda: run("down", "bench-links"),
        )
    times = in_turn(ways, repetitions)
    for name, (made, removed) in times.items():
        print(f"interpose {name}: up {made} s, down {removed} s")
    print(f"up: {times['all'][0].median / times['none'][0].median:.2f} times")


def run(*words: str) -> None:
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)


async def faults(folder: Path, backend: str, count: int) -> None:
    """On all links at once, asked of the agent: what is timed is until its answer, when all is on."""
    text = topology(python("n", "import time; time.sleep(3600)", "p2p: 7000/tcp", count))
    async with net_of(planned(folder, text, backend)) as net:
        names = [f"n-{number}" for number in range(1, count + 1)]
        links = tuple((a, b) for a in names for b in names if a != b)
        few = links[: len(links) // 10]
        everybody = tuple(names)
        for kind, parameters, chosen, nodes in (
            ("partition", {}, links, ()),
            ("drop", {"probability": 0.05}, links, ()),
            ("latency", {"latency": 0.05}, few, ()),
            ("latency", {"latency": 0.05, "connections": "new"}, few, ()),
            ("latency", {"latency": 0.05}, links, ()),
            ("pause", {}, (), everybody),
            ("cpu", {"cpu": 0.5}, (), everybody),
        ):
            on, off = [], []
            for _ in range(5):
                fault = Fault("", kind, parameters, chosen, nodes, 0.0, kind).to_raw()
                begun = time.perf_counter()
                name = (await call(net, "fault_add", faults=[fault]))["ids"]
                on.append((time.perf_counter() - begun) * 1e3)
                begun = time.perf_counter()
                await call(net, "fault_heal", ids=name)
                off.append((time.perf_counter() - begun) * 1e3)
            words = [
                f"{word} {statistics.median(ms):.0f} ms ({min(ms):.0f}–{max(ms):.0f})"
                for word, ms in (("on", on), ("healed", off))
            ]
            where = f"{len(nodes)} nodes" if nodes else f"{len(chosen)} links"
            print(f"{' '.join([kind, *map(str, parameters.values())])} on {where}: {', '.join(words)}")


async def packet(folder: Path, backend: str) -> None:
    """What a fault on packets alone adds to a round trip that no relay is in: one drop in a million, on and off."""
    ask = (
        ASK.split("ways =")[0]
        + "c = connect(7001)\nwhile True:\n    print('%.2f %.2f' % trips(c, 3000), flush=True)\n"
    )
    ports = "p2p: 7000/tcp, plain: 7001/tcp"
    plan = planned(folder, topology(python("b", ECHO, ports) + python("a", ask, ports)), backend)
    async with net_of(plan) as net:

        async def fresh() -> list[list[float]]:
            """Return the next three looks whole."""
            before = len([line async for line in net.logs("a", follow=False, tail=None)]) + 1
            while True:
                await asyncio.sleep(0.2)
                lines = [line.decode() async for line in net.logs("a", follow=False, tail=None)][before:]
                if len(lines) >= 3:
                    return [[float(word) for word in line.split()] for line in lines[:3]]

        await fresh()
        off, on = [], []
        for _ in range(9):
            off += await fresh()
            fault = Fault(
                "", "drop", {"probability": 1e-6}, (("a", "b"), ("b", "a")), (), 0.0, "drop"
            ).to_raw()
            ids = (await call(net, "fault_add", faults=[fault]))["ids"]
            on += await fresh()
            await call(net, "fault_heal", ids=ids)
    for place, what in enumerate(("p50", "p99")):
        without, with_it = ([look[place] for look in looks] for looks in (off, on))
        print(
            f"{what} us: {statistics.median(without):.1f} ({min(without):.1f}–{max(without):.1f}) without, "
            f"{statistics.median(with_it):.1f} ({min(with_it):.1f}–{max(with_it):.1f}) with it"
        )


async def delay(folder: Path, backend: str) -> None:
    """One link; as many round trips as fit into four seconds, twenty at least."""
    ask = (
        ASK.split("ways =")[0]
        + "c = connect(7000)\nwhile True:\n    print('%.3f' % (trips(c, 1)[0] / 1e3), flush=True)\n"
    )
    plan = planned(
        folder, topology(python("b", ECHO, "p2p: 7000/tcp") + python("a", ask, "p2p: 7000/tcp")), backend
    )
    async with net_of(plan) as net:
        await asyncio.sleep(2)
        for asked in (0.01, 0.05, 0.2, 0.5, 2.0):
            fault = Fault("", "latency", {"latency": asked}, (("a", "b"),), (), 0.0, "latency").to_raw()
            name = (await call(net, "fault_add", faults=[fault]))["ids"]
            await asyncio.sleep(asked * 2)
            before = len([line async for line in net.logs("a", follow=False, tail=None)])
            await asyncio.sleep(max(4.0, asked * 25))
            lines = [line.decode() async for line in net.logs("a", follow=False, tail=None)][before + 1 :]
            found = sorted(float(line) - asked * 1e3 for line in lines)
            p95 = found[int(len(found) * 0.95)]
            print(
                f"{asked * 1e3:.0f} ms: {len(found)} round trips, too long by {statistics.median(found):.1f} ms "
                f"(median), {p95:.1f} (p95)"
            )
            await call(net, "fault_heal", ids=name)


async def rate(folder: Path, backend: str) -> None:
    """One link and one stream without pause, then one link and 150 Mbit/s of datagrams; what arrived in each of eight
    seconds, but for the first two: of streams their data, of datagrams all that is on the wire."""
    for program, word, kinds in (
        (TORRENT, "wire", {"rate": (1e6, 10e6, 100e6)}),
        (FLOOD, "rate", {"rate": (1e6, 10e6, 100e6, 500e6), "bandwidth": (1e6, 10e6, 100e6, 500e6)}),
    ):
        nodes = python("b", SINK, "p2p: 7000/tcp") + python("a", program, "p2p: 7000/tcp")
        async with net_of(planned(folder, topology(nodes), backend)) as net:
            for kind, rates in kinds.items():
                for asked in rates:
                    found = await _achieved(net, kind, asked, word)
                    words = (
                        f"{statistics.median(found):.3f} ({min(found):.3f}–{max(found):.3f})"
                        if found
                        else "nothing came"
                    )
                    what = "datagrams" if word == "wire" else "a stream"
                    print(f"{kind} {asked / 1e6:.0f} Mbit/s, {what}: {words} of what was asked")


async def _achieved(net: Backend, kind: str, asked: float, word: str) -> list[float]:
    """Put the fault on for nine seconds; return the shares of it that the receiver saw."""
    fault = Fault("", kind, {"rate": asked}, (("a", "b"),), (), 0.0, kind).to_raw()
    name = (await call(net, "fault_add", faults=[fault]))["ids"]
    await asyncio.sleep(0.5)
    before = len([line async for line in net.logs("b", follow=False, tail=None)])
    await asyncio.sleep(9)
    lines = [line.decode() async for line in net.logs("b", follow=False, tail=None)][before + 2 :]
    await call(net, "fault_heal", ids=name)
    return [float(line.split()[1]) / asked for line in lines if line.startswith(word)]


async def drop(folder: Path, backend: str) -> None:
    """20,000 datagrams on one link, for each share; those that arrived are counted by who received them."""
    plan = planned(
        folder, topology(python("b", SINK, "p2p: 7000/tcp") + python("a", SHOWER, "p2p: 7000/tcp")), backend
    )
    count = 20_000
    async with net_of(plan) as net:
        for asked in (0.001, 0.01, 0.05, 0.2, 0.5):
            fault = Fault("", "drop", {"probability": asked}, (("a", "b"),), (), 0.0, "drop").to_raw()
            name = (await call(net, "fault_add", faults=[fault]))["ids"]
            came = [line async for line in net.logs("b", follow=False, tail=None) if line.startswith(b"came")]
            while True:  # the shower that has begun before is not counted
                await asyncio.sleep(0.5)
                now = [
                    line async for line in net.logs("b", follow=False, tail=None) if line.startswith(b"came")
                ]
                if len(now) >= len(came) + 2:
                    break
            lost = 1 - int(now[-1].split()[1]) / count
            half = 2.576 * (asked * (1 - asked) / count) ** 0.5
            inside = "inside" if abs(lost - asked) <= half else "outside"
            print(
                f"drop {asked:.1%}: {lost:.2%} of {count}, {inside} {asked - half:.2%} to {asked + half:.2%}"
            )
            await call(net, "fault_heal", ids=name)


def main() -> None:
    """Measure one thing and print it, with the machine's description."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("hop", "packet", "up", "faults", "delay", "rate", "drop"))
    parser.add_argument("--backend", choices=("netns", "docker"), default="netns")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        folder = Path(name)
        if options.what == "hop":
            asyncio.run(hop(folder, options.backend))
        elif options.what == "up":
            bring_up(folder, options.backend, options.count, options.repetitions)
        elif options.what == "faults":
            asyncio.run(faults(folder, options.backend, options.count))
        else:
            measure = {"packet": packet, "delay": delay, "rate": rate, "drop": drop}[options.what]
            asyncio.run(measure(folder, options.backend))


if __name__ == "__main__":
    main()
