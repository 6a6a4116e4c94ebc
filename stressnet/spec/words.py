"""How values and choices are shown in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

_LONGEST = 60

UNKNOWN_KEY = "unknown key"


def show(value: object) -> str:
    """Name a value as its writer would: texts in quotes, collections by their sort."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return the choice that was probably meant, or nothing."""
    close = difflib.get_close_matches(word[:_LONGEST], list(choices), n=1, cutoff=0.6)
    return close[0] if close else ""


def listing(choices: Iterable[str], limit: int = 24) -> str:
    """Join choices with commas; a long list is cut."""
    words = list(choices)
    rest = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {rest} more" if rest > 0 else "")
