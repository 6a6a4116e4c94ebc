"""Where records of runs lie: `runs/<fault plan>/<UTC time>/`, and `latest` and `prove-<UTC time>/` beside them.

run.json       what was asked: plan, variant, seed, settings, versions, machine, checks
plan.json      the net, completely      timeline.json   what is done when, drawn
journal.jsonl  what was done and seen   samples.db      figures over time
logs/<node>.log    evidence/    blocks.json    answers.jsonl  verdict.json   junit.xml   report.html
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stressnet.errors import EnvironmentProblem, UsageError
from stressnet.record.journal import read_journal

ROOT = Path("runs")
PROOF, SOAK = "prove.json", "soak.json"
LATEST, LATEST_SOAK = "latest", "latest-soak"
RUN, PLAN, TIMELINE, JOURNAL, SAMPLES = (
    "run.json",
    "plan.json",
    "timeline.json",
    "journal.jsonl",
    "samples.db",
)
SOURCE = "faultplan.yaml"
LOGS, EVIDENCE, BLOCKS, VERDICT = "logs", "evidence", "blocks.json", "verdict.json"
ANSWERS = "answers.jsonl"
JUNIT, REPORT = "junit.xml", "report.html"


@dataclass(frozen=True, slots=True)
class FoundRun:
    """One record on disk."""

    path: Path
    name: str
    variant: str
    begun_at: float
    """Unix time."""
    outcome: str
    """pass, fail, inconclusive, or "" where there is no verdict (yet)."""


def new_run(root: Path, name: str, now: float) -> Path:
    """Make the folder of a run that begins now (Unix time), and return it."""
    path = new_folder(root / name, "", now)
    for below in (LOGS, EVIDENCE):
        (path / below).mkdir()
    point(root / name / LATEST, path.name)
    return path


def new_proof(root: Path, name: str, now: float) -> Path:
    """Make the folder of what `prove` finds, beside the records of the plan, and return it."""
    return new_folder(root / name, "prove-", now)


def new_folder(folder: Path, prefix: str, now: float) -> Path:
    """Make a folder below another that is called so and by the UTC time (of Unix time `now`), and return it."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for turn in range(1000):
            path = folder / (f"{prefix}{stamp}-{turn + 1}" if turn else f"{prefix}{stamp}")
            with suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise EnvironmentProblem(
            f"the record cannot be made in {folder.parent}: {error.strerror or error}"
        ) from error
    raise EnvironmentProblem(f"there are 1000 runs of {folder.name} in this second already")


def point(link: Path, target: str) -> None:
    """Let a link such as `latest` name something else; whoever looks never finds it missing."""
    partial = link.with_name(f".{link.name}-{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(link)


def find_run(text: str, root: Path = ROOT) -> Path:
    """Return the record that a user means: its folder, or the name of a fault plan for the latest of it.

    UsageError where there is none; of a soak, which has many, it names some.
    """
    for path in (Path(text), root / text, root / text / LATEST, Path(text) / LATEST):
        if (path / SOAK).is_file():
            raise _is_soak(path)
        if (path / RUN).is_file():
            return path.resolve()
    for path in (root / text / LATEST_SOAK, Path(text) / LATEST_SOAK):
        if (path / SOAK).is_file():
            raise _is_soak(path)
    plans = [run.path.parent.name for run in runs(root)]
    plans += [link.parent.name for link in root.glob(f"*/{LATEST_SOAK}")]
    known = ", ".join(dict.fromkeys(plans)) or "none"
    raise UsageError(f"there is no record {text!r}; fault plans with records in {root}/: {known}")


def _is_soak(path: Path) -> UsageError:
    first = (read_json(path / VERDICT).get("first_failure") or {}).get("number")
    ways = {
        "the whole night": path / "night",
        f"round {first}, the first that failed": path / "rounds" / str(first),
        "its latest round": path / LATEST,
    }
    there = [f"{what}: {where}" for what, where in ways.items() if (where / RUN).is_file()]
    hints = (*there, f"what it came to: {path / 'summary.md'}")
    return UsageError(f"{path} is a soak, of which each round has a record; say which", hints=hints)


def label(record: Path) -> str:
    """Return what tells a record from others: its plan and time, of one in a soak those of the soak, and its number."""
    soak = next((one for one in record.parents[:2] if (one / SOAK).is_file()), None)
    return f"{soak.parent.name}-{soak.name}-{record.name}" if soak else f"{record.parent.name}-{record.name}"


def runs(root: Path = ROOT) -> Iterator[FoundRun]:
    """Yield the records below a folder, the oldest of each fault plan first."""
    for file in sorted(root.glob(f"*/*/{RUN}")):
        if file.parent.is_symlink():
            continue
        raw = read_json(file)
        try:
            said = str(raw["name"]), str(raw["variant"]), float(raw["begun_at"])
        except (ValueError, KeyError, TypeError):
            continue  # not ours, or not written yet
        yield FoundRun(file.parent, *said, _outcome(file.parent))


def remove(path: Path) -> None:
    """Remove a record; `latest` then names the newest that is left of its fault plan."""
    shutil.rmtree(path, ignore_errors=True)
    link = path.with_name(LATEST)
    if not link.exists():
        left = [run.path for run in runs(path.parent.parent) if run.path.parent == path.parent]
        if left:
            point(link, left[-1].name)
        else:
            link.unlink(missing_ok=True)


def duration_s(path: Path) -> float | None:
    """Return how long a run took until its record was complete, seconds; None where it was not completed."""
    events = read_journal(path / JOURNAL)
    ends = [event["time"] for event in events if event["event"] == "phase" and event["phase"] == "over"]
    return float(ends[0] - events[0]["time"]) if ends else None


def size_bytes(path: Path) -> int:
    """Return what the files of a record hold."""
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def _outcome(path: Path) -> str:
    return str(read_json(path / VERDICT).get("outcome", ""))


def read_json(path: Path) -> Mapping[str, Any]:
    """Return what a file of facts says; nothing where it is missing or torn."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts into a file of a record, whole or not at all."""
    write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of a record, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", errors="replace")
    partial.replace(path)
