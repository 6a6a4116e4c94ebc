"""Find the worlds of nets on this machine, from the kernel's list of processes alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from stressnet.agent.names import WORLD

MODULE = "stressnet.agent.world"


@dataclass(frozen=True, slots=True)
class World:
    """Process 1 of a net's world, as seen from here."""

    pid: int
    net: str
    directory: Path
    created_at: float
    expires_at: float


def worlds() -> Iterator[World]:
    """Yield the worlds whose processes this user may end."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (found := _world(int(name))):
            yield found


def world_of(net: str, directory: Path) -> World | None:
    """Return the world of one net of this user."""
    return next((world for world in worlds() if world.net == net and world.directory == directory), None)


def _world(pid: int) -> World | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if MODULE not in words:
            return None
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid() or not _is_world(pid):
            return None
        options = dict(pairwise(words))
        return World(
            pid=pid,
            net=options["--net"],
            directory=Path(options["--directory"]),
            created_at=os.stat(f"/proc/{pid}").st_ctime,
            expires_at=float(options.get("--expires-at", 0)),
        )
    except (OSError, KeyError, ValueError):
        return None


def _is_world(pid: int) -> bool:
    """Whether it is process 1 of a namespace, and has the name that only a world's takes on."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    said = {key: text.split() for key, _, text in (line.partition(":") for line in lines)}
    ids = said.get("NSpid", [])
    return said["Name"] == [WORLD] and len(ids) > 1 and ids[-1] == "1"
