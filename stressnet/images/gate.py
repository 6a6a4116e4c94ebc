"""The gate program, built once: see images/gate/main.go for what it does."""

from __future__ import annotations

from pathlib import Path

from stressnet import resources
from stressnet.images import cache, golang


def sources() -> list[Path]:
    """Return the files that the gate is built from."""
    return sorted(
        path for path in (resources.folder("images") / "gate").iterdir() if path.suffix in (".go", ".mod")
    )


def binary(machine: str) -> Path:
    """Return the gate for a machine (as `uname -m` names it), built where it is missing."""
    target = cache.root() / "gate" / f"{cache.digest(sources())}-{machine}"
    if not target.is_dir():
        with cache.filled(target) as folder:
            golang.build(sources()[0].parent, folder / "gate", machine)
    return target / "gate"
