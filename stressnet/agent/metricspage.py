"""A node's Prometheus page, as series with their values."""

from __future__ import annotations

import math
from collections.abc import Iterator

_MOST = 2000
"""Series of one page that are kept: a page with more is a mistake of its labels, and would fill the disk."""


def series(page: str) -> Iterator[tuple[str, float]]:
    """Yield `name{label="value",...}` and its value; ValueError where it is no such page.

    What is not a number is left out, and so is whatever comes after the first 2,000.
    """
    from prometheus_client.parser import text_string_to_metric_families  # 30 ms, for the first page only

    count = 0
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if not math.isfinite(sample.value):
                continue
            count += 1
            if count > _MOST:
                return
            yield sample.name + _labels(sample.labels), float(sample.value)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items())) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
