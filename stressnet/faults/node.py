"""Faults on the processes of a node."""

from __future__ import annotations

from stressnet.faults.clock import MICROSECOND
from stressnet.faults.kind import FaultKind, Parameter

_DEADLY = ("SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGABRT", "SIGSEGV")
_YEAR_S = 366 * 86400.0

NODE = (
    FaultKind(
        "pause", "node", "the process stands still until the fault is healed; its connections stay open"
    ),
    FaultKind(
        "kill",
        "node",
        "the process is ended, and started again with its data when the fault is healed",
        (Parameter("signal", "word", "by which signal", "SIGTERM", "SIGKILL", choices=_DEADLY),),
    ),
    FaultKind(
        "restart",
        "node",
        "the process is stopped as its kind says and started again at once",
        (
            Parameter(
                "data",
                "word",
                "with what it had written, or with its first files alone",
                "fresh",
                "kept",
                choices=("kept", "fresh"),
            ),
        ),
        momentary=True,
    ),
    FaultKind(
        "cpu",
        "node",
        "all processes of the node together get no more CPU than this",
        (Parameter("cpu", "cpus", "how many CPUs", "0.1", least=0.01, most=1024, step=0.01),),
        needs="cgroups",
    ),
    FaultKind(
        "memory",
        "node",
        "the kernel kills in the node when it needs more memory than this",
        (Parameter("memory", "size", "how much", "64MiB", least=6 * 2**20, most=2**50),),
        needs="cgroups",
    ),
    FaultKind(
        "disk_full",
        "node",
        "the node's file system has no room for more than this; for nodes with a `disk` in the topology",
        (Parameter("free", "size", "how much stays free", "1MiB", 0.0, most=2**50, step=4096),),
        needs="tmpfs",
    ),
    FaultKind(
        "clock",
        "node",
        "the time of day is shifted for all processes of the node; clocks that count since a start are not",
        (
            Parameter(
                "offset",
                "duration",
                "how far ahead, or with a minus behind; several on a node add up",
                "-30s",
                least=-_YEAR_S,
                most=_YEAR_S,
                step=MICROSECOND,
            ),
        ),
        needs="clock",
    ),
)
