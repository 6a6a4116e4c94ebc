"""Live runs of which it is known what their verdict must be: with a defect or without, on a machine that others use up,
and with faults that are taken off behind the back of who put them on.

Each is a run of `stressnet run` in a process of its own, on namespaces.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.truth_records import Truth
from stressnet.agent import cgroups, inspection, kernel, nfread
from stressnet.agent import nftables as nft
from stressnet.engine.choose import backend_for
from stressnet.engine.forward import listen
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import read_journal

_PLAN = """\
description: STORY
topology:
  name: NAME
  seed: SEED
  regions: {us: {eu: 20ms}, eu: {}}
  defaults: {kind: syncnode, config: {chain: {block_time: 300ms, payload: 64B}}}
  nodes:
    validator: {count: 2, region: us}
    explorer: {count: 2, region: eu, role: full, start: {height: 3, of: validator}, config: {gossip.blocks: false}}
time_scale: 20
settle: {height: 6, baseline: 4s}
duration: 10s
observe: 12s
timeline: [STEPS]
checks:
  - stuck: {window: 8s, classes: [sticky, starved, halted, slow recovery]}
  - recovery: {within: 10s, lag: 10}
"""
_CUT = '{name: cut, at: 2s, fault: partition, between: ["region:us", "region:eu"], for: 4s}'
_BUG = "topology.defaults.config.defects=[over_cooldown]"
_MAPS = ("conditions", "cuts")
_HOGS = 8
_UP_S = 240.0

Sabotage = Callable[[str, Path, dict[str, Any]], Awaitable[None]]
"""Called with the net, the record's folder and the event of the fault, when that is on and was measured once."""


@dataclass(frozen=True, slots=True)
class Story:
    """One sort of run, and what its verdict must be."""

    truth: Truth
    steps: str
    bug: bool = False
    hogs: bool = False
    sabotage: Sabotage | None = None
    after_s: float = 1.0
    """How long a fault is let alone before it is taken off."""


async def _take_off_rules(net: str, _: Path, __: dict[str, Any]) -> None:
    """Empty the maps of packet faults in the net's router."""
    await _in_router(net, _flush)


async def _undo_rules_for_a_moment(net: str, _: Path, __: dict[str, Any]) -> None:
    """Let packets through for a fifth of a second, and have all as it was after it."""

    def work(tables: nft.Nftables) -> None:
        held = [(name, nfread.verdicts(tables, "stressnet", name)) for name in _MAPS]
        _flush(tables)
        time.sleep(0.2)
        for name, ways in held:
            tables.commit(nft.add("stressnet", name, ((key, nft.jump(way)) for key, way in ways.items())))

    await _in_router(net, work)


def _flush(tables: nft.Nftables) -> None:
    tables.commit([nft.flush("stressnet", name) for name in _MAPS])


async def _in_router(net: str, do: Callable[[nft.Nftables], None]) -> None:
    def work() -> None:
        network = os.open(f"/proc/{_relay(net)}/ns/net", os.O_RDONLY)
        kernel.setns(network, kernel.CLONE_NEWNET)  # of this thread, which ends
        os.close(network)
        with nft.Nftables() as tables:
            do(tables)

    thread = Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)


def _relay(net: str) -> int:
    """Return a relay of a net: a descendant of its agent."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")[0].endswith(b"toxiproxy-server"):
                above = int(name)
                while above > 1:
                    if f"--net\0{net}\0".encode() in Path(f"/proc/{above}/cmdline").read_bytes():
                        return int(name)
                    above = int(Path(f"/proc/{above}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    raise LookupError(f"{net} has no relay")


async def _take_off_toxics(net: str, _: Path, event: dict[str, Any]) -> None:
    """Delete the toxics of a fault in the relays, as a Toxiproxy client of one's own would."""
    backend = backend_for("netns", net)
    for node in dict.fromkeys(name for link in event["fault"]["links"] for name in link):
        server = await listen(backend, 0, lambda _: None, "relay", node=node)
        async with server:
            await asyncio.to_thread(_delete, server.sockets[0].getsockname()[1], f"{event['id']}.")


def _delete(port: int, prefix: str) -> None:
    def ask(method: str, path: str) -> Any:
        far = HTTPConnection("127.0.0.1", port, timeout=20)
        far.request(method, path)
        content = far.getresponse().read()
        far.close()
        return json.loads(content) if content else None

    for name, proxy in ask("GET", "/proxies").items():
        for toxic in proxy["toxics"]:
            if toxic["name"].startswith(prefix):
                ask("DELETE", f"/proxies/{name}/toxics/{toxic['name']}")


async def _let_go_on(_: str, folder: Path, event: dict[str, Any]) -> None:
    """Send SIGCONT to all processes of nodes that stand still."""
    plan = Plan.from_json((folder / runs.PLAN).read_text())
    addresses = {plan.node(name).address for name in event["fault"]["nodes"]}
    found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _at(pid) & addresses]
    for pid in found:
        os.kill(pid, signal.SIGCONT)
    if not found:
        raise LookupError("no node stands still")


def _at(pid: int) -> set[str]:
    try:
        return inspection.addresses(pid)
    except OSError:
        return set()


