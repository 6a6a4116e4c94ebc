"""Where a soak lies: `runs/<fault plan>/soak-<UTC time>/`, and `latest-soak` beside them.

soak.json    what was asked         state.json   how far it has come     rounds.jsonl  a line for each round
night/       a record of all of it: a look a minute      rounds/<number>/  a record of each round that is kept
verdict.json     summary.md          latest       the newest round
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from stressnet import state
from stressnet.record import runs

PREFIX = "soak-"
SOAK, STATE, LINES, SUMMARY, LOCK = runs.SOAK, "state.json", "rounds.jsonl", "summary.md", "lock"
NIGHT, ROUNDS = "night", "rounds"
_ABANDONED_S = 12 * 3600.0
"""Who was silent for so long is not gone on with: it would be the next night."""


def new_soak(root: Path, name: str, now: float) -> Path:
    """Make the folder of a soak that begins now (Unix time), and return it."""
    path = runs.new_folder(root / name, PREFIX, now)
    (path / ROUNDS).mkdir()
    runs.point(root / name / runs.LATEST_SOAK, path.name)
    return path


def soaks(root: Path, name: str, variant: str) -> Iterator[Path]:
    """Yield the soaks of a fault plan and variant, the newest first."""
    found = [
        (float(facts.get("begun_at", 0.0)), path)
        for path in (root / name).glob(f"{PREFIX}*")
        if path.is_dir() and (facts := runs.read_json(path / SOAK)) and facts.get("variant") == variant
    ]
    yield from (path for _, path in sorted(found, reverse=True))


def unfinished(root: Path, name: str, variant: str, now: float) -> Path | None:
    """Return the newest soak where its time is not up, and it has not been silent for half a day."""
    newest = next(soaks(root, name, variant), None)
    if newest is None or runs.read_json(newest / STATE).get("ended") == "time":
        return None
    signs = [file.stat().st_mtime for file in (newest / STATE, newest / SOAK) if file.exists()]
    return newest if now - max(signs) < _ABANDONED_S else None


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold a soak; UsageError where another process does. The kernel frees it when its holder dies."""
    return state.held(path / LOCK, f"the soak {path} is being done by another process")


def round_folder(path: Path, number: int) -> Path:
    """Return where the record of a round lies."""
    return path / ROUNDS / str(number)


def kept_rounds(path: Path) -> list[int]:
    """Return the numbers of the rounds that have a record, in order."""
    return sorted(int(one.name) for one in (path / ROUNDS).iterdir() if one.name.isdigit())


def new_round(path: Path, number: int) -> Path:
    """Make the folder of a round, which `latest` then names."""
    made = round_folder(path, number)
    for below in (runs.LOGS, runs.EVIDENCE):
        (made / below).mkdir(parents=True, exist_ok=True)
    runs.point(path / runs.LATEST, f"{ROUNDS}/{number}")
    return made
