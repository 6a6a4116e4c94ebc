"""What works on this machine, and what to do about what does not."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stressnet import state
from stressnet.agent import cgroups, egress
from stressnet.images import golang, relay

_LEAST_DISK = 2 * 2**30
_LEAST_FILES = 4096
"""A net of 100 nodes keeps some 1,000 descriptors open in the agent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `needed_for` says what does without it."""

    name: str
    state: Literal["ok", "limited", "missing"]
    found: str
    needed_for: str = ""
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything; what is tried leaves nothing behind."""
    return [*_machine(), *_namespaces(), _groups(), *_limits(), *_programs(), *_engine()]


def abilities() -> dict[str, str]:
    """Return what faults need of this machine: "" where it is there, else what is wrong; nothing where not tried."""
    tried = {finding.name: finding for finding in (*_namespaces(), _groups(), *_programs())}
    same = ("nft", "tc", "netem", "cgroups", "tmpfs", "clock")
    names = {need: need for need in same} | {"relay": "toxiproxy"}
    return {
        need: "" if tried[name].state == "ok" else tried[name].found
        for need, name in names.items()
        if name in tried
    }


def _machine() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Finding("kernel", "ok", platform.release())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Finding("memory", "ok", f"{memory / 2**30:.1f} GiB, {os.cpu_count()} CPUs")
    place = next(path for path in (state.root(), *state.root().parents) if path.exists())
    free = shutil.disk_usage(place).free
    yield Finding(
        "disk",
        "ok" if free > _LEAST_DISK else "limited",
        f"{free / 2**30:.1f} GiB free at {place}",
        "chains and logs of nodes",
        "" if free > _LEAST_DISK else "free some space, or set XDG_STATE_HOME to a larger disk",
    )


def _namespaces() -> Iterator[Finding]:
    command = [sys.executable, "-m", "stressnet.agent.capabilities"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, str] = (
        json.loads(answer.stdout) if answer.returncode == 0 else {"namespaces": answer.stderr.strip()}
    )
    who = "as root" if os.geteuid() == 0 else "as an ordinary user"
    wanted = {
        "namespaces": (
            "backend netns",
            "sysctl kernel.unprivileged_userns_clone=1, or run as root, or use docker",
        ),
        "veth": ("backend netns", "a kernel with CONFIG_VETH"),
        "nft": (
            "control of links",
            "a kernel with CONFIG_NF_TABLES and CONFIG_NFT_NAT; no program is needed",
        ),
        "tc": ("faults on the rate of packets", "modprobe sch_htb"),
        "netem": ("delay and loss in the kernel; without it the relay delays", "modprobe sch_netem"),
        "tmpfs": (
            "disks of nodes, and the fault that fills them",
            "a kernel with CONFIG_TMPFS, 5.2 or later",
        ),
        "clock": (
            "faults on the clock of nodes",
            "a machine of x86_64 whose kernel lets debuggers set breakpoints",
        ),
    }
    for name, (needed_for, remedy) in wanted.items():
        fault = found.get(name, "not tried: no namespaces")
        level: Literal["ok", "limited", "missing"] = (
            "ok" if not fault else "limited" if name in ("netem", "tc", "tmpfs", "clock") else "missing"
        )
        yield Finding(name, level, fault or f"works {who}", needed_for, remedy if fault else "")


_GROUPS_FOR = "cpu and memory limits on netns, and faults that squeeze"


def _groups() -> Finding:
    found = cgroups.find()
    if found:
        return Finding("cgroups", "ok", f"version {found.version}, writable", _GROUPS_FOR)
    return Finding(
        "cgroups",
        "limited",
        "this user may not make any with limits here" if Path("/sys/fs/cgroup").exists() else "not mounted",
        _GROUPS_FOR,
        "run outside of the container, or use docker"
        if os.geteuid() == 0
        else "run as root, or under `systemd-run --user --scope -p Delegate=yes`, or use docker",
    )


def _limits() -> Iterator[Finding]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = hard == resource.RLIM_INFINITY or hard >= _LEAST_FILES
    yield Finding(
        "open files",
        "ok" if enough else "limited",
        f"at most {hard} a process",
        "nets of some hundred nodes",
        "" if enough else "raise nofile in /etc/security/limits.conf",
    )
    tasks = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    yield Finding("processes", "ok", "no limit" if tasks == resource.RLIM_INFINITY else f"at most {tasks}")


def _programs() -> Iterator[Finding]:
    yield _relay()
    lacking = egress.missing()
    yield Finding(
        "egress",
        "limited" if lacking else "ok",
        f"missing: {lacking}" if lacking else f"{egress.PROGRAM} is there",
        "egress: true on netns",
        "apt install slirp4netns nftables, modprobe tun" if lacking else "",
    )
    go = golang.find()
    yield Finding(
        "go",
        "ok" if go else "limited",
        str(go or "not on this machine, or too old"),
        "building the gate, Toxiproxy and CometBFT",
        "" if go else "nothing, where the Python package index answers: it is fetched from there when needed",
    )


def _relay() -> Finding:
    found, needed_for = relay.find(), "faults on streams on netns; images have their own"
    if found:
        return Finding("toxiproxy", "ok", f"{relay.version(found)} at {found}", needed_for)
    foreign = shutil.which(relay.PROGRAM)
    there = f"{foreign}: {relay.fault(Path(foreign))}" if foreign else "not there yet"
    return Finding("toxiproxy", "limited", there, needed_for, "stressnet install toxiproxy")


def _engine() -> Iterator[Finding]:
    from stressnet.backends.docker import describe_engine

    for name, fault, found, remedy in describe_engine():
        yield Finding(
            name, "missing" if fault else "ok", fault or found, "backend docker", remedy if fault else ""
        )


def some_backend_works(findings: list[Finding]) -> bool:
    """Tell whether a net can be brought up here at all."""
    fine = {finding.name for finding in findings if finding.state == "ok"}
    return {"namespaces", "veth"} <= fine or "engine" in fine
