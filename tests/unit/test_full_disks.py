"""What faults leave free on a disk, with a kernel that does what is asked, or is busy."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.agent.disks import Disks, Space
from stressnet.backends.docker.description import disks_fault
from stressnet.plan import Plan

PAGE = os.sysconf("SC_PAGE_SIZE")
SIZE = 256 * PAGE


class Kernel(Disks):
    """Disks in figures: how large each is and how much of it is used, in bytes."""

    def __init__(self, used: dict[str, int]) -> None:
        super().__init__("/folder", "/staging")
        nodes = tuple(replace(node, disk=SIZE if node.group == "us" else 0) for node in some_plan().nodes)
        self.replan(replace(some_plan(), nodes=nodes))
        self.used = used
        self.sizes = dict.fromkeys(used, SIZE)
        self.changes = 0
        self.writes = 0
        """Before how many changes the node writes another page."""

    def _mounted(self) -> set[str]:
        return set(self.used)

    def _space(self, name: str) -> Space:
        return Space(self.sizes[name], self.sizes[name] - self.used[name])

    def _resize(self, name: str, size: int) -> None:
        self.changes += 1
        if self.writes:
            self.writes -= 1
            self.used[name] += PAGE
        if size < self.used[name]:
            raise OSError(errno.EINVAL, "too small")
        self.sizes[name] = size

    def free(self, name: str) -> int:
        return self._space(name).free

    def another_agent(self) -> Kernel:
        """What is mounted is there still, and nothing else."""
        other = Kernel(self.used)
        other.sizes = self.sizes
        return other


def found(disks: Disks, names: Iterable[str]) -> list[tuple[str, str, float, float, bool]]:
    figures, _ = disks.figures(names)
    return [(place, one.name, one.asked, one.found, one.holds) for one, place in figures]


def test_a_disk_is_full_and_whole_again() -> None:
    """Others are left alone, and what is right already is not asked of the kernel again."""
    disks = Kernel({"us-1": 10 * PAGE, "us-2": 0})
    disks.hold({"us-1": 0})
    disks.hold({"us-1": 0})
    assert (disks.free("us-1"), disks.free("us-2"), disks.changes) == (0, SIZE, 1)
    assert found(disks, ["us-1"]) == [("us-1", "free", 0, 0, True)]
    disks.hold({})
    assert (disks.sizes["us-1"], disks.changes) == (SIZE, 2)
    assert found(disks, ["us-1"]) == [("us-1", "size of disk", SIZE, SIZE, True)]


def test_an_empty_disk_keeps_one_page() -> None:
    """A size of 0 would be no limit at all to the kernel."""
    disks = Kernel({"us-1": 0})
    disks.hold({"us-1": 0})
    assert disks.sizes["us-1"] == PAGE
    assert found(disks, ["us-1"])[0][-1]


def test_what_was_used_of_the_room_is_not_given_back() -> None:
    """Neither by looking again, nor by another agent; but what a node deletes is taken from it."""
    disks = Kernel({"us-1": 10 * PAGE})
    disks.hold({"us-1": 4 * PAGE})
    disks.used["us-1"] += 3 * PAGE
    for agent in (disks, disks.another_agent()):
        agent.hold({"us-1": 4 * PAGE})
        assert agent.free("us-1") == PAGE
    disks.used["us-1"] = 0
    assert found(disks, ["us-1"]) == [("us-1", "free", 4 * PAGE, 4 * PAGE, True)]


def test_healing_the_narrower_gives_what_the_wider_leaves() -> None:
    disks = Kernel({"us-1": 10 * PAGE})
    disks.hold({"us-1": 0})
    disks.hold({"us-1": 4 * PAGE})
    assert disks.free("us-1") == 4 * PAGE
    disks.hold({"us-1": PAGE})
    assert disks.free("us-1") == PAGE
    disks.hold({"us-1": 2 * SIZE})
    assert disks.sizes["us-1"] == SIZE


def test_another_agent_heals_what_it_knows_no_fault_of() -> None:
    disks = Kernel({"us-1": 10 * PAGE})
    disks.hold({"us-1": 0})
    disks.another_agent().hold({})
    assert disks.sizes["us-1"] == SIZE


def test_a_node_that_writes_meanwhile_is_asked_for_again() -> None:
    """Until the kernel takes it; a node that is always faster makes the fault impossible, with its name."""
    disks = Kernel({"us-1": 10 * PAGE})
    disks.writes = 5
    disks.hold({"us-1": 0})
    assert (disks.free("us-1"), disks.used["us-1"]) == (0, 15 * PAGE)
    disks = Kernel({"us-1": 10 * PAGE})
    disks.writes = 10**6
    with pytest.raises(OSError, match="us-1 writes faster"):
        disks.hold({"us-1": 0})


def test_disks_are_kept_full_while_the_fault_is_on() -> None:
    disks = Kernel({"us-1": 10 * PAGE})

    async def story() -> None:
        disks.hold({"us-1": 0})
        running = asyncio.create_task(disks.run())
        disks.used["us-1"] = PAGE
        async with asyncio.timeout(10):
            while disks.free("us-1"):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(story())


def test_a_fault_that_does_not_hold_is_measured_so() -> None:
    """One page more than asked is within the tolerance, two are not; neither is a disk that stays small."""
    disks = Kernel({"us-1": 10 * PAGE})
    disks.hold({"us-1": 0})
    disks._leave = lambda name, widen=False: None  # type: ignore[method-assign]
    for pages in (1, 2):
        disks.sizes["us-1"] = (10 + pages) * PAGE
        assert found(disks, ["us-1"])[0][-1] == (pages == 1)
    disks._resize = lambda name, size: None  # type: ignore[method-assign]
    disks.hold({})
    assert found(disks, ["us-1"])[0] == ("us-1", "size of disk", SIZE, 12 * PAGE, False)


def test_a_disk_that_cannot_be_looked_at_has_a_reason() -> None:
    """The others are measured all the same."""
    disks = Kernel({"us-1": 10 * PAGE, "us-2": 0})
    disks.hold({"us-1": 0})
    disks.sizes["us-1"], disks.writes = SIZE, 10**6
    figures, reasons = disks.figures(["us-1", "us-2"])
    assert [place for _, place in figures] == ["us-2"]
    assert reasons == ["us-1 writes faster than its disk can be filled"]


def test_what_cannot_be_measured_has_a_reason() -> None:
    """A disk that is yet to come, and one that the plan no longer gives; who is to have none is named."""
    disks = Kernel({"us-1": 0})
    assert disks.figures(["us-2", "boot"]) == ([], ["us-2 has no disk yet", "boot has no disk any more"])
    assert disks.lacking(["us-1", "boot", "late"]) == ["boot", "late"]


@pytest.mark.parametrize(
    ("kernel", "fault"),
    [
        ("6.1.0-18-amd64", ""),
        ("5.2.0", ""),
        ("5.10.16.3-microsoft-standard-WSL2", ""),
        ("4.19.0-27", "the engine's machine has kernel 4.19.0-27, and they need 5.2"),
        ("unknown", "the engine's machine has kernel unknown, and they need 5.2"),
    ],
)
def test_an_engine_on_an_old_kernel_has_no_disks(kernel: str, fault: str) -> None:
    assert disks_fault({"KernelVersion": kernel}) == fault


def test_a_plan_of_before_there_were_disks_can_be_read() -> None:
    """A net that is up may have one."""
    raw: Any = some_plan().to_json().replace('"disk":0,', "")
    assert '"disk"' not in raw
    assert Plan.from_json(raw) == some_plan()
