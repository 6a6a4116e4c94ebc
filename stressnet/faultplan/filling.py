"""Words in braces in what a load asks for: requests that are all different, or large, without writing each one down."""

from __future__ import annotations

import re

from stressnet.spec.units import QuantityError, parse_size

_WORD = re.compile(r"\{(number|size:[^{}]*)\}")
_MOST = 512 << 10
"""Bytes of one filling; servers take a head of a megabyte at most."""


def filled(text: str, number: int) -> str:
    """Return the text with `{number}` as the number of the call, and `{size:64KiB}` as so many letters.

    QuantityError where that is no size, or more than 512 KiB.
    """
    return _WORD.sub(lambda found: _filling(found[1], number), text)


def _filling(word: str, number: int) -> str:
    if word == "number":
        return str(number)
    size = parse_size(word.removeprefix("size:"))
    if size > _MOST:
        raise QuantityError(word, "at most 512KiB", "64KiB")
    return "x" * size
