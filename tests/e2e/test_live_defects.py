"""Defects of the reference node show from outside on a live net where they are on, and not where they are off.

Four of them; `python -m benchmarks.defects` tries them all.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from needs import require_relay

from benchmarks.defects import SCENARIOS, shows

pytestmark = pytest.mark.usefixtures("state_home")


def test_there_is_a_net_for_each_defect() -> None:
    table = (Path(__file__).parents[2] / "docs" / "defects.md").read_text()
    assert set(SCENARIOS) == {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}


@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
@pytest.mark.parametrize(
    "name", ["retry_amplification", "dead_whitelist_loop", "cooldown_never_expires", "init_collision_reset"]
)
def test_a_defect_shows_where_it_is_on(name: str, on: bool, tmp_path: Path) -> None:
    """One of each problem: growth, a loop, a node that stays stuck, and two that collide in step."""
    require_relay("netns")
    assert asyncio.run(shows(name, "netns", tmp_path, on=on)) is on
