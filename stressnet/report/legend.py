"""Who is who in the charts: the switch between nodes and regions, what colours mean, buttons that follow a node."""

from __future__ import annotations

from stressnet.report.cast import Cast, region_colour
from stressnet.report.markup import Markup, join, tag


def controls(cast: Cast) -> Markup:
    """Return what stands above the charts: the switch between nodes and regions, and a legend for each."""
    return tag("div", _views(cast), _nodes(cast), _regions(cast), class_="controls")


def _views(cast: Cast) -> Markup:
    words = "By region" if len(cast.order) > 1 else "All nodes summed up"
    views = (
        tag(
            "label",
            tag("input", type="radio", name="view", id=identity, checked=checked),
            tag("span", label),
        )
        for identity, label, checked in (
            ("show-nodes", "Every node", not cast.crowd),
            ("show-regions", words, cast.crowd),
        )
    )
    return tag("fieldset", tag("legend", "Show"), *views)


def _nodes(cast: Cast) -> Markup:
    """Return the legend of nodes: what colours mean, a filter, and a button for each."""
    buttons = (node_button(node, cast) for node in cast.nodes)
    find = tag(
        "input", type="search", placeholder="Find nodes…", aria_label="Find nodes", class_="find scripted"
    )
    clear = tag("button", "Clear", type="button", class_="clear scripted", disabled=True)
    hint = tag(
        "span", "Point at a line, or choose nodes here, to follow them through all charts.", class_="scripted"
    )
    head = tag("div", tag("span", _key(cast), class_="key"), find, clear, hint, class_="head")
    return tag("div", head, tag("div", *buttons, class_="chips"), class_="legend by-node")


def _key(cast: Cast) -> Markup:
    if not cast.named:
        return Markup(f"{len(cast.nodes)} nodes")
    named = join([tag("i", class_="swatch named k0"), f"{len(cast.named)} named by a check"])
    others = len(cast.nodes) - len(cast.named)
    return join([named, tag("i", class_="swatch muted"), f"{others} others"]) if others else named


def node_button(node: str, cast: Cast) -> Markup:
    """Return a button that follows a node through all charts."""
    region = cast.regions[node]
    return tag(
        "button",
        tag("i", class_=f"swatch {cast.style(node)}"),
        node,
        tag("small", region) if region else Markup(),
        type="button",
        class_="chip",
        data_n=cast.numbers[node],
        aria_pressed="false",
    )


def _regions(cast: Cast) -> Markup:
    chips = (
        tag("span", tag("i", class_=f"swatch {region_colour(number)}"), region or "all nodes", class_="chip")
        for number, region in enumerate(cast.order)
    )
    hint = tag("span", "Line: median; band: from the least to the greatest node.")
    return tag("div", tag("div", *chips, hint, class_="head"), class_="legend by-region")
