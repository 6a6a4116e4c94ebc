"""Counters, gauges and a histogram, written in the Prometheus text format.

Written out by hand because the client library would cost every node 4 MB and 25 ms for what is 60 lines here;
the tests read the output with that library's parser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Labels = tuple[tuple[str, str], ...]

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)


class Metrics:
    """All figures of one node."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}
        self._gauges: list[tuple[str, str, Labels, Callable[[], float]]] = []

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter; labels must come from a small fixed set."""
        series = self._counters.setdefault(name, {})
        key = tuple(labels.items())
        series[key] = series.get(key, 0) + amount

    def counted(self, name: str, **labels: str) -> float:
        """Return a counter's value."""
        return self._counters.get(name, {}).get(tuple(labels.items()), 0)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add to a histogram, of seconds or of blocks."""
        series = self._histograms.setdefault(name, {})
        row = series.setdefault(tuple(labels.items()), [0.0] * (len(_BUCKETS) + 2))
        row[next((i for i, limit in enumerate(_BUCKETS) if value <= limit), len(_BUCKETS))] += 1
        row[-1] += value

    def gauge(self, name: str, read: Callable[[], float], kind: str = "gauge", **labels: str) -> None:
        """Register a figure that is read when it is asked for."""
        self._gauges.append((name, kind, tuple(labels.items()), read))

    def text(self) -> str:
        """Return everything in the text format, version 0.0.4."""
        lines: list[str] = []
        for name, kind, labels, read in self._gauges:
            lines += [f"# TYPE {name} {kind}", _sample(name, labels, read())]
        for name in sorted(self._counters):
            lines.append(f"# TYPE {name} counter")
            lines += [_sample(name, labels, value) for labels, value in sorted(self._counters[name].items())]
        for name in sorted(self._histograms):
            lines.append(f"# TYPE {name} histogram")
            for labels, row in sorted(self._histograms[name].items()):
                lines += _histogram(name, labels, row)
        return "\n".join(lines) + "\n"


def _sample(name: str, labels: Labels, value: float) -> str:
    if not labels:
        return f"{name} {value:.17g}"
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
    return f"{name}{{{inner}}} {value:.17g}"


def _histogram(name: str, labels: Labels, row: Sequence[float]) -> list[str]:
    lines, total = [], 0.0
    for limit, count in zip((*map(str, _BUCKETS), "+Inf"), row, strict=False):
        total += count
        lines.append(_sample(f"{name}_bucket", (*labels, ("le", limit)), total))
    return [*lines, _sample(f"{name}_sum", labels, row[-1]), _sample(f"{name}_count", labels, total)]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
