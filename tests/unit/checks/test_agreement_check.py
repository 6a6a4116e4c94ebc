"""Blocks that differ at one height."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from records import Making, found, healthy

from stressnet.engine.run import collect
from stressnet.engine.run.asking import Ask
from stressnet.errors import AgentError
from stressnet.record.journal import RunJournal, read_journal


def write(making: Making, blocks: dict[str, dict[str, str]]) -> None:
    (making.path / "blocks.json").write_text(json.dumps(blocks))
    making.event(101, "collected")


def test_nodes_with_one_chain_agree(making: Making) -> None:
    write(making, {"5": {"us-1": "a", "us-2": "a"}, "9": {"us-1": "b", "us-2": "b", "us-3": "b"}})
    finding = found(making.made(), "agreement")
    assert (finding.outcome, finding.summary) == ("pass", "3 nodes agree on 2 blocks, up to height 9")


def test_nodes_on_two_chains_do_not(making: Making) -> None:
    """Those who are fewer are named, and the lowest height at which they differ."""
    write(
        making,
        {
            "9": {"us-1": "b", "us-2": "c", "us-3": "b"},
            "5": {"us-1": "a", "us-2": "x", "us-3": "a"},
            "1": {"us-1": "g", "us-2": "g", "us-3": "g"},
        },
    )
    finding = found(making.made(), "agreement")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.summary == "us-2 had another block than the others at height 5"
    assert finding.lines[0] == "height 5: us-1, us-3 a; us-2 x"


def test_who_has_no_such_block_does_not_disagree(making: Making) -> None:
    write(making, {"9": {"us-1": "b", "us-2": "b"}})
    assert found(making.made(), "agreement").outcome == "pass"


@pytest.mark.parametrize("blocks", [{}, {"5": {"us-1": "a"}}])
def test_no_two_hashes_give_no_verdict(making: Making, blocks: dict[str, dict[str, str]]) -> None:
    write(making, blocks)
    assert found(making.made(), "agreement").outcome == "inconclusive"


def test_kinds_that_cannot_be_asked_give_no_verdict(making: Making) -> None:
    making.event(101, "collected")
    assert found(making.made(), "agreement").summary == "no two nodes told the hash of a block"


def test_before_the_end_nothing_is_known(making: Making) -> None:
    assert found(making.made(), "agreement").summary == "blocks are collected at the end of the run"


@pytest.mark.parametrize(
    ("tops", "after", "heights"),
    [
        ([], [], []),
        ([0, 0], [], []),
        ([1, 1], [], [1]),
        ([3, 3], [], [3, 2, 1]),
        ([200, 200], [], [200, 175, 150, 125, 100, 75, 50, 25, 1]),
        ([100, 400, 500], [], [400, 343, 286, 229, 171, 114, 100, 57, 1]),
        ([61, 179, 186, 186], [], [186, 179, 155, 124, 93, 62, 61, 31, 1]),
        ([186, 61, 180, 179, 184], [], [184, 179, 153, 123, 92, 61, 31, 1]),
        ([200, 200], [180, 150, 999], [200, 180, 167, 150, 133, 100, 67, 33, 1]),
    ],
)
def test_heights_are_spread_from_the_second_node_to_the_first_block(
    tops: list[int], after: list[int], heights: list[int]
) -> None:
    """With the highest that two have, where groups of nodes stand, and the first blocks after faults."""
    assert collect.heights_to_compare(tops, after) == heights


def test_a_hundred_faults_leave_room_for_the_spread() -> None:
    found = collect.heights_to_compare([1000, 1000], list(range(999, 899, -1)))
    assert len(found) == 9
    assert any(1 < height < 800 for height in found)


@dataclass(frozen=True)
class Asking:
    """Answers as nodes would, and notes what was asked."""

    asked: list[tuple[tuple[str, ...], str, int]]

    async def __call__(self, _: Any, nodes: Any, what: str, height: int) -> dict[str, Any]:
        self.asked.append((tuple(nodes), what, height))
        if height == 1:
            raise AgentError("gone")
        return {
            name: f"hash of {height}" if name != "us-3" else ValueError("no such block") for name in nodes
        }


def able(making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let kinds say how a block is read, as those do that can tell."""
    monkeypatch.setattr(collect, "tellers", lambda plan, what: [node.name for node in plan.nodes])


def collected(making: Making, asking: Ask) -> Path:
    making.made()
    journal = RunJournal(making.path / "journal.jsonl")
    asyncio.run(collect.collect_blocks(making.plan, None, making.path, journal, asking))  # type: ignore[arg-type]
    journal.close()
    return making.path


def test_running_nodes_are_asked_and_what_they_do_not_tell_is_left_out(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A height that could not be asked is noted, and the others are written."""
    able(making, monkeypatch)
    making.looks["us-2"] = lambda at: healthy(at) if at < 90 else {"state": "exited", "pid": 0}
    asking = Asking([])
    path = collected(making, asking)
    # Who told none is asked once more, in case the answer was lost, and all where none was.
    assert {one[:2] for one in asking.asked} == {(("us-1", "us-3"), "block"), (("us-3",), "block")}
    assert [one[2] for one in asking.asked].count(1) == 2
    blocks = json.loads((path / "blocks.json").read_text())
    assert blocks["200"] == {"us-1": "hash of 200"}
    assert "1" not in blocks
    lost = [event for event in read_journal(path / "journal.jsonl") if event["event"] == "blocks lost"]
    assert [event["height"] for event in lost] == [1]


def test_an_answer_that_is_lost_once_is_had_the_second_time(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    able(making, monkeypatch)
    asked = Counter[int]()

    async def asking(_: Any, nodes: list[str], what: str, height: int) -> dict[str, Any]:
        asked[height] += 1
        if height == 1 and asked[height] == 1:
            raise AgentError("gone")
        lost = "us-3" if asked[height] == 1 else None
        return {name: "" if name == lost else f"{name} {height}" for name in nodes}

    blocks = json.loads((collected(making, asking) / "blocks.json").read_text())
    assert blocks["200"] == {"us-1": "us-1 200", "us-2": "us-2 200", "us-3": "us-3 200"}
    assert set(blocks["1"]) == {"us-1", "us-2", "us-3"}
    assert set(asked.values()) == {2}


def test_nodes_that_cannot_be_asked_are_not(making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking([])
    monkeypatch.setattr(collect, "tellers", lambda plan, what: [])
    path = collected(making, asking)
    assert asking.asked == []
    assert not (path / "blocks.json").exists()
