"""A record that never was is the same in memory and on disk."""

from __future__ import annotations

from records import Making

from stressnet import making
from stressnet.checks.verdict import judge


def test_a_record_in_memory_is_judged_as_one_on_disk(making: Making) -> None:
    """What checks read of nodes, links, faults, the machine and series is all there."""
    making.looks["us-2"] = lambda at: {"height": int(2 * min(at, 50)), "opens": int(at), "rss_bytes": 2**20}
    making.cut("us-2", 30, 40, states=[(31, "on", {"figures": [{"name": "x", "holds": True}]})])
    making.series("us-1", "calls", lambda at: 3.0 * at)
    asked = [
        {"name": name, "check": name, "parameters": parameters}
        for name, parameters in (
            ("stuck", {"window": "15s"}),
            ("recovery", {"within": "10s"}),
            ("discovery_storm", {}),
            ("metric", {"name": "calls", "take": "rise", "at_most": 20}),
        )
    ]
    on_disk = judge(making.made(), asked)
    assert on_disk.outcome == "fail"
    assert judge(_in_memory(making).made(), asked) == on_disk


def _in_memory(one: Making) -> making.Making:
    found = making.Making(one.plan)
    found.events, found.looks, found.metrics, found.file = one.events, one.looks, one.metrics, one.file
    return found
