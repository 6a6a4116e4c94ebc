"""Records of which it is known what a check must say of them: made by chance, each anew, from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Literal

from benchmarks import truth_series
from stressnet.compile import compile_plan
from stressnet.faults.presence import NO_ANSWER, Presence
from stressnet.making import STEP_S, Making, Sampled
from stressnet.plan import Plan
from stressnet.record.record import Record
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

Truth = Literal["pass", "fail", "not pass"]
MIB = 1 << 20
GROWING_S = 120.0
"""The timeline of records for `growth`: 240 looks."""
NOISE_MIB = 1 / 1.5 * GROWING_S / 60
"""Standard deviation: the threshold of 1 MiB a minute is 1.5 of it over the timeline, as in `truth_series`."""

_LEAKING = ("white noise", "AR(1) 0.9", "saw-tooth")

Make = Callable[[Random], Making]


@dataclass(frozen=True, slots=True)
class Case:
    """One sort of record, and what its check must say."""

    check: str
    name: str
    truth: Truth
    make: Make
    parameters: Mapping[str, Any] = field(default_factory=dict)


def cases(
    check: str,
    truth: Truth,
    stories: Mapping[str, Make],
    parameters: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Case]:
    """Yield the sorts of records, by name, of which a check with these parameters must say the same."""
    return (Case(check, name, truth, make, parameters) for name, make in stories.items())


class Filed(Making):
    """A record that may have files beside its events and rows; then it lies in a folder."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.files: dict[str, bytes] = {}
        """By path in the record."""

    def made_in(self, folder: Path) -> Record:
        """Return it as a check gets it, with its files."""
        self.path = folder / "run"
        self.made()
        for name, content in self.files.items():
            (self.path / name).write_bytes(content)
        return Record(self.path)


@cache
def _plan(nodes: int) -> Plan:
    with TemporaryDirectory() as folder:
        file = Path(folder, "net.yaml")
        file.write_text("name: net\ndefaults: {kind: syncnode}\nnodes: {n: {count: 8}}\n")
        whole = compile_plan(load(file), Kinds(), find=lambda name: f"/opt/{name}")
    return replace(whole, nodes=whole.nodes[:nodes])


def some_net(random: Random, sizes: tuple[int, ...] = (1, 4, 8)) -> Filed:
    """Return a record of a net of one of these sizes."""
    return Filed(_plan(random.choice(sizes)))


def poisson(random: Random, mean: float) -> int:
    count, left = 0, random.expovariate(1.0)
    while left < mean:
        count, left = count + 1, left + random.expovariate(1.0)
    return count


def _growing(
    random: Random, healthy: str, leak: float = 0.0, *, alone: bool = False, noise: float = 1.0
) -> Making:
    """Memory as `truth_series` makes it, with a leak in noise over the timeline, on all nodes or on one alone."""
    made = some_net(random, (4, 8)) if alone else some_net(random)
    made.phases(settle=0, baseline=10, timeline=20, observe=20 + GROWING_S, over=40 + GROWING_S)
    made.until = 40 + GROWING_S
    names = list(made.looks)
    leaks = [random.choice(names)] if alone else names
    for name in names:
        maker = truth_series.HEALTHY[healthy]
        if leak and name in leaks:
            maker = truth_series.leaking(maker, leak)
        values = maker(random, int(GROWING_S / STEP_S) + 1)
        made.looks[name] = _idle(random, [noise * value for value in values])
    return made


def _idle(random: Random, memory: list[float], left_open: int = 0) -> Callable[[float], Sampled]:
    """A node at work, with memory in noise from second 20 on, and files that it leaves open meanwhile."""
    load = random.uniform(0.01, 0.2)
    cpu = list(accumulate(load * STEP_S * random.gammavariate(4, 0.25) for _ in range(int(200 / STEP_S) + 1)))

    def look(at: float) -> Sampled:
        place = min(max(int((at - 20) / STEP_S), 0), len(memory) - 1)
        return {
            "height": int(2 * at),
            "rss_bytes": int((60 + NOISE_MIB * memory[place]) * MIB),
            "cpu_s": round(cpu[int(at / STEP_S)], 2),
            "fds": 20 + random.choice((0, 0, 0, 1, 2)) + left_open * place // len(memory),
            "sockets": 10 + random.randint(-2, 2),
            "threads": 5,
            "peers": 3,
        }

    return look


