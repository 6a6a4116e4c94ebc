"""Whether a soak stays flat: memory, open files, threads and tasks of who does it and of the agent, at begin and end.

python -m benchmarks.soak [MINUTES] [--backend netns|docker]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sampling import agents, cpu_s
from benchmarks.timing import machine
from stressnet.cli.soak_screen import SoakScreen
from stressnet.cli.told import run_until_told
from stressnet.engine.run.scenario import Scenario, load_scenarios
from stressnet.engine.run.stages import Asked
from stressnet.engine.soak import thin
from stressnet.engine.soak.begin import begun
from stressnet.engine.soak.livenet import LivePlace
from stressnet.engine.soak.order import Order
from stressnet.engine.soak.soak import Soak

PLAN = """
topology:
  name: bench-soak
  defaults: {kind: syncnode, config: {chain: {block_time: 300ms, payload: 64B}}}
  nodes: {validator: {count: 3}, full: {count: 2, role: full}}
time_scale: 20
settle: {height: 3, baseline: 2s}
duration: 12s
observe: 6s
random:
  every: 3s
  faults:
    - {fault: latency, between: [validator, full], latency: 10ms to 80ms, for: 1s to 4s}
    - {fault: partition, between: [validator-1, full], for: 1s to 3s}
    - {fault: pause, on: any 1 of full, for: 500ms to 2s}
checks:
  - recovery: {within: 5s, lag: 10}
"""
_BUDGET = 64 << 20
_LOOK_S = 10.0


@dataclass(frozen=True)
class Look:
    """One process at one moment."""

    at: float
    rss_mib: float
    files: int
    threads: int
    tasks: int

    def words(self) -> str:
        tasks = f", {self.tasks} tasks" if self.tasks else ""
        return f"{self.rss_mib:.1f} MiB, {self.files} files, {self.threads} threads{tasks}"


def look(pid: int, tasks: int = 0) -> Look:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    files, threads = (len(os.listdir(f"/proc/{pid}/{part}")) for part in ("fd", "task"))
    return Look(time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE") / 2**20, files, threads, tasks)


async def watch(state: Path, backend: str, controller: list[Look], agent: list[Look]) -> None:
    """Look at both again and again, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        controller.append(look(os.getpid(), len(asyncio.all_tasks())))
        agent += [look(pid) for pid in agents(state, backend)]


def tell(name: str, looks: Sequence[Look]) -> None:
    """Print begin and end, memory at ten times between, and how fast it grew in the second half.

    Of each tenth of the looks the least counts: what is there in passing does not.
    """
    part = max(1, len(looks) // 10)
    least = [
        min(looks[place : place + part], key=lambda one: one.rss_mib) for place in range(0, len(looks), part)
    ]
    first, middle, last = least[0], least[len(least) // 2], least[-1]
    grown = (last.rss_mib - middle.rss_mib) / max(last.at - middle.at, 1.0) * 3600
    print(f"{name}: {first.words()} -> {last.words()}")
    print(f"  MiB: {' '.join(f'{one.rss_mib:.1f}' for one in least)}; second half {grown:+.1f} an hour")


def main() -> None:
    """Soak a small net with faults drawn anew in each round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("minutes", type=float, nargs="?", default=30.0)
    parser.add_argument("--backend", choices=("netns", "docker"), default="netns")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = name
        plan = folder / "bench-soak.yaml"
        plan.write_text(PLAN)

        def load(mark: str) -> Scenario:
            return load_scenarios(plan, backend=options.backend, mark=mark)[0]

        def order_of(scenario: Scenario) -> Order:
            asked = Asked(folder / "runs", ("stressnet", "run", str(plan)), PLAN)
            return Order(scenario, asked, options.minutes * 60, 120.0, _BUDGET)

        with begun(load, order_of, folder / "runs", resume=False) as (path, order):
            run_until_told(soak(path, order, folder, options.backend))


async def soak(path: Path, order: Order, state: Path, backend: str) -> None:
    """Do it, and print what was found."""
    controller: list[Look] = []
    agent: list[Look] = []
    watching = asyncio.create_task(watch(state, backend, controller, agent))
    began = time.monotonic()
    amount = await Soak(order, path, LivePlace(order.scenario, SoakScreen(quiet=True)), lambda _: None).run()
    watching.cancel()
    print(f"{amount.outcome}: {amount.reason}")
    print((path / "summary.md").read_text())
    tell("controller", controller)
    tell("agent", agent)
    print(f"controller: {cpu_s([os.getpid()]) / (time.monotonic() - began):.1%} of a CPU")
    print(f"folder: {thin.size(path) / 2**20:.1f} MiB of {_BUDGET >> 20} MiB")


if __name__ == "__main__":
    main()
