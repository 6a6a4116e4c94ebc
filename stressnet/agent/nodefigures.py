"""What the kernel says of one running node, from outside: the node need not help, and does not notice.

Files of /proc stay open between looks: a read then costs some microseconds, and a descriptor always means the process
and namespace that it was opened for, whoever has the number by now.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stressnet.agent import diagnosis
from stressnet.agent.cgroups import Groups
from stressnet.agent.processes import read_stat, stat
from stressnet.record.samples import NodeSample

_READ = 16384
_TCP = {
    "ActiveOpens": "opens",
    "PassiveOpens": "accepts",
    "AttemptFails": "failed_opens",
    "EstabResets": "resets",
    "RetransSegs": "retransmits",
    "CurrEstab": "established",
}
"""Counters of a namespace's TCP (RFC 1213 and 2012) and what they are called here."""
_STATES: Mapping[int, str] = {
    2: "syn_sent",
    3: "syn_received",
    4: "fin_wait",
    5: "fin_wait",
    8: "close_wait",
    9: "closing",
    11: "closing",
    12: "syn_received",
}
"""TCP states by their number in the kernel (tcp_states.h)."""
_UNCOUNTED = (3, 6, 12)
"""States that are not among `sockets`: connections half open, and those that are waited out."""


class NodeFigures:
    """Looks at one life of a node, from its start to its end."""

    def __init__(self, pid: int, p2p: Iterable[int], groups: Groups | None) -> None:
        """`p2p` are the node's p2p ports, `groups` its own control groups where it has some.

        OSError where the process is gone.
        """
        self.pid = pid
        self.members: Sequence[int] = (pid,)
        """All its processes, the main one first; whoever knows sets it."""
        self._p2p = frozenset(p2p)
        self._groups = groups
        self._open = {name: self._descriptor(f"/proc/{pid}/{name}") for name in ("stat", "fd")}
        with suppress(FileNotFoundError):  # a kernel without the scheduler's statistics
            self._open["schedstat"] = self._descriptor(f"/proc/{pid}/schedstat")
        for name in ("sockstat", "snmp", "dev"):
            with suppress(FileNotFoundError):
                self._open[name] = self._descriptor(f"/proc/{pid}/net/{name}")

    @staticmethod
    def _descriptor(path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def look(self, sample: NodeSample) -> None:
        """Fill in what is cheap to know, about 0.1 ms; ProcessLookupError where the process is gone."""
        self._processes(sample)
        self._network(sample)
        if self._groups is not None:
            self._group(self._groups, sample)

    def _processes(self, sample: NodeSample) -> None:
        found = read_stat(os.pread(self._open["stat"], _READ, 0))
        if found.state in "ZX":
            raise ProcessLookupError
        # Since Linux 6.2 the size of the folder says how many there are.
        fds = os.fstat(self._open["fd"]).st_size or _count(self._open["fd"])
        all_of_it = [found]
        for pid in self.members[1:]:
            if (one := stat(pid)) and one.state not in "ZX":
                all_of_it.append(one)
                with suppress(OSError):
                    fds += _count(f"/proc/{pid}/fd")
        sample.cpu_s = sum(one.cpu_s + one.children_cpu_s for one in all_of_it)
        sample.rss_bytes = sum(one.rss_bytes for one in all_of_it)
        sample.threads = sum(one.threads for one in all_of_it)
        sample.fds, sample.processes = fds, len(self.members)
        if "schedstat" in self._open:
            sample.cpu_wait_s = int(os.pread(self._open["schedstat"], _READ, 0).split()[1]) / 1e9

    def _network(self, sample: NodeSample) -> None:
        for name, take in (("sockstat", _sockets), ("snmp", _tcp), ("dev", _interfaces)):
            if name in self._open:
                take(os.pread(self._open[name], _READ, 0), sample)

    def _group(self, groups: Groups, sample: NodeSample) -> None:
        with suppress(OSError, ValueError):
            usage = _pairs(groups.cpu / "cpu.stat")
            told = usage.get(
                "throttled_usec", usage.get("throttled_time", 0) // 1000
            )  # version 1: nanoseconds
            sample.throttled_s = told / 1e6
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError, ValueError):
                sample.oom_kills = _pairs(groups.memory / name).get("oom_kill")
        for resource in ("cpu", "memory", "io"):
            with suppress(OSError, ValueError):
                waited = pressure((groups.cpu / f"{resource}.pressure").read_text())
                setattr(sample, f"{resource}_pressure_s", waited)

    def look_closely(self, sample: NodeSample, inside: Callable[[], socket.socket]) -> None:
        """Fill in what takes longer, 0.5 ms and more: shared memory, and sockets by state.

        `inside` opens a diagnosis socket in the node's network namespace.
        """
        pss = 0
        for pid in self.members:
            with suppress(OSError, ValueError):
                pss += _pairs(Path(f"/proc/{pid}/smaps_rollup")).get("Pss", 0) * 1024
        sample.pss_bytes = pss or None
        with suppress(OSError, LookupError), inside() as line:
            self._by_state(diagnosis.tcp_sockets(line, self._families()), sample)

    def _families(self) -> Iterator[int]:
        """Which sockets there are: where all namespaces share one table each walk through it takes 2 ms."""
        yield socket.AF_INET
        with suppress(OSError):
            if b"TCP6: inuse 0\n" not in Path(f"/proc/{self.pid}/net/sockstat6").read_bytes():
                yield socket.AF_INET6

    def _by_state(self, found: Mapping[tuple[int, int, int], int], sample: NodeSample) -> None:
        for field in set(_STATES.values()):
            setattr(sample, field, 0)
        sample.p2p = 0
        for (state, near, far), count in found.items():
            if state in _STATES:
                setattr(sample, _STATES[state], getattr(sample, _STATES[state]) + count)
            elif state == diagnosis.ESTABLISHED and (near in self._p2p or far in self._p2p):
                sample.p2p += count
        if sample.sockets is not None:
            # What is neither being opened nor waited out has a place of its own in the kernel's tables.
            others = sum(n for (state, *_), n in found.items() if state not in _UNCOUNTED)
            sample.listening = max(0, sample.sockets - others)

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open = {}


def _count(folder: int | str) -> int:
    return len(os.listdir(folder))


def _pairs(path: Path) -> dict[str, int]:
    """Read lines of a word and a number, whatever comes after."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def pressure(text: str) -> float:
    """Return the seconds in which some task waited (PSI, Documentation/accounting/psi.rst)."""
    some = next(line for line in text.splitlines() if line.startswith("some"))
    return int(some.rpartition("total=")[2]) / 1e6


def _sockets(text: bytes, sample: NodeSample) -> None:
    words = next(line for line in text.splitlines() if line.startswith(b"TCP:")).split()
    told = dict(zip(words[1::2], map(int, words[2::2]), strict=True))
    sample.sockets, sample.time_wait = told[b"inuse"], told[b"tw"]


def _tcp(text: bytes, sample: NodeSample) -> None:
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith(b"Tcp:"))
    told = dict(zip(names, values, strict=True))
    for name, field in _TCP.items():
        setattr(sample, field, int(told[name.encode()]))


def _interfaces(text: bytes, sample: NodeSample) -> None:
    totals = [0, 0, 0, 0]
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(b":")
        if name.strip() != b"lo":
            words = numbers.split()
            for place, word in enumerate((words[0], words[1], words[8], words[9])):
                totals[place] += int(word)
    sample.rx_bytes, sample.rx_packets, sample.tx_bytes, sample.tx_packets = totals
