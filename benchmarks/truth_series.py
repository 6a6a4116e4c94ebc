"""How often the statistics of checks are wrong, on series of which it is known whether they grow.

python -m benchmarks.truth_series --each 1000 [--threshold 1.5] [--seed 1]

Noise has a standard deviation of 1 (of a sample); the threshold of growth and the leaks (6, 9 and 18) are in it, over
the run. Prints Markdown tables: what one series is called (with a confidence of 0.99), and how often eight nodes
that all have such a series are called leaking: by vote, and where Benjamini and Hochberg leave at least one or two.
Eights are drawn from the series, with replacement.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from stressnet.checks.proportion import benjamini_hochberg
from stressnet.checks.shape import shape
from stressnet.checks.trend import growth, p_value, trend

Series = list[float]
Maker = Callable[[Random, int], Series]

SIZES = (120, 240, 480)
LEAKS = (6, 9, 18)
NODES = 8
VOTES = 3
"""Of the eight, with a confidence of 0.95 each."""
Q = 0.01
FORMS = ("flat", "spike", "step", "ramp")


def white(random: Random, count: int) -> Series:
    return [random.gauss(0, 1) for _ in range(count)]


def lingering(random: Random, count: int, correlation: float = 0.9) -> Series:
    """AR(1)."""
    values = [random.gauss(0, 1)]
    fresh = math.sqrt(1 - correlation**2)
    while len(values) < count:
        values.append(correlation * values[-1] + fresh * random.gauss(0, 1))
    return values


def wandering(random: Random, count: int) -> Series:
    return lingering(random, count, 0.97)


def saw(random: Random, count: int, periods: tuple[float, float] = (5, 12)) -> Series:
    """Garbage that is collected at random moments, without memory: the hardest sort of collector."""
    often = 1 / random.uniform(*periods)
    deviation = math.sqrt(1 - often) / often
    age = int(math.log(1 - random.random()) / math.log(1 - often))
    values = []
    for _ in range(count):
        age = 0 if random.random() < often else age + 1
        values.append(age / deviation + random.gauss(0, 0.1))
    return values


def slow_saw(random: Random, count: int) -> Series:
    """Collections so rare that a short series may see one or none."""
    return saw(random, count, (12, 25))


def warm_up(random: Random, count: int) -> Series:
    height, tau = random.uniform(5, 20), count / random.uniform(8, 20)
    return [
        noise + height * (1 - math.exp(-number / tau)) for number, noise in enumerate(white(random, count))
    ]


def high_water(random: Random, count: int) -> Series:
    """An allocator that keeps the most that was ever in use."""
    scale, top, values = random.uniform(2, 6), -math.inf, []
    for used, noise in zip(lingering(random, count), white(random, count), strict=True):
        top = max(top, used)
        values.append(scale * top + noise)
    return values


def rare_high_water(random: Random, count: int) -> Series:
    """High-water marks by peaks of load, some 4 to 10 samples apart."""
    scale, often, top, values = random.uniform(2, 5), 1 / random.uniform(4, 10), 0.0, []
    for noise in white(random, count):
        if random.random() < often:
            top = max(top, scale * abs(random.gauss(0, 1)))
        values.append(top + noise)
    return values


def spike(random: Random, count: int) -> Series:
    height, width = random.uniform(5, 30), random.uniform(0.02, 0.12) * count
    begin = random.uniform(0, count - width)
    return [
        noise + height * (begin <= number < begin + width)
        for number, noise in enumerate(white(random, count))
    ]


def step(random: Random, count: int) -> Series:
    height, at = random.uniform(3, 20), random.uniform(0.05, 0.95) * count
    return [noise + height * (number >= at) for number, noise in enumerate(white(random, count))]


def two_steps(random: Random, count: int) -> Series:
    return [one + other for one, other in zip(step(random, count), step(random, count), strict=True)]


def leaking(maker: Maker, leak: float) -> Maker:
    return lambda random, count: [
        value + leak * number / count for number, value in enumerate(maker(random, count))
    ]


def late_leak(random: Random, count: int) -> Series:
    """18 over the second half; it was flat before."""
    return [noise + 36 * max(0.0, number / count - 0.5) for number, noise in enumerate(white(random, count))]


HEALTHY: Mapping[str, Maker] = {
    "white noise": white,
    "AR(1) 0.9": lingering,
    "AR(1) 0.97": wandering,
    "saw-tooth": saw,
    "slow saw-tooth": slow_saw,
    "warm-up": warm_up,
    "high water": high_water,
    "high water, rare peaks": rare_high_water,
    "spike": spike,
    "step": step,
    "two steps": two_steps,
}
LEAKY: Mapping[str, Maker] = {
    **{
        f"{name} + {leak}": leaking(HEALTHY[name], leak)
        for name in ("white noise", "AR(1) 0.9", "saw-tooth")
        for leak in LEAKS
    },
    "white noise + 18 from half": late_leak,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the statistics say of one series."""

    alone: str
    vote: bool
    p: float
    form: str


def judged(values: Series, threshold: float, with_shape: bool) -> Judged:
    points = [(float(number), value) for number, value in enumerate(values)]
    strict, p = trend(points, confidence=0.99), p_value(points, threshold)
    assert strict
    assert p is not None
    loose = trend(points) if p < 1 else None  # where it is 1, neither can speak of growth
    formed = shape(points) if with_shape else None
    return Judged(
        growth(strict, threshold),
        loose is not None and growth(loose, threshold) == "growth",
        p,
        formed.form if formed else "",
    )


def in_eights(found: list[Judged], random: Random) -> tuple[float, float, float]:
    """Return how often eight nodes are called leaking: by vote, and by one and by two hypotheses rejected."""
    votes, rejected = [], []
    for _ in found:
        nodes = random.choices(found, k=NODES)
        votes.append(sum(node.vote for node in nodes))
        rejected.append(sum(benjamini_hochberg([node.p for node in nodes], Q)))
    return share_from(votes, VOTES), share_from(rejected, 1), share_from(rejected, 2)


def share_from(counts: list[int], least: int) -> float:
    return sum(count >= least for count in counts) / len(counts)


def row(name: str, maker: Maker, count: int, options: argparse.Namespace) -> str:
    random = Random(f"{options.seed} {name} {count}")
    threshold = options.threshold / count
    found = [
        judged(maker(random, count), threshold, number < options.shapes) for number in range(options.each)
    ]
    calls = Counter(one.alone for one in found)
    forms = Counter(one.form for one in found if one.form)
    eights = in_eights(found, random)
    shares = (calls[call] / len(found) for call in ("growth", "none", "undecided"))
    formed = (forms[form] / max(1, forms.total()) for form in FORMS)
    cells = [f"{share:.1%}" for share in (*shares, *eights)] + [f"{share:.0%}" for share in formed]
    return f"| {name} | {count} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=200, help="series of each sort and length")
    parser.add_argument("--shapes", type=int, default=25, help="of how many of them the form is told too")
    parser.add_argument("--threshold", type=float, default=1.5, help="of growth, in noise over the run")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.perf_counter()
    for title, makers, names in (
        ("Without a leak", HEALTHY, ("false alarm", "none")),
        ("With a leak", LEAKY, ("growth", "missed")),
    ):
        print(f"\n## {title}\n")
        heads = ("series", "n", *names, "undecided", "8 by vote", "8 by BH", "by 2 of BH", *FORMS)
        print(f"| {' | '.join(heads)} |")
        print("| --- " * len(heads) + "|")
        for name, maker in makers.items():
            for count in SIZES:
                print(row(name, maker, count, options), flush=True)
    print(f"\n{options.each} series each, seed {options.seed}, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
