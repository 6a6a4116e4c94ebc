"""Limits on control groups of version 2, as the kernel keeps them: for root, for ordinary users, in containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from needs import require_kernel

from stressnet.agent import kernel

ROOT = Path("/sys/fs/cgroup")
USER = 1000
CLONE_NEWCGROUP = 0x02000000
TOPOLOGY = """
name: groups
nodes:
  spin: {kind: generic, cpu: 0.2, command: [python3, -c, "while True: pass"]}
"""
HOG = """
name: groups
nodes:
  hog:
    kind: generic
    memory: 64MiB
    ready: {log: got it}
    command: [python3, -uc, "x = bytearray(200 * 2**20); print('got it'); input()"]
"""
CONTAINER = f"""
import os, sys
from stressnet.agent import kernel
kernel.unshare({CLONE_NEWCGROUP | kernel.CLONE_NEWNS})
kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
kernel.unmount("{ROOT}")
kernel.mount("none", "{ROOT}", "cgroup2")
os.execv(sys.executable, [sys.executable, "-m", "stressnet", *sys.argv[1:]])
"""


@pytest.fixture(autouse=True)
def _version_2() -> None:
    require_kernel(
        "root, on control groups of version 2, with a Python that others may run",
        os.geteuid() == 0
        and os.access(ROOT / "cgroup.subtree_control", os.W_OK)
        and _others_may_run_python(),
    )


def _others_may_run_python() -> bool:
    try:
        return subprocess.run([sys.executable, "-c", ""], user=USER, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that both root and the ordinary user may use; pytest's are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        shutil.chown(name, USER, USER)
        (Path(name) / "topology.yaml").write_text(TOPOLOGY)
        yield Path(name)


@pytest.fixture
def delegated() -> Iterator[Path]:
    """A group as a service manager delegates it: the user's, with both controllers, processes only further below."""
    (ROOT / "cgroup.subtree_control").write_text("+cpu +memory")
    group = ROOT / f"test-{os.getpid()}"
    for folder in (group, group / "session"):
        folder.mkdir()
        for path in (folder, *(folder / f"cgroup.{name}" for name in ("procs", "subtree_control"))):
            shutil.chown(path, USER, USER)
    yield group
    left = [path.name for path in group.iterdir() if path.is_dir()]
    for folder in (group / "session", group):
        folder.rmdir()
    assert left == ["session"]


def _stressnet(
    home: Path,
    *words: str,
    group: Path = ROOT,
    user: int = USER,
    program: Sequence[str] = ("-m", "stressnet"),
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *words],
        preexec_fn=lambda: _become(group, user),
        env={**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "COLUMNS": "200"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def _become(group: Path, user: int) -> None:
    (group / "cgroup.procs").write_text("0")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _share(group: Path) -> float:
    """What the processes of a group use of one CPU, over some seconds."""

    def used() -> float:
        words = (group / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / 1e6

    before, begun = used(), time.monotonic()
    time.sleep(3)
    return (used() - before) / (time.monotonic() - begun)


def test_a_users_limits_hold_in_a_delegated_group(home: Path, delegated: Path) -> None:
    """The net's groups are next to the user's own, the share holds, and `down` from elsewhere removes them."""
    up = _stressnet(home, "up", "topology.yaml", group=delegated / "session")
    try:
        assert up.returncode == 0, up.stderr
        assert "do not hold" not in up.stderr
        share = _share(delegated / "stressnet.groups" / "spin")
        print(f"cpu: 0.2 used {share:.3f}")
        assert 0 < share < 0.25
        group = delegated / "stressnet.groups" / "spin"
        for parameter in ("cpu=0.1", "memory=64MiB"):
            kind = parameter.partition("=")[0]
            squeeze = _stressnet(home, "fault", "add", kind, parameter, "--on", "spin")
            assert squeeze.returncode == 0, squeeze.stderr
        assert (group / "cpu.max").read_text() == "10000 100000\n"
        assert (group / "memory.max").read_text() == f"{64 * 2**20}\n"
        assert _stressnet(home, "fault", "heal", "--all").returncode == 0
        assert (group / "cpu.max").read_text() == "20000 100000\n"
        assert (group / "memory.max").read_text() == "max\n"
    finally:
        down = _stressnet(home, "down", "groups")
    assert down.returncode == 0, down.stderr
    assert list(ROOT.rglob("stressnet.*")) == []


def test_a_users_node_over_its_memory_limit_is_killed_and_named(home: Path, delegated: Path) -> None:
    """The kernel's count is read where the group is."""
    (home / "topology.yaml").write_text(HOG)
    up = _stressnet(home, "up", "topology.yaml", group=delegated / "session")
    assert "went over its memory limit of 64 MiB" in up.stderr
    assert list(ROOT.rglob("stressnet.*")) == []


def test_a_user_without_a_delegated_group_is_told_before(home: Path) -> None:
    """`plan` and `doctor` say that limits will not hold; the net comes up without them."""
    plan = _stressnet(home, "plan", "topology.yaml")
    assert "limits do not hold on netns for this user (groups: spin)" in plan.stdout + plan.stderr
    assert "this user may not make any with limits here" in _stressnet(home, "doctor").stdout
    up = _stressnet(home, "up", "topology.yaml")
    try:
        assert up.returncode == 0, up.stderr
        squeeze = _stressnet(home, "fault", "add", "cpu", "cpu=0.1", "--on", "spin")
        assert squeeze.returncode == 255
        assert "cpu cannot be done here: this user may not make control groups" in squeeze.stderr
        assert _stressnet(home, "fault", "list").stdout == "no fault is on\n"
        assert list(ROOT.rglob("stressnet.*")) == []
    finally:
        _stressnet(home, "down", "groups")


def test_in_a_container_the_limits_are_said_not_to_hold(home: Path) -> None:
    """Its root group has processes, so it cannot have limited children; root there may write it all the same."""
    (ROOT / "cgroup.subtree_control").write_text("+cpu +memory")
    group = ROOT / f"test-{os.getpid()}"
    group.mkdir()
    try:
        program = ("-c", CONTAINER)
        plan = _stressnet(home, "plan", "topology.yaml", group=group, user=0, program=program)
        assert "limits do not hold on netns for this user (groups: spin)" in plan.stdout + plan.stderr
        up = _stressnet(home, "up", "topology.yaml", group=group, user=0, program=program)
        assert up.returncode == 0, up.stderr
    finally:
        _stressnet(home, "down", "groups", user=0)
        group.rmdir()


def test_roots_limits_hold_beside_its_session(home: Path) -> None:
    """A session has processes, so the net's groups are above it: nothing is moved, and nothing is left."""
    (ROOT / "cgroup.subtree_control").write_text("+cpu +memory")
    session = ROOT / f"test-{os.getpid()}"
    session.mkdir()
    try:
        up = _stressnet(home, "up", "topology.yaml", group=session, user=0)
        assert up.returncode == 0, up.stderr
        assert 0 < _share(ROOT / "stressnet.groups" / "spin") < 0.25
    finally:
        _stressnet(home, "down", "groups", user=0)
        session.rmdir()
    assert list(ROOT.rglob("stressnet.*")) == []
