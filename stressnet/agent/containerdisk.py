"""A node's disk in its container.

An engine makes the mount namespace of a container anew at each start, and what is mounted in it ends with it. So the
disk is held by the agent's container, and mounted in the node's at each knock, before the gate opens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stressnet.agent import kernel
from stressnet.agent.disks import Disks, copy
from stressnet.agent.door import Visit
from stressnet.plan import Node

FOLDER = "/run/stressnet/disks"
STAGING = "/run/stressnet/unfinished"


def attach(disks: Disks, node: Node, gate: Visit) -> None:
    """Mount a node's disk in its container, where it is not yet; OSError says why it cannot be.

    At first it is made, with the files that the engine has put into the container. Call it in a thread that does
    nothing else: it moves between mount namespaces, and imports nothing while it is in another.
    """
    kernel.unshare(kernel.CLONE_FS)  # who shares its root with other threads may not enter a mount namespace
    home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    opened = [home]
    try:
        theirs = os.open(f"/proc/{gate.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        opened.append(theirs)
        user = _user(gate.pid)
        if not gate.alive():
            raise ProcessLookupError("its gate has ended")  # that was another process's namespace
        disks.make(node.name, lambda staging: _fill(staging, node.directory, user, theirs, home))
        mount = kernel.copy_mount(disks.path(node.name))
        opened.append(mount)
        device = os.stat(disks.path(node.name)).st_dev
        with _inside(theirs, home):
            os.makedirs(node.directory, exist_ok=True)
            if os.stat(node.directory).st_dev != device:  # else an earlier agent has done it
                kernel.put_mount(mount, node.directory)
    finally:
        for descriptor in opened:
            os.close(descriptor)


@contextmanager
def _inside(theirs: int, home: int) -> Iterator[None]:
    kernel.setns(theirs, kernel.CLONE_NEWNS)
    try:
        yield
    finally:
        kernel.setns(home, kernel.CLONE_NEWNS)


def _fill(staging: str, directory: str, user: tuple[int, int], theirs: int, home: int) -> None:
    """Copy a container's folder to a folder of ours, for a user and group."""
    here = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _inside(theirs, home):
            os.fchdir(here)  # ours cannot be named in there, but stood in
            if os.path.isdir(directory):
                copy(directory, ".")
    finally:
        os.close(here)
    for folder, folders, files in os.walk(staging, topdown=False):
        for name in (*folders, *files):
            os.chown(f"{folder}/{name}", *user, follow_symlinks=False)
    os.chown(staging, *user)


def _user(pid: int) -> tuple[int, int]:
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(words["Uid"].split()[1]), int(words["Gid"].split()[1])
