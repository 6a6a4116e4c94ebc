"""Faults outlive restarts of nodes and of what controls them, end on time whoever dies, and the journal tells."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contract.nets import Quiet, kill_agent, live, log, plan_text, python_nodes, status, until
from contract.powers import process_of
from contract.test_links import CALL, SERVE, answers, call, newest, put, relays_of, round_trip, talking
from needs import require_relay

from stressnet.backends.base import Backend
from stressnet.backends.docker.bodies import AGENT_DIRECTORY, agent_name, container_name
from stressnet.engine.choose import live_backend
from stressnet.engine.faults import Wish, add
from stressnet.engine.plans import plan_of
from stressnet.engine.reconcile import reconcile
from stressnet.errors import StressnetError
from stressnet.faults.fault import Fault
from stressnet.plan import Plan
from stressnet.spec.targets import Targets
from stressnet.state import net_directory

pytestmark = pytest.mark.usefixtures("state_home")

COMMAND = [sys.executable, "-m", "stressnet"]
TALK = """
import os, socket, sys, time
def talk(to, size):
    begin = time.perf_counter()
    try:
        with socket.create_connection((to, 7000), 1) as c:
            c.settimeout(5)
            c.sendall(b'x' * size)
            got = 0
            while got < size:
                part = len(c.recv(65536))
                if not part: return 'closed'
                got += part
            return 'ok %d' % ((time.perf_counter() - begin) * 1e3)
    except OSError as error: return type(error).__name__
print('begins')
while True:
    for to, size in (('slow', 4), ('away', 4), ('narrow', 150000)): print(to, talk(to, size))
    if os.path.exists('again'):
        os.remove('again')
        words = open('/proc/self/cmdline').read().split(chr(0))[:-1]
        os.execv('/proc/self/exe', words)
    time.sleep(0.05)
