"""Who appears in the charts, in which colour: nodes that judgements name stand out, a crowd stays grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stressnet.report.page import Page

COLOURS = 6
"""After those of Okabe and Ito, "Color Universal Design" (2008), which the colour-blind can tell apart."""
FEW = 8
"""So many lines can have a colour and a label of their own."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The nodes of all charts, and how each is drawn."""

    nodes: Sequence[str]
    """Those that stand out first, then by region and name; their place is their number on the page."""
    regions: Mapping[str, str]
    """Node to region."""
    order: Sequence[str]
    """All regions."""
    named: frozenset[str]

    @property
    def numbers(self) -> dict[str, int]:
        """Return the number of each node."""
        return {node: number for number, node in enumerate(self.nodes)}

    @property
    def labelled(self) -> Sequence[str]:
        """Return the nodes with a label of their own beside their lines."""
        if len(self.nodes) <= FEW:
            return self.nodes
        return self.nodes[: len(self.named)] if len(self.named) <= FEW else ()

    @property
    def crowd(self) -> bool:
        """Whether there are many nodes and nothing to tell them apart by but regions."""
        return len(self.nodes) > FEW and not self.named and len(self.order) > 1

    def style(self, node: str) -> str:
        """Return the classes of a node's lines, labels and button."""
        if node in self.named:
            return f"named {colour(self.nodes.index(node))}" if len(self.named) <= FEW else "named many k0"
        if not self.named and len(self.nodes) <= FEW:
            return colour(self.nodes.index(node))
        return "muted"


def colour(number: int) -> str:
    """Return the class of a colour; beyond the last they come again, dashed."""
    return f"k{number % COLOURS}" + (" dashed" if number >= COLOURS else "")


def region_colour(number: int) -> str:
    """Return the class of a region's colour; the first is left to nodes that stand out."""
    return colour(number + 1)


def cast(page: Page) -> Cast:
    """Return who appears on a page."""
    regions = {line.node: line.region for chart in page.charts for line in chart.lines}
    found = set(regions.values())
    order = [region for region in dict.fromkeys(page.regions) if region in found]
    order += sorted(found - set(order))
    complained = {node for check in page.judgements if check.outcome != "pass" for node in check.nodes}
    named = frozenset(complained & set(regions))
    if len(named) == len(regions):  # among all nobody stands out
        named = frozenset()
    nodes = sorted(regions, key=lambda node: (node not in named, order.index(regions[node]), _natural(node)))
    return Cast(nodes, regions, order, named)


def _natural(name: str) -> tuple[str, int, str]:
    """Sort `node-2` before `node-10`."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits) if digits.isascii() and digits else -1, name
