"""Records of CPU time for blocks: what `discovery_storm` must say of it with `counts: [cpu_per_block]`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from benchmarks.truth_records import cases, some_net
from stressnet.making import STEP_S, Making, Sampled

_END_S = 100


def _working(random: Random, times: float = 1.0, kind: str = "") -> Making:
    """Nodes that work for each block; for a while one of them so many times as much, or all for fewer or more."""
    made = some_net(random)
    blocks = random.uniform(1, 4)
    begun, lasts = random.uniform(22, 60), random.uniform(10, 30)
    changed = {"slow chain": random.uniform(0.05, 0.3), "halt": 0.0, "catching up": random.uniform(3, 10)}
    one, usual = random.choice(list(made.looks)), random.uniform(0.04, 0.2)
    for name in made.looks:
        cores = usual * random.uniform(0.5, 1.5)
        more = times * max(1.0, usual / cores) if name == one else 1.0
        span = begun, begun + lasts
        made.looks[name] = _at_blocks(random, cores, blocks, span, more, changed.get(kind, 1.0))
    return made


def _at_blocks(
    random: Random, cores: float, blocks: float, span: tuple[float, float], times: float, share: float
) -> Callable[[float], Sampled]:
    """A node of whose work two thirds are for blocks, and a third is done anyhow."""
    height, cpu = 0.0, 0.0
    seen: list[Sampled] = []
    for number in range(int(_END_S / STEP_S) + 1):
        inside = span[0] <= number * STEP_S < span[1]
        gained = STEP_S * blocks * random.gammavariate(4, 0.25) * (share if inside else 1.0)
        height += gained
        work = cores * (STEP_S / 3 + 2 / 3 * gained / blocks) * random.gammavariate(4, 0.25)
        cpu += work * (times if inside else 1.0)
        seen.append({"height": int(height), "opens": number // 5, "cpu_s": round(cpu, 2)})
    return lambda at: seen[int(at / STEP_S)]


_COUNTED = {"counts": ["cpu_per_block"]}
CASES = (
    *cases(
        "discovery_storm",
        "pass",
        {
            "work for blocks": _working,
            **{
                kind: lambda random, kind=kind: _working(random, kind=kind)
                for kind in ("slow chain", "halt", "catching up")
            },
        },
        _COUNTED,
    ),
    *cases(
        "discovery_storm",
        "fail",
        {
            f"{times} times the work for a block": lambda random, times=times: _working(random, times)
            for times in (8, 15)
        },
        _COUNTED,
    ),
)
