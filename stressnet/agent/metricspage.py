"""A node's Prometheus page, as series with their values.

A page has the same series at nearly every look, and parsing takes 20 us each. So a page is parsed once, and as long
as it has the same lines as before only their numbers are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_MOST = 2000
"""Series of one page that are kept: a page with more is a mistake of its labels, and would fill the disk."""

Series = tuple[str, float]
"""`name{label="value",...}`, labels in order, and its value."""


class Page:
    """The pages of one node, one after the other."""

    def __init__(self) -> None:
        self._names: Mapping[str, str] = {}
        """What a line says before its number, and the series that it means."""

    def read(self, text: str) -> list[Series]:
        """Return the series of a page; ValueError where it is none.

        What is not a number is left out, and so is whatever comes after the first 2,000.
        """
        lines = [line for line in text.splitlines() if line and line[0] != "#"]
        found = self._quickly(lines)
        if found is None:
            found = self._thoroughly(text, lines)
        return [(name, value) for name, value in found if math.isfinite(value)][:_MOST]

    def _quickly(self, lines: Sequence[str]) -> list[Series] | None:
        found = []
        for line in lines:
            head, _, number = line.rpartition(" ")
            name = self._names.get(head)
            if name is None:
                return None
            found.append((name, float(number)))
        return found

    def _thoroughly(self, text: str, lines: Sequence[str]) -> list[Series]:
        from prometheus_client.parser import text_string_to_metric_families  # 30 ms, for the first page only

        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        # With a time at the end of a line the number is elsewhere, and a line may be written in other ways.
        plain = len(samples) == len(lines) and all(sample.timestamp is None for sample in samples)
        heads = [line.rpartition(" ")[0] for line in lines] if plain else []
        # The parser calls a counter as OpenMetrics would, which may not be what the node calls it.
        names = [head.partition("{")[0].strip() for head in heads] or [sample.name for sample in samples]
        found = [
            (name + _labels(sample.labels), float(sample.value))
            for name, sample in zip(names, samples, strict=True)
        ]
        self._names = dict(zip(heads, (name for name, _ in found), strict=True)) if plain else {}
        return found


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items())) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
