"""How often verdicts are wrong, on records and runs of which it is known what must be said of them.

python -m benchmarks.truth [CHECK ...] --each 1000 [--seed 1] [--jobs 2]
python -m benchmarks.truth --live 10 [STORY ...] [--at-once 2]

Prints Markdown tables, with the 95 % intervals of E. B. Wilson. A *false alarm* is a fail where nothing is wrong, a
*miss* a pass where something is; inconclusive is neither, and is told beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from multiprocessing import Pool
from pathlib import Path
from random import Random

from benchmarks import (
    truth_answers,
    truth_beside,
    truth_blocks,
    truth_control,
    truth_heights,
    truth_logs,
    truth_metrics,
    truth_reach,
    truth_records,
    truth_work,
)
from benchmarks.timing import machine
from benchmarks.truth_records import Case, Filed
from benchmarks.truth_runs import STORIES, run
from stressnet.checks.proportion import wilson
from stressnet.checks.registry import CHECKS

OUTCOMES = ("pass", "fail", "inconclusive")
_CHUNK = 25
_SOURCES = (
    truth_records,
    truth_work,
    truth_heights,
    truth_beside,
    truth_answers,
    truth_blocks,
    truth_reach,
    truth_metrics,
    truth_logs,
    truth_control,
)
CASES = {(case.check, case.name): case for source in _SOURCES for case in source.CASES}


def outcome(case: Case, seed: int, number: int) -> str:
    """Return what the check says of one record of a sort."""
    made = case.make(Random(f"{seed} {case.check} {case.name} {number}"))
    check = CHECKS[case.check]
    with tempfile.TemporaryDirectory() as folder:
        record = made.made_in(Path(folder)) if isinstance(made, Filed) and made.files else made.made()
        return check.judge(record, check.parameters.model_validate(dict(case.parameters))).outcome


def _chunk(asked: tuple[tuple[str, str], int, range]) -> tuple[tuple[str, str], Counter[str]]:
    name, seed, numbers = asked
    return name, Counter(outcome(CASES[name], seed, number) for number in numbers)


def wrong(truth: str, found: Counter[str]) -> int:
    """Return how many are wrong: fails where all is well, passes where it is not."""
    return found["fail"] if truth == "pass" else found["pass"]


def share(count: int, of: int) -> str:
    """Write a share with its interval."""
    low, high = wilson(count, of)
    return f"{count / of:.1%} ({low:.1%}–{high:.1%})" if of else "–"


def rows(names: Sequence[tuple[str, str]], found: dict[tuple[str, str], Counter[str]]) -> Iterable[str]:
    """Yield a table of all sorts of records, and one of the checks."""
    yield "\n| check | record | right | pass | fail | inconclusive | wrong |"
    yield "| --- " * 7 + "|"
    for name in names:
        case, calls = CASES[name], found[name]
        counts = " | ".join(str(calls[word]) for word in OUTCOMES)
        yield (
            f"| `{case.check}` | {case.name} | {case.truth} | {counts} | "
            f"{share(wrong(case.truth, calls), calls.total())} |"
        )
    yield "\n| check | false alarms | misses | inconclusive |\n| --- | --- | --- | --- |"
    for check in dict.fromkeys(check for check, _ in names):
        sums = {truth: Counter[str]() for truth in ("pass", "fail", "not pass")}
        for name in names:
            if name[0] == check:
                sums[CASES[name].truth].update(found[name])
        ill = sums["fail"] + sums["not pass"]
        unsure = sums["pass"]["inconclusive"] + sums["fail"]["inconclusive"]
        yield (
            f"| `{check}` | {share(wrong('pass', sums['pass']), sums['pass'].total())} | "
            f"{share(wrong('fail', ill), ill.total())} | "
            f"{share(unsure, sums['pass'].total() + sums['fail'].total())} |"
        )


def synthetic(options: argparse.Namespace) -> None:
    """Judge so many records of each sort."""
    names = [name for name in CASES if not options.names or name[0] in options.names]
    chunks = [
        (name, options.seed, range(begin, min(begin + _CHUNK, options.each)))
        for name in names
        for begin in range(0, options.each, _CHUNK)
    ]
    found = {name: Counter[str]() for name in names}
    begun = time.perf_counter()
    with Pool(options.jobs) as pool:
        for name, calls in pool.imap_unordered(_chunk, chunks):
            found[name] += calls
    print("\n".join(rows(names, found)))
    print(f"\n{options.each} records each, seed {options.seed}, {time.perf_counter() - begun:.0f} s")


async def live(options: argparse.Namespace, folder: Path) -> None:
    """Run so many of each story, and print what became of them; each verdict comes to the standard error at once."""
    names = [name for name in STORIES if not options.names or name in options.names]
    found = {name: Counter[str]() for name in names}
    turn = asyncio.Semaphore(options.at_once)

    async def once(name: str, number: int) -> None:
        async with turn:
            word, reason = await run(name, number, folder)
        found[name][word] += 1
        print(f"{name} {number}: {word}: {reason}", file=sys.stderr, flush=True)

    async with asyncio.TaskGroup() as group:
        for number in range(options.live):
            for name in names:
                group.create_task(once(name, number))
    heads = (*OUTCOMES, "no verdict")
    print(f"\n| run | right | {' | '.join(heads)} | wrong |\n{'| --- ' * 7}|")
    for name in names:
        truth, calls = STORIES[name].truth, found[name]
        counts = " | ".join(str(calls[word]) for word in heads)
        print(f"| {name} | {truth} | {counts} | {share(wrong(truth, calls), calls.total())} |")


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="checks, or with --live stories; all if none is given")
    parser.add_argument("--each", type=int, default=100, help="records of each sort")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--live", type=int, default=0, metavar="RUNS", help="live runs of each story instead")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    print(machine())
    if not options.live:
        synthetic(options)
        return
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = f"{name}/state"
        asyncio.run(live(options, Path(name)))


if __name__ == "__main__":
    main()
