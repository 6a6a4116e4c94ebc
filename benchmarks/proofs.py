"""How often the variants of the plans in faults/ give the verdicts that they should give.

python -m benchmarks.proofs [PLAN ...] --runs 20 [--backend netns|docker] [--at-once auto] [--out DIR]

Runs `stressnet prove` for one plan after the other, and prints a row for each variant: k of n with the 95 % interval,
and how long a run took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.timing import machine
from stressnet.checks.expectation import Expectation
from stressnet.resources import folder
from stressnet.spec.units import format_percent


def _proven(plan: str, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "stressnet", "prove", plan, "--json"]
    command += ["--runs", str(options.runs), "--at-once", options.at_once]
    command += ["--backend", options.backend, "--out", str(out)]
    command += ["--keep-records"] if options.out else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _rows(plan: str, found: dict[str, Any]) -> list[str]:
    rows = []
    for one in found["variants"]:
        low, high = (format_percent(round(one[bound], 3)) for bound in ("low", "high"))
        others = ", ".join(f"{count} {word}" for word, count in one["otherwise"].items())
        counted = f"{one['as_expected']} of {one['runs']} ({low} to {high})"
        should = Expectation.from_raw(one["expected"])
        rows.append(f"| `{plan}` | `{one['variant']}` | {should} | {counted} | {others or '–'} |")
    return rows


def main() -> None:
    """Prove the plans, and print a table."""
    plans = sorted(path.stem for path in folder("faults").glob("*.yaml"))
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "plans", nargs="*", metavar="PLAN", help=f"of {', '.join(plans)}; all if none is given"
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--backend", choices=("netns", "docker"), default="netns")
    parser.add_argument("--at-once", default="auto")
    parser.add_argument(
        "--out", type=Path, help="Folder of records, which are kept; default: one that is removed."
    )
    options = parser.parse_args()
    if unknown := set(options.plans) - set(plans):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(machine())
    print(
        "| plan | variant | should | as it should (95 % interval) | otherwise |\n| --- | --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("XDG_STATE_HOME", name)
        for plan in options.plans or plans:
            found = _proven(plan, options, options.out or Path(name) / "runs")
            print("\n".join(_rows(plan, found)), flush=True)


if __name__ == "__main__":
    main()
