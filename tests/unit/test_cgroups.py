"""Where limits are written, on both versions of control groups; that they hold is for the contract suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stressnet.agent import cgroups


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of a unified hierarchy; a kernel would make those of a new group by itself."""
    _group(tmp_path)
    (tmp_path / "own").write_text("0::/\n")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
    return tmp_path


def _group(folder: Path, *, procs: str = "", controllers: str = "cpuset cpu io memory pids") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "cgroup.controllers").write_text(f"{controllers}\n")
    (folder / "cgroup.subtree_control").write_text("")
    (folder / "cgroup.procs").write_text(procs)


def test_version_2_limits_are_written_to_one_group_below_the_net(version_2: Path) -> None:
    """CPU as quota and period, memory in bytes, both controllers switched on above."""
    found = cgroups.find()
    assert found is not None
    assert found.version == 2
    group = version_2 / "stressnet.net" / "a"
    assert cgroups.make(found, "net", "a", cpu=0.5, memory=2**20) == (str(group / "cgroup.procs"),)
    assert (group / "cpu.max").read_text() == "50000 100000"
    assert (group / "memory.max").read_text() == str(2**20)
    for parent in (version_2, version_2 / "stressnet.net"):
        assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_version_2_without_a_limit_says_max(version_2: Path) -> None:
    """A node with one limit only is free in the other."""
    found = cgroups.find()
    assert found is not None
    cgroups.make(found, "net", "a", cpu=0, memory=2**20)
    assert (version_2 / "stressnet.net" / "a" / "cpu.max").read_text() == "max 100000"


@pytest.fixture
def version_1(tmp_path: Path) -> cgroups.Controllers:
    """Two hierarchies, with a group that has the files which a kernel would make."""
    found = cgroups.Controllers(1, tmp_path / "cpu", tmp_path / "memory")
    for folder in found.group("net", "a"):
        folder.mkdir(parents=True)
    (found.group("net", "a")[1] / "memory.memsw.limit_in_bytes").touch()
    return found


def test_version_1_limits_come_and_go(version_1: cgroups.Controllers) -> None:
    """A limit that is taken away leaves none, with swap neither."""
    cpu, memory = version_1.group("net", "a")
    for limits, said in (((0.29, 2**20), ("29000", str(2**20))), ((0, 0), ("-1", "-1"))):
        cgroups.make(version_1, "net", "a", cpu=limits[0], memory=limits[1])
        names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        assert ((cpu / "cpu.cfs_quota_us").read_text(), *((memory / name).read_text() for name in names)) == (
            *said,
            said[1],
        )


def test_processes_that_are_started_meanwhile_are_moved_too(tmp_path: Path) -> None:
    """It ends once nobody is found who has not been moved."""
    found = iter([[1], [1, 2], [1, 2, 3], [1, 2, 3]])
    group = tmp_path / "cgroup.procs"
    cgroups.join([str(group)], lambda: next(found))
    assert group.read_text() == "3"
    assert next(found, None) is None


def test_kills_for_want_of_memory_are_counted(version_2: Path) -> None:
    """The kernel's own count is read; a group that is gone has none."""
    found = cgroups.find()
    assert found is not None
    cgroups.make(found, "net", "a", cpu=0, memory=2**20)
    (version_2 / "stressnet.net" / "a" / "memory.events").write_text("low 0\nmax 7\noom 2\noom_kill 2\n")
    assert cgroups.out_of_memory_kills(found, "net", "a") == 2
    assert cgroups.out_of_memory_kills(found, "net", "b") == 0


def test_without_the_controllers_there_are_no_limits(version_2: Path) -> None:
    """A hierarchy that offers neither cpu nor memory is of no use."""
    (version_2 / "cgroup.controllers").write_text("pids\n")
    assert cgroups.find() is None


def test_version_2_groups_are_made_as_near_as_can_be(version_2: Path) -> None:
    """Not in our own group, which has processes, but in the next above that has none and offers both."""
    for path, procs in (("slice", ""), ("slice/scope", "17\n")):
        _group(version_2 / path, procs=procs)
        (version_2 / path / "cgroup.type").write_text("domain\n")
    (version_2 / "own").write_text("0::/slice/scope\n")
    assert cgroups.find() == cgroups.Controllers(2, version_2 / "slice", version_2 / "slice")
    (version_2 / "slice" / "cgroup.controllers").write_text("memory pids\n")
    assert cgroups.find() == cgroups.Controllers(2, version_2, version_2)


def test_version_2_of_which_all_groups_have_processes_is_of_no_use(version_2: Path) -> None:
    """As in a container, whose root is no real one and has the container's processes."""
    (version_2 / "cgroup.procs").write_text("1\n")
    (version_2 / "cgroup.type").write_text("domain\n")
    assert cgroups.find() is None


def test_a_group_outside_of_what_is_seen_is_of_no_use(version_2: Path) -> None:
    """Who was moved out of its cgroup namespace cannot move processes into it."""
    (version_2 / "own").write_text("0::/../elsewhere\n")
    assert cgroups.find() is None


def test_the_groups_of_other_users_are_not_ours(version_2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets are found by their groups only where these belong to this user."""
    (version_2 / "stressnet.mine").mkdir()
    assert cgroups.nets() == {"mine"}
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert cgroups.nets() == set()
