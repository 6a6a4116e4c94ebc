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
        ("disc", "M8 0l8 8-8 8-8-8z"),
        ("cut", "M5.9 6.1a2.1 2.1 0 1 1 3.3 1.7q-1.2.7-1.2 1.7M8 12.2v.1"),
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
