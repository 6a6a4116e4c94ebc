"""Make the world of a net: mount, PID, IPC and network namespaces of its own (and a user namespace for an
ordinary user), with `init` as process 1.

Whatever a net on this backend makes (interfaces, namespaces, mounts, processes) lives inside, so the kernel
itself removes everything when process 1 ends. Two mount namespaces: the world's, where the agent works, and
the *view*, which is what nodes see: all read-only but their own directory, without the agent's socket.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from stressnet.agent import cgroups, egress, init, kernel, names

RUN = "/run/stressnet"
"""Where the world keeps its things; hidden under a private tmpfs."""
NODES = f"{RUN}/nodes"
PREPARE = f"{RUN}/prepare"
KEPT = f"{RUN}/kept"
TEMPORARY = f"{RUN}/tmp"
"""TMPDIR of nodes."""
NAMESPACES = f"{RUN}/netns"
UNFINISHED = f"{RUN}/unfinished"
"""Where disks of nodes are mounted while they are filled."""

_SOCKETS = 2048
"""Places in each node's own table of TCP connections, 16 KiB: then a look at one node's does not go through all."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def main(arguments: Sequence[str]) -> None:
    """Leave the caller's namespaces, start process 1, and return once it is ready."""
    options = Options(arguments)
    ready, tell = os.pipe2(os.O_CLOEXEC)
    kernel.set_name(names.WORLD)  # and process 1's from its first moment: whoever cleans up must find it
    enter()
    child = os.fork()
    if child == 0:
        os.close(ready)
        _as_process_one(options, tell)
    os.close(tell)
    said = os.read(ready, 65536).decode()
    if said != "ready":
        os.waitpid(child, 0)
        sys.exit(said or "the world ended before it was ready")


class Options:
    """How this program is called: each word after its name in two dashes, as in `--net quickstart`."""

    def __init__(self, arguments: Sequence[str]) -> None:
        given = dict(pairwise(arguments))
        self.net = given["--net"]
        self.directory = given["--directory"]
        """The net's state directory."""
        self.state = given["--state"]
        """The state directory of all nets, hidden from nodes."""
        self.kept = given["--kept"]
        """Where data lies that outlives the net."""
        self.expires_at = float(given["--expires-at"])
        self.owner = int(given["--owner"])
        """A pipe whose end means that the maker died."""
        self.way = int(given.get("--way", -1))
        """A pipe that keeps the way out open; no way out without."""


def enter() -> None:
    """Move this process into new namespaces; its next child will be process 1 of the new PID namespace."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        kernel.unshare(flags)
        return
    kernel.unshare(flags | kernel.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _as_process_one(options: Options, tell: int) -> None:
    try:
        os.setsid()
        view = _build(options)
    except Exception as error:  # whoever waits outside must hear of it, whatever it is
        os.write(tell, f"cannot make the world of the net: {error}".encode(errors="replace"))
        os._exit(1)
    os.write(tell, b"ready")
    os.close(tell)
    log = os.open(f"{options.directory}/agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the agent keeps some two descriptors a node
    try:
        init.supervise(
            lambda: _agent(options.directory, view),
            exits=f"{RUN}/exits",
            expires_at=options.expires_at,
            owner=options.owner,
            on_end=lambda: _end(options),
        )
    finally:
        os._exit(0)


def _agent(directory: str, view: int) -> None:
    """Be the agent: a fork of process 1 has half of what it needs already, where a program would begin anew."""
    from stressnet.agent import launcher

    process, connection = launcher.begin()  # before the imports that follow: it must stay small

    from stressnet.agent.__main__ import serve_world

    serve_world(Path(directory), view, process, connection)


def _end(options: Options) -> None:
    init.end_everyone_else()
    cgroups.remove_net(options.net)
    for name in os.listdir(NODES):
        with suppress(OSError):  # it has no disk of its own; what has one cannot be removed before that
            kernel.unmount(f"{NODES}/{name}")
    shutil.rmtree(options.directory, ignore_errors=True)
    with suppress(OSError):
        os.rmdir(options.kept)  # succeeds only where nothing is kept


def _build(options: Options) -> int:
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.mount("tmpfs", "/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    for path in (NODES, PREPARE, KEPT, TEMPORARY, NAMESPACES):
        os.makedirs(path)
    for source, target in (
        (f"{options.directory}/nodes", NODES),
        (f"{options.directory}/prepare", PREPARE),
        (options.kept, KEPT),
    ):
        os.makedirs(source, exist_ok=True)
        kernel.mount(source, target, "", kernel.MS_BIND)
    _put_in_place("/etc/hosts", f"{options.directory}/hosts")
    resolver = Path(options.directory, "resolv.conf")
    egress.write_resolver(resolver, egress=options.way >= 0)
    _put_in_place("/etc/resolv.conf", str(resolver))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with suppress(OSError):  # before Linux 6.1 all namespaces share the machine's table
        Path("/proc/sys/net/ipv4/tcp_child_ehash_entries").write_text(str(_SOCKETS))
    if options.way >= 0:
        egress.masquerade()
    return _make_view(options.state)


def _put_in_place(target: str, source: str) -> None:
    """Mount a file over another; one that is a link into /run, as of systemd-resolved, is made there first."""
    real = os.path.realpath(target)
    if real.startswith("/run/"):
        os.makedirs(os.path.dirname(real), exist_ok=True)
        Path(real).touch()
    if os.path.exists(real):
        kernel.mount(source, real, "", kernel.MS_BIND)


def _make_view(state: str) -> int:
    """Make the nodes' mount namespace in a child; return a descriptor that keeps it."""
    made, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kernel.unshare(kernel.CLONE_NEWNS)
            _furnish_view(state)
            os.write(made[1], b"+")
            os.read(go[0], 1)
        except OSError as error:
            os.write(made[1], str(error).encode())
        finally:
            os._exit(0)
    said = os.read(made[0], 4096)
    try:
        if said != b"+":
            raise OSError(0, said.decode())
        return os.open(f"/proc/{child}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.write(go[1], b"+")
        os.waitpid(child, 0)
        for descriptor in (*made, *go):
            os.close(descriptor)


def _furnish_view(state: str) -> None:
    kernel.mount("tmpfs", state, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=700")
    kernel.mount("tmpfs", NAMESPACES, "tmpfs", 0, "mode=000")
    _furnish_devices()
    # /tmp itself stays as it is, read-only: programs under test are often built there.
    kernel.mount("tmpfs", TEMPORARY, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
    kernel.set_read_only("/", read_only=True, recursive=True)
    for path in (NODES, PREPARE, KEPT, TEMPORARY, "/dev/shm"):
        kernel.set_read_only(path, read_only=False, recursive=False)


def _furnish_devices() -> None:
    """Give nodes a /dev of harmless devices: uid 0 without capabilities still owns the disks in the real one."""
    staging = f"{RUN}/dev"
    os.mkdir(staging)
    kernel.mount("tmpfs", staging, "tmpfs", kernel.MS_NOSUID, "mode=755")
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            Path(f"{staging}/{name}").touch()
            kernel.mount(f"/dev/{name}", f"{staging}/{name}", "", kernel.MS_BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{staging}/{name}")
    os.mkdir(f"{staging}/shm")
    kernel.mount(staging, "/dev", "", kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")


if __name__ == "__main__":
    main(sys.argv[1:])
