"""What an agent remembers of a fault, also when a thousand others have been on after it."""

from __future__ import annotations

from stressnet.agent.kept import Kept
from stressnet.agent.router import Count
from stressnet.faults.fault import Fault

CUT = Fault("f1", "partition", {}, (("a", "b"),), (), 0.0, "partition --between a b")


def test_of_what_links_have_counted_only_its_own_are_kept_and_only_while_it_is_on() -> None:
    """A net of a hundred nodes has ten thousand links, and two hundred faults are remembered."""
    counted = {("a", "b"): Count(dropped=3), ("b", "a"): Count(dropped=4)}
    kept = Kept.begun(CUT, 10.0, counted, lease_s=5.0)
    assert (dict(kept.before), kept.lease_ends_at) == ({("a", "b"): Count(dropped=3)}, 15.0)
    assert Kept.from_raw(kept.to_file()) == kept
    kept.is_over("healed", 12.0, hits=7)
    assert (kept.before, kept.hits, kept.until, kept.on) == ({}, 7, 12.0, False)