"""
SLOW_S, NARROW = 0.3, 1e6
"""A latency, and a rate in bit/s at which the 150,000 bytes there take more than half a second, whatever the queue
lets through at once."""


async def begin_again(net: Backend, plan: Plan, how: str) -> None:
    """Have `a` begin again, and on most ways all that it talks to as well."""
    everyone = tuple(node.name for node in plan.nodes)
    if how == "restart":
        await put(net, "restart", nodes=everyone)
    elif how == "kill":
        await call(net, "fault_heal", ids=[await put(net, "kill", nodes=everyone)])
    elif how == "itself":
        assert await net.execute("a", ["touch", "again"]) == 0
    elif plan.backend == "docker":
        names = [container_name(plan.net, name) for name in everyone]
        words = ["docker", "restart", "-t", "0", *names]
        await asyncio.to_thread(subprocess.run, words, stdout=subprocess.DEVNULL, check=True)
    else:
        for node in plan.nodes:
            os.kill(process_of(node), signal.SIGKILL)

        async def missed() -> bool:
            return {one.state for one in (await status(plan, net)).nodes} == {"exited"}

        await until(missed)
        await reconcile(plan, net, Quiet())


@pytest.mark.parametrize("how", ["outside", "restart", "kill", "itself"])
def test_a_node_that_begins_again_finds_the_same_faults(backend: str, tmp_path: Path, how: str) -> None:
    """From its first connection: a latency of streams, a partition and a rate hold as before."""
    require_relay(backend)
    groups = {"slow": SERVE, "away": SERVE, "narrow": SERVE, "a": TALK}
    text = python_nodes("contract-oa", groups, extra="ports: {p2p: 7000/tcp}")
    plan = plan_text(tmp_path, text, backend)

    async def story() -> None:
        async with live(plan) as net:
            for name in ("slow", "away", "narrow"):
                await newest_of(net, name, "ok")
            await put(net, "latency", ("a", "slow"), latency=SLOW_S)
            await put(net, "partition", ("a", "away"))
            await put(net, "rate", ("a", "narrow"), rate=NARROW)
            await newest_of(net, "away", "TimeoutError")
            reached = len(await log(net, "away"))
            await begin_again(net, plan, how)

            async def enough() -> list[str]:
                lines = await log(net, "a")
                fresh = lines[len(lines) - lines[::-1].index("begins") :]
                done = all(
                    sum(line.startswith(name) for line in fresh) > 1 for name in ("slow ok", "narrow ok")
                )
                return fresh if lines.count("begins") > 1 and done else []

            fresh = await until(enough, 40)
            assert min(times(fresh, "slow")) >= 1e3 * SLOW_S
            assert min(times(fresh, "narrow")) > 500
            assert {line for line in fresh if line.startswith("away")} == {"away TimeoutError"}
            assert len(await log(net, "away")) == reached
            assert not [row for row in await call(net, "links") if row["bypassed"] or row["spoofed"]]

    asyncio.run(story())


def times(lines: list[str], to: str) -> list[int]:
    return [int(line.split()[2]) for line in lines if line.startswith(f"{to} ok")]


async def newest_of(net: Backend, to: str, what: str) -> None:
    """Wait until what `a` last said of a node begins so."""

    async def seen() -> bool:
        lines = [line for line in await log(net, "a") if line.startswith(to)]
        return bool(lines) and lines[-1].startswith(f"{to} {what}")

    await until(seen, 30)


def test_faults_stay_on_when_the_plan_changes(backend: str, tmp_path: Path) -> None:
    """A node more, by `up --reconcile`: what was cut is cut, what was slow is slow, and both can be healed."""
    plan = talking("contract-ob", {"a": CALL, "h": CALL}, backend, tmp_path)
    more = talking("contract-ob", {"a": CALL, "h": CALL, "new": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "a", r"ok .*")
            cut = await put(net, "partition", ("a", "b"))
            slow = await put(net, "latency", ("h", "b"), latency=0.3)
            await newest(net, "a", "TimeoutError")
            before = len(await log(net, "a"))
            await reconcile(more, net, Quiet())
            await newest(net, "new", r"ok .*")
            assert await round_trip(net, "h") >= 300
            await newest(net, "a", "TimeoutError")
            assert not [line for line in (await log(net, "a"))[before:] if line.startswith("ok")]
            await call(net, "fault_heal", ids=[cut, slow])
            await newest(net, "a", r"ok .*")
            assert await round_trip(net, "h") < 300

    asyncio.run(story())


def journal(plan: Plan) -> list[dict[str, Any]]:
    """Return what the agent has written down."""
    if plan.backend == "docker":
        path = f"{AGENT_DIRECTORY}/journal.jsonl"
        words = ["docker", "exec", agent_name(plan.net), "cat", path]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    else:
        text = (net_directory(plan.net) / "journal.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_the_journal_tells_of_every_death(backend: str, tmp_path: Path) -> None:
    """Of a relay with the gap, of the agent by what the next one took up, and of a fault that nobody renewed."""
    plan = talking("contract-oc", {"a": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "a", r"ok .*")
            fault = Fault("", "latency", {"latency": 0.05}, (("a", "b"),), (), 0.0, "slow")
            leased = (await call(net, "fault_add", faults=[fault.to_raw()], lease_s=3.0))["ids"]
            timed = await put(net, "latency", ("b", "a"), latency=0.05, ends_at=(await now(net)) + 2)
            for pid in relays_of(plan):
                os.kill(pid, signal.SIGKILL)

            async def tells(*events: str) -> dict[str, list[dict[str, Any]]]:
                found = {name: [one for one in journal(plan) if one["event"] == name] for name in events}
                return found if all(found.values()) else {}

            mended = await until(lambda: tells("relay ended", "relay restarted"))
            gone, back = mended["relay ended"][0], mended["relay restarted"][0]
            assert gone["relay"] == back["relay"] == 0
            assert 0 < back["gap_s"] <= back["monotonic"] - gone["monotonic"] + 0.1
            kill_agent(plan)
            await until(lambda: answers(net))

            async def started() -> list[dict[str, Any]]:
                starts = [one for one in journal(plan) if one["event"] == "agent started"]
                return starts if len(starts) > 1 else []

            starts = await until(started)
            assert [(one["adopted"], one["running"]) for one in starts] == [(False, 0), (True, 2)]

            async def over() -> list[dict[str, Any]]:
                ended = [one for one in journal(plan) if one["event"] == "fault ended"]
                return ended if len(ended) == 2 else []

            ended = {one["id"]: one["by"] for one in await until(over)}
            assert ended == {leased[0]: "lease", timed: "time"}

    asyncio.run(story())


async def now(net: Backend) -> float:
    return float((await call(net, "status"))["now"])


@contextmanager
def full_pipe() -> Iterator[int]:
    """Give a pipe that takes nothing: whoever writes to it waits until it is killed."""
    reading, writing = os.pipe()
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        fcntl.fcntl(writing, fcntl.F_SETFL, flags)
    try:
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


def test_a_timed_fault_ends_on_time_whoever_asked_for_it_dies(backend: str, tmp_path: Path) -> None:
    """kill -9 of `fault add` before it has said a word, and a connection that breaks before the answer."""
    plan = talking("contract-od", {"a": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "a", r"ok .*")
            words = [
                "fault",
                "add",
                "partition",
                "--from",
                "a",
                "--to",
                "b",
                "--for",
                "3s",
                "--net",
                plan.net,
            ]
            with full_pipe() as nowhere:
                adding = await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=nowhere)
                await until(lambda: listed(net, "on"))
                adding.kill()
                assert await adding.wait() == -signal.SIGKILL
            broken = Fault("", "latency", {"latency": 0.01}, (("b", "a"),), (), await now(net) + 3, "slow")
            ends = {"partition": (await call(net, "fault_list"))[0]["until"], "latency": broken.ends_at}
            agent = await net.connect()
            request = {"call": "fault_add", "args": {"faults": [broken.to_raw()]}}
            agent.writer.write(json.dumps(request).encode() + b"\n")
            await agent.writer.drain()
            await agent.close()
            await newest(net, "a", "TimeoutError")
            await until(lambda: listed(net, "ended", 2))
            for one in await call(net, "fault_list"):
                assert 0 <= one["until"] - ends[one["kind"]] < 1
            await newest(net, "a", r"ok .*")

    asyncio.run(story())


async def listed(net: Backend, state: str, count: int = 1) -> bool:
    states = [one["state"].replace("not achieved", "on") for one in await call(net, "fault_list")]
    return states.count(state) == count


def test_commands_at_once_do_not_get_into_each_others_way(backend: str, tmp_path: Path) -> None:
    """Six adds side by side: six ids, all on. Twenty at the very same moment: the same."""
    plan = talking("contract-oe", {"a": CALL}, backend, tmp_path)
    words = ["fault", "add", "latency", "--from", "a", "--to", "b", "--json", "--net", plan.net]

    async def story() -> None:
        async with live(plan) as net:
            said = await side_by_side(*([*words, f"latency={number}ms"] for number in range(11, 17)))
            ids = [json.loads(output)["id"] for output in said]
            assert sorted(ids) == [f"f{number}" for number in range(1, 7)]
            assert {one["id"] for one in await call(net, "fault_list")} == set(ids)
            assert await listed(net, "on", 6)
            assert await round_trip(net, "a") > 0.7 * sum(
                range(11, 17)
            )  # a busy Toxiproxy saves some on the way
            await call(net, "fault_heal", ids=ids)
            assert await listed(net, "healed", 6)
            more = await asyncio.gather(*(put(net, "latency", ("a", "b"), latency=0.001) for _ in range(20)))
            assert sorted(more) == sorted(f"f{number}" for number in range(7, 27))
            assert await listed(net, "on", 20)

    asyncio.run(story())


async def side_by_side(*commands: list[str]) -> list[str]:
    """Run commands at the same time; return what each prints, or fail."""

    def run(words: list[str]) -> str:
        done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return list(await asyncio.gather(*(asyncio.to_thread(run, words) for words in commands)))


def test_a_net_that_is_going_down_takes_no_fault_and_says_so(backend: str, tmp_path: Path) -> None:
    """Whoever adds faults meanwhile hears of it in words; nothing is left afterwards."""
    plan = talking("contract-of", {"a": CALL}, backend, tmp_path)
    words = ["fault", "add", "drop", "probability=1%", "--from", "a", "--to", "b", "--net", plan.net]

    async def keep_adding() -> None:
        gone = ""
        while "there is no net" not in gone:
            try:
                net, backend = live_backend(plan.net)
                wish = Wish("drop", ("probability=1%",), Targets("a", "b"))
                await add(backend, await plan_of(net.name, backend), wish, 1)
            except (
                StressnetError
            ) as error:  # anything else would be a traceback, or words that say too little
                gone = error.message

    def command(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *command], capture_output=True, text=True, check=False)

    async def story() -> None:
        async with live(plan):
            adding = [asyncio.create_task(keep_adding()) for _ in range(3)]
            down = asyncio.create_task(asyncio.to_thread(command, "down", plan.net))
            late = await asyncio.gather(*(asyncio.to_thread(command, *words) for _ in range(4)))
            assert (await down).returncode == 0, (await down).stderr
            async with asyncio.timeout(20):
                await asyncio.gather(*adding)
            for one in (*late, await asyncio.to_thread(command, *words)):
                assert one.returncode in (0, 254, 255)
                assert "Traceback" not in one.stderr
                assert one.stderr.startswith("error: ") or not one.returncode
            listing = await asyncio.to_thread(command, "ls", "--json")
            assert json.loads(listing.stdout) == []

    asyncio.run(story())
