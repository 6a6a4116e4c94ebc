"""What the agent concludes from the kernel and from the engine."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from some_plan import some_plan

from stressnet.agent import inspection
from stressnet.agent.docker import limits_body
from stressnet.agent.ledger import Ledger
from stressnet.faults.squeeze import Limits


def test_an_engine_is_told_limits_in_the_terms_that_a_container_was_made_in() -> None:
    """A container with CPUs is given CPUs; and 0 is never said, because to an engine it means unchanged."""
    node = some_plan().nodes[0]
    free, own = replace(node, cpu=0.0), replace(node, cpu=0.8)
    most = 2**63 - os.sysconf("SC_PAGE_SIZE")
    squeezed, memory = Limits(0.1, 2**26), {"Memory": 2**26, "MemorySwap": 2**26}
    assert limits_body(free, squeezed, 1) == {"CpuPeriod": 100_000, "CpuQuota": 10_000, **memory}
    assert limits_body(own, squeezed, 2) == {"NanoCpus": 100_000_000, **memory}
    none = {"CpuPeriod": 100_000, "CpuQuota": -1, "Memory": most}
    assert limits_body(free, Limits(), 1) == {**none, "MemorySwap": most}
    assert limits_body(free, Limits(), 2) == {**none, "MemorySwap": -1}


def test_the_ledger_names_living_processes(tmp_path: Path) -> None:
    """A process that was noted is there until it ends."""
    ledger = Ledger(tmp_path / "passed")
    assert ledger.living() == {}
    process = subprocess.Popen(["sleep", "60"])
    ledger.note(process.pid)
    assert list(Ledger(tmp_path / "passed").living()) == [process.pid]
    process.kill()
    process.wait()
    assert ledger.living() == {}


def test_the_ledger_is_not_fooled_by_a_reused_id(tmp_path: Path) -> None:
    """The same number with another start time is another process."""
    (tmp_path / "passed").write_text(f"{os.getpid()} 1 1.0\n")
    assert Ledger(tmp_path / "passed").living() == {}


def test_a_namespace_shows_its_addresses() -> None:
    """Loopback addresses do not count; a namespace of its own has no other, no IPv6 and no way out."""
    process = subprocess.Popen(["unshare", "-Urn", "sleep", "60"])
    try:
        deadline = time.monotonic() + 5
        own = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino == own and time.monotonic() < deadline:
            time.sleep(0.01)
        assert inspection.addresses(process.pid) == set()
        assert inspection.ipv6_interfaces(process.pid) == set()
        assert inspection.default_routes(process.pid) == 0
    finally:
        process.kill()
        process.wait()