def _left_open(random: Random) -> Making:
    """One node has more files open at rest than before."""
    made = _growing(random, "white noise")
    name = random.choice(list(made.looks))
    made.looks[name] = _idle(random, [random.gauss(0, 1) for _ in range(241)], random.randint(10, 40))
    return made


def _spiking(random: Random, figure: str = "", kind: str = "") -> Making:
    """Nodes at work; on one of them a figure shoots up, or does something that is no spike."""
    made = some_net(random)
    for name in made.looks:
        made.looks[name] = _at_work(random)
    if figure or kind:
        made.looks[random.choice(list(made.looks))] = _at_work(random, figure, kind)
    return made


def _at_work(random: Random, figure: str = "", kind: str = "") -> Callable[[float], Sampled]:
    calls, load, memory = random.uniform(0.02, 1.5), random.uniform(0.005, 0.1), random.uniform(25, 60)
    begun, lasts = random.uniform(22, 70), random.uniform(8, 25)
    restart = random.uniform(25, 55) if kind == "restart" else math.inf
    opens, cpu = 0, 0.0
    seen: list[dict[str, Any]] = []
    for number in range(int(100 / STEP_S) + 1):
        at = number * STEP_S
        burst = begun <= at < begun + lasts
        anew = restart <= at < restart + 3
        if restart <= at < restart + STEP_S:
            opens, cpu = 0, 0.0
        opens += poisson(random, STEP_S * (20 if figure == "opens" and burst else 4 if anew else calls))
        cpu += (
            STEP_S
            * random.gammavariate(4, 0.25)
            * (0.8 if (figure == "cpu" and burst) or anew else load * (1 + (kind == "busier" and burst)))
        )
        more = 400.0 if figure == "memory" and burst else 0.0
        if kind == "step" and at > begun:
            more = 0.5 * memory
        if kind == "odd sample" and begun <= at < begun + STEP_S:
            more = 500.0
        seen.append(
            {
                "height": int(2 * at),
                "opens": opens,
                "cpu_s": round(cpu, 2),
                "rss_bytes": int((memory + more + random.gauss(0, 1)) * MIB),
                "starts": 1 + (at >= restart),
                "pid": 100 + (at >= restart),
            }
        )
    return lambda at: seen[int(at / STEP_S)]


def _calls(random: Random, times: float = 0.0, kind: str = "") -> Making:
    """Nodes that open connections at random moments; one of them for a while so many times as often."""
    made = some_net(random)
    usual = math.exp(random.uniform(math.log(0.05), math.log(2.0)))
    one = random.choice(list(made.looks))
    for name in made.looks:
        own = usual * random.uniform(0.5, 1.5)
        begun, lasts = random.uniform(22, 60), random.uniform(10, 30)
        restart = random.uniform(25, 70) if kind == "restarts" else math.inf
        counts, opens = [], 0
        for number in range(int(100 / STEP_S) + 1):
            at = number * STEP_S
            rate = own
            if times and name == one and begun <= at < begun + lasts:
                rate = max(times * max(own, usual), times / 5 * 1.0)
            if kind == "reconnects" and int(begun) == int(at):
                rate = 4.0
            if restart <= at < restart + STEP_S:
                opens = 0
            if restart <= at < restart + 4:
                rate = 5.0
            opens += poisson(random, STEP_S * rate)
            counts.append((opens, 1 + (at >= restart)))
        made.looks[name] = lambda at, counts=counts: {
            "height": int(2 * at),
            "opens": counts[int(at / STEP_S)][0],
            "starts": counts[int(at / STEP_S)][1],
        }
    return made


def _measured(
    random: Random, *, gone: bool = False, kind: str = "", seconds: tuple[float, float] = (0.3, 40)
) -> Making:
    """A cut is measured, and looked at before it is healed, as the agent does; it is taken off behind its back at any
    moment of its time."""
    made = some_net(random, (4,))
    begun, lasts = 21.0, random.uniform(*seconds)
    until, taken = begun + lasts, begun + (random.uniform(0.1, 0.98) * lasts if gone else math.inf)
    made.until = until + 20
    made.phases(settle=0, baseline=10, timeline=20, observe=until + 1, over=until + 20)
    states = [] if kind == "silent" else list(_looks(random, begun, until, taken, kind))
    made.cut("n-1", begun, until, states=states, at_heal=_at_heal(random, there=not gone))
    return made


