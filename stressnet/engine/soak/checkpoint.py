"""How far a soak has come, on disk at any moment, so that it survives the death of who does it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stressnet.engine.soak.folder import LINES, STATE, kept_rounds, round_folder
from stressnet.engine.soak.rounds import Tally, read_rounds, tally_of
from stressnet.errors import UsageError
from stressnet.record import runs

VERSION = 1
_NOTES = 30
"""What happened to a soak, the first half of these and the last are kept."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a soak between two rounds, or at the beginning of one."""

    soaked_s: float = 0.0
    """How long it has gone on, without the times when nobody did it."""
    number: int = 0
    """Of the latest round that was begun."""
    seed: int = 0
    """Of that round."""
    begun_at: float = 0.0
    """Unix time when that round began; 0: none is being done."""
    nets: int = 0
    """How many nets there have been."""
    settled: bool = False
    """Whether the latest of them has been seen to settle: a round on it came to its baseline."""
    tally: Tally = Tally()  # noqa: RUF009  # it is frozen
    ended: str = ""
    """"": it goes on, or nobody does it; time: its time is up; interrupted, or net or disk, which could not be had any
    more: it can be gone on with."""
    notes: tuple[str, ...] = ()

    def noting(self, words: str) -> Checkpoint:
        """Return it with one note more; of many, some in the middle go."""
        notes = (*self.notes, words)
        if len(notes) > _NOTES:
            notes = (*notes[: _NOTES // 2], *notes[_NOTES // 2 + 1 :])
        return replace(self, notes=notes)


def save(folder: Path, one: Checkpoint, now: float) -> None:
    """Write it, whole or not at all."""
    raw = {name: getattr(one, name) for name in one.__slots__}
    raw |= {"tally": one.tally.to_raw(), "version": VERSION, "written_at": now}
    partial = folder / f".{STATE}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(raw, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / STATE)


def load(folder: Path) -> Checkpoint:
    """Return where a soak was; from the lines of its rounds where its checkpoint is missing or torn.

    UsageError where a later version has written it.
    """
    raw = runs.read_json(folder / STATE)
    if raw.get("version", 0) > VERSION:
        raise UsageError(f"the soak {folder} was begun by a later version of stressnet")
    try:
        found = _from_raw(raw)
    except (KeyError, TypeError, ValueError, AttributeError):
        return _from_lines(folder)
    return _caught_up(folder, found) if found.begun_at else found


def _caught_up(folder: Path, found: Checkpoint) -> Checkpoint:
    """Add the round that was being done where its line was the last that was written.

    Those before it are not counted again: lines of rounds that passed may be gone.
    """
    for one in read_rounds(folder / LINES):
        if one.number >= found.number:
            tally = found.tally.with_round(one)
            found = replace(found, tally=tally, soaked_s=one.soaked_s, begun_at=0.0)
    return found


def _from_raw(raw: Mapping[str, Any]) -> Checkpoint:
    """What an earlier version did not write is as in a new one."""
    tally = Tally.from_raw(raw["tally"])
    known = {name: raw[name] for name in Checkpoint.__slots__ if name in raw}
    return Checkpoint(**{**known, "tally": tally, "notes": tuple(known.get("notes", ()))})


def _from_lines(folder: Path) -> Checkpoint:
    tally = tally_of(folder / LINES)
    done = tally.last.number if tally.last else 0
    soaked_s, nets = (tally.last.soaked_s, tally.last.net) if tally.last else (0.0, 0)
    number = max([done, *kept_rounds(folder)])
    if not number:
        return Checkpoint()
    found = Checkpoint(soaked_s, number, nets=nets, tally=tally)
    found = found.noting("its checkpoint was lost; its rounds were counted anew")
    if number == done:
        return found
    facts = runs.read_json(round_folder(folder, number) / runs.RUN)
    return replace(found, seed=facts.get("seed", 0), begun_at=facts.get("begun_at", 0.0))
