"""Signs of outcomes: each has a shape of its own, so that none is told by its colour alone."""

from __future__ import annotations

from stressnet.report.markup import Markup, join, tag

_SHAPES = {
    "pass": (("disc", "M8 .5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 1 0 0-15z"), ("cut", "M4.4 8.3l2.5 2.6 4.8-5.4")),
    "fail": (
        ("disc", "M5 .5h6l4.5 4.5v6l-4.5 4.5h-6l-4.5-4.5v-6z"),
        ("cut", "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6"),
    ),
    "inconclusive": (
        ("disc", "M2 .5h12l1.5 1.5v12l-1.5 1.5h-12l-1.5-1.5v-12z"),
        ("cut", "M5.4 5.6a2.6 2.5 0 1 1 4.2 2q-1.6.9-1.6 2.1M8 12.6v.1"),
    ),
}
_SAME = {"achieved": "pass", "not achieved": "fail", "not measured": "inconclusive"}


def symbols() -> Markup:
    """Return the shapes, once for the page."""
    return tag("svg", *(_symbol(name) for name in _SHAPES), class_="symbols", aria_hidden="true")


def _symbol(name: str) -> Markup:
    paths = (tag("path", class_=part, d=drawn) for part, drawn in _SHAPES[name])
    return tag("symbol", *paths, id=f"sign-{name}", viewBox="0 0 16 16")


def sign(state: str) -> Markup:
    """Return the small sign of an outcome or of what was achieved; its word stands beside it."""
    name = _SAME.get(state, state)
    use = tag("use", href=f"#sign-{name}")
    return tag("svg", use, class_=f"sign {name}", aria_hidden="true")


def worded(state: str) -> Markup:
    """Return the sign and its word."""
    return tag("span", join([sign(state), state]), class_=f"worded {_SAME.get(state, state)}")