def _at_heal(random: Random, *, there: bool) -> Presence:
    """One look in 50 has no answer."""
    if random.random() < 0.02:
        return Presence(unseen=[NO_ANSWER])
    return Presence() if there else Presence(["n-1 > n-2: no rule"])


def _looks(
    random: Random, begun: float, until: float, taken: float, kind: str
) -> Iterator[tuple[float, str, Mapping[str, Any]]]:
    at = begun
    while True:
        started = at
        at += random.uniform(0.6, 1.5)
        if at >= until:
            return
        holds = started < taken and not (kind == "chance" and random.random() < 0.01)
        figure = {
            "name": "packets passed",
            "unit": "count",
            "asked": 0.0,
            "found": 0.0 if holds else 9.0,
            "holds": holds,
        }
        found = {"at": 1_000_000.0 + at, "figures": [figure], "not_measured": ""}
        yield at, "on" if holds else "not achieved", found
        at = max(at + 0.5, started + min(5.0, max(1.0, started - begun)))


def _crowded(random: Random, others: float, wait: float) -> Making:
    """Other programs take a share of all CPUs, and nodes wait for a share of the time."""
    made = some_net(random)
    made.host = lambda at: {"busy_s": 2 * at * others + 0.1 * at, "late_s": random.expovariate(10)}
    for name in made.looks:
        share = wait * random.uniform(0.8, 1.2)
        made.looks[name] = lambda at, share=share: {
            "height": int(2 * at),
            "cpu_s": 0.02 * at,
            "cpu_wait_s": share * at,
        }
    return made


def _growth_cases() -> Iterator[Case]:
    known = {"figures": ["memory", "fds", "sockets", "threads"]}
    for name in truth_series.HEALTHY:
        yield Case("growth", name, "pass", lambda random, name=name: _growing(random, name), known)
    for name in ("white noise", "saw-tooth"):
        yield Case(
            "growth",
            f"{name}, a quarter of it",
            "pass",
            lambda random, name=name: _growing(random, name, noise=0.25),
            known,
        )
    for leak in truth_series.LEAKS:
        for alone in (False, True):
            who = "one node" if alone else "all nodes"

            def make(random: Random, leak: float = leak, alone: bool = alone) -> Making:
                return _growing(random, random.choice(_LEAKING), leak, alone=alone)

            yield Case("growth", f"noise + {leak}, {who}", "fail", make, known)
    yield Case("growth", "files left open", "fail", _left_open, known)


def _spike_cases() -> Iterator[Case]:
    yield Case("spike", "nodes at work", "pass", _spiking)
    for kind in ("step", "odd sample", "busier", "restart"):
        yield Case("spike", kind, "pass", lambda random, kind=kind: _spiking(random, kind=kind))
    for figure in ("opens", "cpu", "memory"):
        yield Case(
            "spike", f"burst of {figure}", "fail", lambda random, figure=figure: _spiking(random, figure)
        )


def _other_cases() -> Iterator[Case]:
    yield Case("discovery_storm", "random attempts", "pass", _calls)
    for kind in ("reconnects", "restarts"):
        yield Case("discovery_storm", kind, "pass", lambda random, kind=kind: _calls(random, kind=kind))
    for times in (7, 10, 50):
        yield Case(
            "discovery_storm", f"{times} times", "fail", lambda random, times=times: _calls(random, times)
        )
    for kind in ("", "chance"):
        yield Case(
            "faults_achieved",
            f"as asked{', one look in 100 is wrong' if kind else ''}",
            "pass",
            lambda random, kind=kind: _measured(random, kind=kind),
        )
    yield Case("faults_achieved", "taken off", "not pass", lambda random: _measured(random, gone=True))
    yield Case(
        "faults_achieved",
        "never measured",
        "pass",
        lambda random: _measured(random, kind="silent", seconds=(0.3, 3)),
    )
    yield Case(
        "faults_achieved",
        "taken off, and never measured",
        "not pass",
        lambda random: _measured(random, gone=True, kind="silent"),
    )
    for name, others, wait in (("idle", 0.1, 0.02), ("busy, with room", 0.6, 0.1)):
        yield Case(
            "host_healthy",
            name,
            "pass",
            lambda random, others=others, wait=wait: _crowded(random, others, wait),
        )
    yield Case("host_healthy", "starved by others", "not pass", lambda random: _crowded(random, 0.8, 0.6))


CASES = (*_growth_cases(), *_spike_cases(), *_other_cases())
