"""The system calls that Python 3.11 does not have: namespaces, mounts, capabilities.

Each wrapper raises OSError with the errno of the call. Constants are those of the kernel's uapi headers.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18

MNT_DETACH = 2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
# the same numbers on every architecture
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442

_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2

_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_SECBITS_NO_ROOT_LOCKED = 0x3  # uid 0 gains nothing by exec, and cannot change that
_LINUX_CAPABILITY_VERSION_3 = 0x20080522

_PIDFD_INFO = struct.Struct("Q52xi")  # the mask of what is asked for, and the status; the rest is not wanted
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 3 << 30 | _PIDFD_INFO.size << 16 | 0xFF << 8 | 11  # _IOWR(0xFF, 11, struct pidfd_info)

_PTRACE_DETACH = 17
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace of an open descriptor."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target`."""
    _check(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            data.encode() or None,
        ),
        f"mount {target}",
    )


def unmount(target: str) -> None:
    """Take a mount away at once, also while it is in use."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"unmount {target}")


def copy_mount(folder: str) -> int:
    """Return a descriptor of a mount that shows a folder, and is nowhere yet; it may be put into another namespace."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    return _check(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, folder.encode(), flags), f"open_tree {folder}")


def put_mount(descriptor: int, folder: str) -> None:
    """Mount on a folder what `copy_mount` gave."""
    _check(
        _libc.syscall(_SYS_MOVE_MOUNT, descriptor, b"", _AT_FDCWD, folder.encode(), _MOVE_MOUNT_F_EMPTY_PATH),
        f"move_mount {folder}",
    )


def set_read_only(target: str, *, read_only: bool, recursive: bool) -> None:
    """Switch writing to the mount at `target` off or on, with all mounts below it if `recursive`."""
    word = _MOUNT_ATTR_RDONLY
    attributes = (ctypes.c_uint64 * 4)(word if read_only else 0, 0 if read_only else word, 0, 0)
    _check(
        _libc.syscall(
            _SYS_MOUNT_SETATTR,
            _AT_FDCWD,
            target.encode(),
            _AT_RECURSIVE if recursive else 0,
            ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
        ),
        f"mount_setattr {target}",
    )


def punch_hole(descriptor: int, place: int, size: int) -> None:
    """Give the disk space of a part of a file back; the file keeps its length, and reads as zeros there."""
    how = _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE
    _check(_libc.fallocate(descriptor, how, ctypes.c_int64(place), ctypes.c_int64(size)), "fallocate")


def set_name(name: str) -> None:
    """Call this process so in lists of processes; at most 15 bytes."""
    _check(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0), "prctl NAME")


def drop_capabilities() -> None:
    """Give up every capability for good; uid 0 becomes an ordinary owner of files."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl NO_NEW_PRIVS")
    _libc.prctl(_PR_SET_SECUREBITS, _SECBITS_NO_ROOT_LOCKED, 0, 0, 0)
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break
    header = (ctypes.c_uint32 * 2)(_LINUX_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def exit_code(pidfd: int) -> int | None:
    """Return how a process ended, negative for a signal, though it is no child of ours.

    None before its parent has heard of it, where the descriptor was opened after that, and before Linux 6.15.
    """
    answer = bytearray(_PIDFD_INFO.pack(_PIDFD_INFO_EXIT, 0))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, answer)
    except OSError:
        return None
    given, status = _PIDFD_INFO.unpack(answer)
    return os.waitstatus_to_exitcode(status) if given & _PIDFD_INFO_EXIT else None


def seize(thread: int) -> None:
    """Begin to trace a thread without stopping it."""
    _ptrace(_PTRACE_SEIZE, thread, "seize")


def interrupt(thread: int) -> None:
    """Have a seized thread stop; waitpid(2) tells when it has."""
    _ptrace(_PTRACE_INTERRUPT, thread, "interrupt")


def detach(thread: int, number: int) -> None:
    """Let a traced thread that has stopped go on, with a signal that is due to it; 0: none."""
    _ptrace(_PTRACE_DETACH, thread, "detach", number)


def _ptrace(request: int, thread: int, what: str, data: int = 0) -> None:
    none = ctypes.c_void_p(0)
    _check(_libc.ptrace(ctypes.c_long(request), thread, none, ctypes.c_void_p(data)), f"ptrace {what}")


@contextmanager
def inside_network(fd: int, home: int) -> Iterator[None]:
    """Run the block with the calling thread in the network namespace `fd`, then return it to `home`."""
    setns(fd, CLONE_NEWNET)
    try:
        yield
    finally:
        setns(home, CLONE_NEWNET)
