"""Charts: one figure of every node over the same time, by node and by region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import median

from stressnet.report import svg
from stressnet.report.cast import FEW, Cast, region_colour
from stressnet.report.markup import Markup, join, tag
from stressnet.report.page import Chart
from stressnet.report.scale import Scale, value, value_scale

_GAP = 0.115
"""How far labels beside a plot stay apart, as a share of its height: a line of small print."""

_LETTERS = 14
"""So long a label fits beside a plot."""

Label = tuple[float, str, str]
"""Where (0 at the top, 1 at the bottom), the text, and its classes."""


def chart(shown: Chart, cast: Cast, time: Scale, columns: int) -> Markup:
    """Return a figure; `columns` is how finely its lines may be drawn."""
    points = [number for line in shown.lines for run in svg.stretches(line.points) for _, number in run]
    values = value_scale(points, shown.unit)
    caption = tag(
        "figcaption", tag("h3", shown.title), tag("span", shown.unit, class_="unit"), tag("span", shown.note)
    )
    inside = _inside(shown, cast, time, values, columns) if points else [tag("p", "No samples.")]
    plot = tag("div", *inside, class_="plot", tabindex="0" if points else None)
    return tag(
        "figure",
        caption,
        plot,
        class_="chart row",
        data_low=values.low,
        data_high=values.high,
        data_unit=shown.unit,
    )


def _inside(shown: Chart, cast: Cast, time: Scale, values: Scale, columns: int) -> Iterator[Markup]:
    sums = {
        region: svg.spread([line for line in shown.lines if line.region == region], time)
        for region in cast.order
    }
    yield tag(
        "svg",
        tag("path", class_="grid", d=_grid(values)),
        tag("g", *_nodes(shown, cast, time, values, columns), class_="by-node"),
        tag("g", *_regions(sums, time, values), class_="by-region"),
        viewBox=f"0 0 {svg.WIDTH} {svg.HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{shown.title} of {len(shown.lines)} nodes over time, in {shown.unit}",
    )
    for tick in values.ticks:
        top = f"top:{1 - values.share(tick):.2%}"
        yield tag("span", value(tick, shown.unit), class_="tick", style=top)
    yield _column(_node_labels(shown, cast, values), "by-node")
    yield _column(_region_labels(sums, values), "by-region")


def _nodes(shown: Chart, cast: Cast, time: Scale, values: Scale, columns: int) -> Iterator[Markup]:
    numbers = cast.numbers
    # Later ones are drawn over earlier ones, and those that stand out come first in the cast.
    for line in sorted(shown.lines, key=lambda line: -numbers[line.node]):
        if drawn := svg.line(line.points, time, values, columns):
            yield tag("path", class_=cast.style(line.node), data_n=numbers[line.node], d=drawn)


def _grid(values: Scale) -> str:
    heights = (round((1 - values.share(tick)) * svg.HEIGHT) for tick in values.ticks)
    return "".join(f"M0 {height}h{svg.WIDTH}" for height in heights)


def _regions(sums: Mapping[str, svg.Spread], time: Scale, values: Scale) -> Iterator[Markup]:
    drawn = []
    for number, spread in enumerate(sums.values()):
        low, middle, high = ([(at, found and found[which]) for at, found in spread] for which in range(3))
        yield tag("path", class_=f"ribbon {region_colour(number)}", d=svg.ribbon(low, high, time, values))
        drawn.append(tag("path", class_=f"median {region_colour(number)}", d=svg.line(middle, time, values)))
    yield from drawn


def _node_labels(shown: Chart, cast: Cast, values: Scale) -> Iterator[Label]:
    """Yield a label for each line that has one, and one for all others together where their middle ends."""
    ends: dict[str, list[float]] = {}
    styles = {}
    for line in shown.lines:
        style = cast.style(line.node)
        label = line.node if line.node in cast.labelled else "named" if line.node in cast.named else "others"
        styles[label] = style
        if runs := list(svg.stretches(line.points)):
            ends.setdefault(label, []).append(1 - values.share(runs[-1][-1][1]))
    for label, found in ends.items():
        words = label if label in cast.labelled else f"{len(found)} {label if cast.named else 'nodes'}"
        yield median(found), words, styles[label]


def _region_labels(sums: Mapping[str, svg.Spread], values: Scale) -> Iterator[Label]:
    if not 1 < len(sums) <= FEW:
        return
    for number, (region, spread) in enumerate(sums.items()):
        end = next((found[1] for _, found in reversed(spread) if found), None)
        if end is not None:
            yield 1 - values.share(end), region, region_colour(number)


def _column(labels: Iterable[Label], view: str) -> Markup:
    return join(
        tag("span", _short(text), class_=f"end {view} {style}", style=f"top:{top:.2%}", title=text)
        for top, text, style in apart(labels)
    )


def _short(label: str) -> str:
    """Return a label that fits beside a plot: names of nodes differ at their ends."""
    return label if len(label) <= _LETTERS else "…" + label[1 - _LETTERS :]


def apart(labels: Iterable[Label], gap: float = _GAP) -> list[Label]:
    """Return labels from top to bottom, moved as little as it takes to lie `gap` apart, and inside if they fit."""
    ordered = sorted(labels)
    tops: list[float] = []
    for top, *_ in ordered:
        tops.append(max(top, tops[-1] + gap) if tops else top)
    limit = max(1.0, (len(tops) - 1) * gap)
    for number in reversed(range(len(tops))):
        tops[number] = min(tops[number], limit)
        limit = tops[number] - gap
    return [(top, text, style) for top, (_, text, style) in zip(tops, ordered, strict=True)]
