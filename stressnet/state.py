"""Where live nets are registered, so that any shell can find, join and remove them (XDG base directories).

    <state>/nets/<net>/     plan.json  nodes/<node>/  prepare/  logs/<node>.log  agent.log  agent.sock
    <state>/kept/<net>/     data of nodes with `data: kept`; outlives the net
    <state>/locks/<net>     held (flock) by whoever makes or removes the net

What is true of a net is asked of engine and kernel; a folder here only says where to ask.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stressnet.errors import EnvironmentProblem, UsageError
from stressnet.plan import Node, Plan

_NET_NAME = re.compile("[a-z](?:[a-z0-9-]{0,29}[a-z0-9])?")


def root() -> Path:
    """Return the state folder of this user; a relative XDG_STATE_HOME is passed over, as its specification says."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "stressnet"
    try:
        return Path.home() / ".local" / "state" / "stressnet"
    except RuntimeError:
        raise EnvironmentProblem(
            "this user has no home folder", hints=("set XDG_STATE_HOME to a folder",)
        ) from None


def is_net_name(name: str) -> bool:
    """Tell whether a net can be called so: whatever else is found under our label or in our folders is not a net's."""
    return _NET_NAME.fullmatch(name) is not None


def _checked(net: str) -> str:
    if not is_net_name(net):
        raise UsageError(f"{net!r} is no name of a net: names are lower-case letters, digits and dashes")
    return net


def net_directory(net: str) -> Path:
    """Return the folder of a net, whether it is there or not."""
    return root() / "nets" / _checked(net)


def kept_directory(net: str) -> Path:
    """Return the folder of a net's data that outlives it."""
    return root() / "kept" / _checked(net)


def node_directory(net: str, node: Node) -> Path:
    """Return where the files of a node lie on this machine."""
    if node.data == "kept":
        return kept_directory(net) / node.name
    return net_directory(net) / "nodes" / node.name


def nets() -> list[str]:
    """Return the registered nets, sorted."""
    folder = root() / "nets"
    return sorted(path.name for path in folder.iterdir() if is_net_name(path.name)) if folder.is_dir() else []


def read_plan(net: str) -> Plan | None:
    """Return the plan of a registered net, None where it has none (yet)."""
    try:
        return Plan.from_json((net_directory(net) / "plan.json").read_text())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # not written yet, or damaged


def write_plan(plan: Plan) -> None:
    """Register a net with its plan."""
    directory = net_directory(plan.net)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = directory / "plan.json.partial"
    partial.write_text(plan.to_json())
    partial.replace(directory / "plan.json")


def forget(net: str) -> None:
    """Remove a net's folder; data that is kept stays."""
    shutil.rmtree(net_directory(net), ignore_errors=True)
    with suppress(OSError):
        kept_directory(net).rmdir()  # succeeds only where nothing is kept


def forget_kept(net: str) -> None:
    """Remove the data that outlives a net."""
    shutil.rmtree(kept_directory(net), ignore_errors=True)


def is_locked(net: str) -> bool:
    """Tell whether a command is making or removing the net."""
    return is_held(root() / "locks" / _checked(net))


def is_held(path: Path) -> bool:
    """Tell whether a process holds a file, as `held` does. It only looks: to try the lock would be in the way."""
    with suppress(OSError):
        wanted = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text().splitlines():
            _, sort, *_, place, _, _ = line.split()  # 1: FLOCK ADVISORY WRITE 2339 fe:00:770134 0 EOF
            if sort == "FLOCK" and place.rpartition(":")[2] == wanted:
                return True
    return False


@contextmanager
def locked(net: str) -> Iterator[None]:
    """Hold the net's lock; UsageError where another command is making or removing it.

    The kernel frees the lock when its holder dies, however it dies.
    """
    path = root() / "locks" / _checked(net)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with held(path, f"another command is working on net {net!r} right now"):
        yield


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold a file that is there only for that; UsageError with these words where another process holds it."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino
        except BlockingIOError:
            gone = True
        if gone:  # held by another, or just let go and removed by it
            raise UsageError(refusal)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
