"""Find what comes with stressnet: kinds and example topologies, in a checkout or in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `images`, `topologies` or `faults`; it may be missing in a damaged installation."""
    installed = _PACKAGE / "data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def topology(name: str) -> Path:
    """Return the file of an example topology, as in `topology("quickstart")`."""
    return folder("topologies") / f"{name}.yaml"


def fault_plan(path: Path) -> Path:
    """Return a fault plan's file: as it is, or one that comes with stressnet by its bare name."""
    ours = folder("faults") / f"{path}.yaml"
    return ours if len(path.parts) == 1 and not path.exists() and ours.is_file() else path
