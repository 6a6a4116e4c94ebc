"""The timeline: faults as bands behind charts that share one axis of time, with phases and what checks point at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import get_args

from stressnet.report import svg
from stressnet.report.cast import Cast
from stressnet.report.charts import chart
from stressnet.report.legend import controls
from stressnet.report.markup import Markup, join, tag
from stressnet.report.page import Achieved, Band, Page
from stressnet.report.scale import Scale, moment, time_scale
from stressnet.report.signs import sign

_LANES = 14
"""Faults that share a label share a lane; with more labels than this, those of a kind do."""
_NEAR = 0.03
"""Marks closer than this share of the axis are written as one."""
_LETTER_EM = 0.62
"""How wide a letter of a lane is in wide fonts."""

Stretch = tuple[float, float]


def timeline(page: Page, cast: Cast) -> Markup:
    """Return the section; empty where the page has nothing that took time."""
    if not (page.phases or page.bands or page.charts):
        return Markup()
    time = _time(page)
    columns = svg.columns(sum(len(shown.lines) for shown in page.charts))
    figure = tag(
        "div",
        _backdrop(page, time),
        _phases(page, time),
        _lanes(page.bands, time),
        _axis(page, time, "axis above"),
        *(chart(shown, cast, time, columns) for shown in page.charts),
        _axis(page, time, "axis below") if page.charts else Markup(),
        class_="figure",
        data_begin=time.low,
        data_end=time.high,
    )
    above = controls(cast) if cast.nodes else Markup()
    return tag("section", tag("h2", "Timeline"), above, figure, id="timeline")


def _time(page: Page) -> Scale:
    """Return the axis that all of the page fits on."""
    moments = [
        at
        for shown in page.charts
        for line in shown.lines
        for run in svg.stretches(line.points)
        for at in (run[0][0], run[-1][0])
    ]
    moments += chain.from_iterable((phase.begin_s, phase.end_s) for phase in page.phases)
    moments += [at for band in page.bands for at in (band.begin_s, band.end_s) if at is not None]
    return time_scale(min(moments, default=0.0), max(moments, default=1.0))


def _place(begin: float, end: float, time: Scale) -> str:
    left, right = (min(1.0, max(0.0, time.share(at))) for at in (begin, end))
    return f"left:{left:.2%};width:{right - left:.2%}"


def _left(at: float, time: Scale) -> str:
    return f"left:{min(1.0, max(0.0, time.share(at))):.2%}"


def _end(band: Band, time: Scale) -> float:
    return time.high if band.end_s is None else band.end_s


def _backdrop(page: Page, time: Scale) -> Markup:
    """Return what stands behind all charts: where faults were on, where phases begin, what checks point at."""
    states: dict[str, list[Stretch]] = {}
    for band in page.bands:
        states.setdefault(band.achieved, []).append((band.begin_s, _end(band, time)))
    near = (time.high - time.low) / svg.WIDTH
    bands = (
        tag("i", class_=f"band {_word(state)}", style=_place(begin, end, time))
        for state, found in states.items()
        for begin, end in merged(found, near)
    )
    begins = [phase.begin_s for phase in page.phases if phase.begin_s > time.low]
    bounds = (tag("i", class_="bound", style=_left(at, time)) for at in begins)
    points = (
        tag("i", class_=f"point {check.outcome}", style=_left(check.at_s, time))
        for check in page.judgements
        if check.at_s is not None
    )
    return tag("div", *bands, *bounds, *points, class_="backdrop", aria_hidden="true")


def merged(stretches: Iterable[Stretch], near: float = 0.0) -> list[Stretch]:
    """Return stretches in order, those that overlap or lie no more than `near` apart as one."""
    found: list[Stretch] = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1] + near:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def _word(state: str) -> str:
    return state.replace(" ", "-")


def _phases(page: Page, time: Scale) -> Markup:
    if not page.phases:
        return Markup()
    spans = (
        tag(
            "span",
            phase.name,
            title=f"{phase.name}: {moment(phase.begin_s)} to {moment(phase.end_s)}",
            style=_place(phase.begin_s, phase.end_s, time),
        )
        for phase in page.phases
    )
    return tag("div", tag("b", "phase", class_="gutter"), *spans, class_="row phases")


def _lanes(bands: Sequence[Band], time: Scale) -> Markup:
    lanes = _grouped(bands)
    if not lanes:
        return Markup()
    rows = (_lane(label, found, time) for label, found in lanes.items())
    return tag("div", tag("b", "faults", class_="gutter"), *rows, class_="row lanes")


def _grouped(bands: Sequence[Band]) -> Mapping[str, Sequence[Band]]:
    by_label: dict[str, list[Band]] = {}
    by_kind: dict[str, list[Band]] = {}
    for band in sorted(bands, key=lambda band: band.begin_s):
        by_label.setdefault(band.label, []).append(band)
        by_kind.setdefault(band.kind, []).append(band)
    return by_label if len(by_label) <= _LANES else by_kind


def _lane(label: str, bands: Sequence[Band], time: Scale) -> Markup:
    said, text = _said(bands, time)
    # The words begin where the first fault does, or as far before as it takes to fit.
    begin = time.share(bands[0].begin_s)
    place = f"left:max(0px,min({begin:.2%},100% - {_LETTER_EM * len(label + text):.0f}em))"
    words = tag("p", tag("b", label), tag("span", said), style=place)
    bars = (
        tag(
            "i",
            class_=f"bar {_word(band.achieved)}",
            title=_title(band, time),
            style=_place(band.begin_s, _end(band, time), time),
        )
        for band in bands
    )
    return tag("div", words, tag("div", *bars, class_="bars"), class_="lane")


def _said(bands: Sequence[Band], time: Scale) -> tuple[Markup, str]:
    """Return when and how often a fault was achieved, and the bare words, to know how wide they are."""
    states: list[str] = [band.achieved for band in bands]
    if len(bands) == 1:
        counts, lead = {states[0]: states[0]}, f"{_when(bands[0], time)} "
    else:
        found = (state for state in get_args(Achieved) if state in states)
        counts, lead = {state: f"{states.count(state)} {state}" for state in found}, f"{len(bands)} times: "
    signed = join((join([sign(state), words]) for state, words in counts.items()), ", ")
    return join([lead, signed]), lead + ", ".join(counts.values())


def _when(band: Band, time: Scale) -> str:
    return f"{moment(band.begin_s)} to {'the end' if band.end_s is None else moment(_end(band, time))}"


def _title(band: Band, time: Scale) -> str:
    nodes = f"\n{len(band.nodes)} nodes: {', '.join(band.nodes)}" if band.nodes else ""
    return f"{band.label}\n{_when(band, time)}, {band.achieved}{nodes}"


def _axis(page: Page, time: Scale, classes: str) -> Markup:
    marks = _marks(page, time) if "above" in classes else ()
    ticks = (
        tag("span", moment(tick), class_="odd" if number % 2 else None, style=_left(tick, time))
        for number, tick in enumerate(time.ticks)
    )
    unit = "h:mm:ss" if time.high >= 3600 else "mm:ss"
    return tag("div", tag("b", unit, class_="gutter"), *ticks, *marks, class_=f"row {classes}")


def _marks(page: Page, time: Scale) -> Iterator[Markup]:
    """Yield links to judgements at the moments that they point at; those that would overlap stand side by side."""
    pointing = sorted(
        (check.at_s, number, check)
        for number, check in enumerate(page.judgements, 1)
        if check.at_s is not None
    )
    groups: list[list[tuple[float, int]]] = []
    for at, number, _ in pointing:
        if groups and time.share(at) - time.share(groups[-1][0][0]) < _NEAR:
            groups[-1].append((at, number))
        else:
            groups.append([(at, number)])
    for group in groups:
        links = (
            tag(
                "a",
                str(number),
                href=f"#check-{number}",
                class_=page.judgements[number - 1].outcome,
                title=f"{page.judgements[number - 1].check}, at {moment(at)}",
            )
            for at, number in group
        )
        yield tag("span", *links, class_="marks", style=_left(group[0][0], time))
