"""What is said of a fault that is about to be taken off."""

from __future__ import annotations

import json

import pytest

from stressnet.faults.presence import Presence


@pytest.mark.parametrize(
    ("missing", "unseen", "there"),
    [([], [], True), (["a"], [], False), (["a"], ["b"], False), ([], ["b"], None)],
)
def test_it_is_there_only_where_all_was_seen(
    missing: list[str], unseen: list[str], there: bool | None
) -> None:
    """What is missing counts more than what nobody saw."""
    assert Presence(missing, unseen).there is there


def test_it_goes_through_a_journal() -> None:
    """An event without it is one of an earlier version, or of a fault that leaves nothing to look at."""
    raw = json.loads(json.dumps({"event": "fault over", **Presence(["a"], ["b"]).to_raw()}))
    assert Presence.from_raw(raw) == Presence(("a",), ("b",))
    assert Presence.from_raw({"event": "fault over"}) is None


def test_of_many_words_few_are_kept() -> None:
    """A fault on thousands of links that has gone is told as briefly as one on ten."""
    kept = Presence([str(number) for number in range(1000)]).to_raw()["missing"]
    assert (kept[0], kept[-1], len(kept)) == ("0", "and 992 more", 9)
