"""The file systems of nodes that have one of their own: a tmpfs each, of the size that the plan gives.

They are mounted in the namespace of the net's place, which outlives the agent, so nothing is remembered here that
a mount does not show. A disk is filled by making its file system so small that no more room is left than asked;
nothing is ever written to it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from stressnet.agent import kernel
from stressnet.agent.complaints import complain
from stressnet.faults.figure import TOLERANCES, Figure
from stressnet.plan import Plan

_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV
_PAGE = os.sysconf("SC_PAGE_SIZE")
_AGAIN_S = 0.5
"""How often room that nodes make on full disks is taken from them again."""
_ATTEMPTS = 100
"""A size below what is used is refused, and a node may write between the look and the change."""


@dataclass(frozen=True, slots=True)
class Space:
    """How large a file system is, and how much of it is free, in bytes."""

    size: int
    free: int


class Disks:
    """The disks of one net's nodes, each mounted on a folder with the node's name."""

    def __init__(self, folder: str, staging: str) -> None:
        """`staging` is a folder on which those are mounted that are not filled yet."""
        self._folder = folder
        self._staging = staging
        self._sizes: dict[str, int] = {}
        self._wanted: dict[str, int] = {}
        """How many bytes faults leave free at the most, by node."""
        self._lock = threading.Lock()
        """A runtime makes disks in threads."""

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; disks of nodes that it describes differently have been removed before."""
        self._sizes = {node.name: node.disk for node in plan.nodes if node.disk}

    def path(self, name: str) -> str:
        """Where a node's disk is mounted."""
        return f"{self._folder}/{name}"

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return those of these nodes that are to have no disk."""
        return [name for name in names if name not in self._sizes]

    def make(self, name: str, fill: Callable[[str], None]) -> None:
        """Mount a node's disk, with what `fill` writes to the folder it is given; one that is there stays as it is.

        It comes to its place once it is filled: what an agent left that died in between is none.
        """
        path, staging = self.path(name), f"{self._staging}/{name}"
        if os.path.ismount(path):
            return
        for folder in (path, staging):
            os.makedirs(folder, exist_ok=True)
        if os.path.ismount(staging):
            kernel.unmount(staging)
        kernel.mount("tmpfs", staging, "tmpfs", _FLAGS, f"size={self._sizes[name]},mode=755")
        try:
            fill(staging)
            kernel.mount(staging, path, "", kernel.MS_MOVE)
        except BaseException:
            kernel.unmount(staging)
            raise
        finally:
            os.rmdir(staging)
        with self._lock:
            self._leave(name)

    def remove(self, name: str) -> None:
        """Take a node's disk away, with all that is on it; who still uses it keeps it until its end."""
        with self._lock:
            if os.path.ismount(self.path(name)):
                kernel.unmount(self.path(name))

    def hold(self, wanted: Mapping[str, int]) -> None:
        """Have disks of these nodes no more than so many bytes free, and all others as the plan gives them.

        Of a fault that was on before only more is taken: what a node has used of the room it had is not given back.
        """
        with self._lock:
            before, self._wanted = self._wanted, dict(wanted)
            for name in self._mounted():
                if name not in wanted:
                    if self._space(name).size != _whole(self._sizes[name]):
                        self._resize(name, self._sizes[name])
                else:
                    self._leave(name, widen=before.get(name, wanted[name]) < wanted[name])

    async def run(self) -> None:
        """Keep full disks full, until cancelled: a node that deletes something has room again."""
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                with self._lock:
                    for name in self._mounted() & self._wanted.keys():
                        self._leave(name)
            except OSError as error:  # one that is just being removed
                complain(f"a disk that should be full: {error}")

    def figures(self, names: Iterable[str]) -> tuple[list[tuple[Figure, str]], list[str]]:
        """Measure; return what the kernel says of each disk, with its node, and why there is nothing of others."""
        found, reasons = [], []
        with self._lock:
            mounted = self._mounted()
            for name in names:
                if name not in mounted:
                    reasons.append(f"{name} has no disk {'yet' if name in self._sizes else 'any more'}")
                    continue
                try:
                    found.append((self._figure(name), name))
                except OSError as error:
                    reasons.append(str(error))
        return found, reasons

    def _figure(self, name: str) -> Figure:
        if name in self._wanted:
            self._leave(name)  # what the node has deleted since the last look is no failure
            free, asked = self._space(name).free, self._wanted[name]
            return Figure("free", "size", asked, free, 0.0, asked + TOLERANCES["disk_full"].around(asked), 1)
        size, asked = self._space(name).size, _whole(self._sizes[name])
        return Figure("size of disk", "size", asked, size, asked, asked, 1)

    def _mounted(self) -> set[str]:
        return {name for name in self._sizes if os.path.ismount(self.path(name))}

    def _space(self, name: str) -> Space:
        found = os.statvfs(self.path(name))
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def _leave(self, name: str, *, widen: bool = False) -> None:
        """Leave a disk as much free as is wanted: no more, or with `widen` no less either. OSError says why not."""
        if name not in self._wanted:
            return
        for _ in range(_ATTEMPTS):
            space = self._space(name)
            # A size of 0 would mean no limit at all.
            size = max(_PAGE, space.size - space.free + _whole(self._wanted[name]))
            size = min(size, _whole(self._sizes[name]))
            if space.size == size or (space.size < size and not widen):
                return
            try:
                self._resize(name, size)
            except OSError as error:
                if error.errno != errno.EINVAL:  # what it says of a size below what is used
                    raise
            else:
                return
        raise OSError(f"{name} writes faster than its disk can be filled")

    def _resize(self, name: str, size: int) -> None:
        kernel.mount("tmpfs", self.path(name), "tmpfs", _FLAGS | kernel.MS_REMOUNT, f"size={size}")


def _whole(size: int) -> int:
    """Return a size in whole pages, which is what a tmpfs counts in."""
    return -(-size // _PAGE) * _PAGE


def copy(source: str, target: str) -> None:
    """Copy all that is in a folder into another; OSError names the first file that could not be."""
    try:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    except shutil.Error as error:
        name, _, why = error.args[0][0]
        raise OSError(f"{name}: {why}") from error


def try_out() -> None:
    """Do in this process's mount namespace all that disks need; OSError says what does not work."""
    place = "/tmp"
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", place, "tmpfs", _FLAGS, "size=64k")
    try:
        kernel.mount("tmpfs", place, "tmpfs", _FLAGS | kernel.MS_REMOUNT, "size=128k")
        os.mkdir(f"{place}/inside")
        kernel.put_mount(kernel.copy_mount(place), f"{place}/inside")
    finally:
        kernel.unmount(place)  # programs may lie below it