async def _raise_limit(net: str, _: Path, event: dict[str, Any]) -> None:
    """Give nodes as much CPU as they want."""
    controllers = cgroups.find()
    for node in event["fault"]["nodes"] if controllers else ():
        folder = controllers.group(net, node)[0]
        name, text = ("cpu.cfs_quota_us", "-1") if controllers.version == 1 else ("cpu.max", "max")
        (folder / name).write_text(text)


_MILD = (
    "{name: longer, at: 1s, fault: latency, between: [validator, explorer], latency: 20ms, for: 8s}, "
    "{name: pause, at: 3s, fault: pause, on: explorer-1, for: 1s}, "
    "{name: restart, at: 5s, fault: restart, on: validator-2}"
)
STORIES = {
    "mild faults": Story("pass", _MILD),
    "no defect": Story("pass", _CUT),
    "defect": Story("fail", _CUT, bug=True),
    "starved, no defect": Story("pass", _CUT, hogs=True),
    "starved, defect": Story("not pass", _CUT, bug=True, hogs=True),
    "partition taken off": Story("not pass", _CUT, sabotage=_take_off_rules),
    "latency taken off, to the end": Story(
        "not pass",
        "{name: longer, at: 4s, fault: latency, between: [validator, explorer], latency: 80ms}",
        sabotage=_take_off_toxics,
    ),
    "short partition taken off": Story(
        "not pass",
        '{name: cut, at: 2s, fault: partition, between: ["region:us", "region:eu"], for: 2s}',
        sabotage=_take_off_rules,
        after_s=0.3,
    ),
    "partition taken off at its end": Story(
        "not pass",
        '{name: cut, at: 2s, fault: partition, between: ["region:us", "region:eu"], for: 6s}',
        sabotage=_take_off_rules,
        after_s=5.0,
    ),
    "partition undone for a moment": Story("not pass", _CUT, sabotage=_undo_rules_for_a_moment),
    "drop taken off": Story(
        "not pass",
        '{name: loss, at: 2s, fault: drop, between: ["region:us", "region:eu"], probability: 30%, for: 4s}',
        sabotage=_take_off_rules,
        after_s=2.5,
    ),
    "pause undone": Story(
        "not pass",
        "{name: pause, at: 2s, fault: pause, on: explorer-1, for: 4s}",
        sabotage=_let_go_on,
        after_s=2.5,
    ),
    "cpu limit raised": Story(
        "not pass",
        "{name: slow, at: 2s, fault: cpu, on: explorer-1, cpu: 0.5, for: 4s}",
        sabotage=_raise_limit,
        after_s=2.5,
    ),
}


async def run(name: str, number: int, folder: Path) -> tuple[str, str]:
    """Run a story once; return the verdict's word and its reason."""
    story = STORIES[name]
    plan = name.replace(",", "").replace(" ", "-")
    file = folder / f"{plan}-{number}.yaml"
    text = _PLAN.replace("STORY", name).replace("NAME", f"{plan[:20]}{number}").replace("STEPS", story.steps)
    file.write_text(text.replace("SEED", str(number + 1)))
    out = folder / "runs" / str(number)
    words = [sys.executable, "-m", "stressnet", "run", str(file), "--backend", "netns", "--out", str(out)]
    words += ["--set", _BUG] if story.bug else []
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    doing = asyncio.create_task(_meddle(story, out / file.stem))
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        process.send_signal(signal.SIGINT)  # it takes its net down
        await process.wait()
        raise
    finally:
        doing.cancel()
    done = doing.done() and not doing.cancelled() and doing.exception() is None
    if not done and (story.sabotage or story.hogs):
        await asyncio.gather(doing, return_exceptions=True)
    try:
        verdict = json.loads((out / file.stem / runs.LATEST / runs.VERDICT).read_text())
    except OSError:
        return "no verdict", f"{process.returncode}: {errors.decode()[-300:]}"
    why = "" if done or not story.sabotage else f" (NOT TAKEN OFF: {doing!r})"
    return verdict["outcome"], verdict["reason"] + why


async def _meddle(story: Story, folder: Path) -> None:
    """Do to a run what its story says, once its record is there."""
    if story.hogs:
        await _event(folder, lambda event: event.get("phase") == "baseline")
        with _hogs():
            await _event(folder, lambda event: event.get("phase") == "over")
    if story.sabotage:
        event = await _event(folder, lambda event: event["event"] == "fault on")
        await asyncio.sleep(story.after_s)
        net = json.loads((folder / runs.LATEST / runs.RUN).read_text())["net"]
        await story.sabotage(net, folder / runs.LATEST, event)


async def _event(folder: Path, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + _UP_S
    while time.monotonic() < end:
        journal = folder / runs.LATEST / runs.JOURNAL
        for event in read_journal(journal) if journal.exists() else ():
            if is_it(dict(event)):
                return dict(event)
        await asyncio.sleep(0.1)
    raise TimeoutError("it did not come")


@contextmanager
def _hogs() -> Iterator[None]:
    """Use up all CPUs with programs that are not of the run."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(_HOGS)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
