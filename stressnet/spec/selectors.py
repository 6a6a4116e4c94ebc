"""Which nodes a user means, by name, by what the plan says of them, or by what is observed now.

    SELECTOR   one or more of these, with commas between them:
        NAME, GLOB               a node or a whole group; a glob such as eu-*
        group:X region:X role:X  by what the plan says; X may be a glob
        label:KEY=X              by a label
        all                      every node
        rest                     every node that the other side of the link is not
        peers of NODE            those with a connection to it now, whoever opened it
        fewer than K peers       those known to have fewer
        highest                  all that are at the greatest height
        lagging [by N]           at least N blocks below the greatest height (3, where N is not given)
        any N of SELECTOR        N of them, drawn by the seed; of all that stands to the right
        any P% of SELECTOR       a share of them, at least one

The same seed draws the same nodes, and a larger draw contains every smaller one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256

from stressnet.errors import Problem
from stressnet.plan import Node, Plan
from stressnet.spec.units import QuantityError, parse_percent
from stressnet.spec.words import listing, nearest, show

_ANY = re.compile(r"any +(\S+) +of(?: +(.*))?", re.DOTALL)
_DRAW = re.compile(r"any +\S+ +of +")
_PEERS_OF = re.compile(r"peers +of(?: +(.*))?")
_FEWER = re.compile(r"fewer +than +(\S+) +peers?")
_LAGGING = re.compile(r"lagging(?: +by +(\S+))?")
_LAGS = 3
"""A block takes its time to travel: two blocks behind is in step, as for `status --until synced`."""

_FORMS = (
    "a node, a group, a glob, group:X, region:X, role:X, label:KEY=X, all, rest, peers of NODE, "
    "fewer than K peers, highest, lagging by N, any N of ..."
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of a live net: heights in blocks and numbers of peers by node, and who is connected to whom."""

    heights: Mapping[str, int] = field(default_factory=dict)
    peers: Mapping[str, int] = field(default_factory=dict)
    connected: frozenset[tuple[str, str]] = frozenset()
    """Pairs with an open connection; the first has opened it."""
    anything: bool = False
    """Whether all that can be observed is so of every node: to find out whether a selector can mean any."""


class SelectorError(ValueError):
    """A selector says nothing that there is; carries all that is wrong with it, each without its place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def resolve(
    selector: str,
    plan: Plan,
    observed: Observation,
    seed: int,
    *,
    others: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Return the names of the nodes that a selector means, in plan order.

    `others` are the nodes that `rest` leaves out. What is asked by observation may mean no node; a name, a region
    or the like that matches nothing is a SelectorError.
    """
    reading = _Reading(plan, observed, seed, others)
    try:
        found = reading.selector(selector)
    except RecursionError:
        raise SelectorError([Problem("", 0, 0, "", "draws within draws without end", "fewer")]) from None
    if reading.problems:
        raise SelectorError(reading.problems)
    return tuple(node.name for node in plan.nodes if node.name in found)


def is_rest(selector: str) -> bool:
    """Tell whether a selector needs to know the other side."""
    return any(item.split()[-1:] == ["rest"] for item in selector.split(","))


def asks_connections(selector: str) -> bool:
    """Tell whether a selector needs to know who is connected to whom."""
    return any(_PEERS_OF.search(item) for item in selector.split(","))


def undrawn(selector: str) -> str:
    """Return the selector of all nodes that this one may draw."""
    return _DRAW.sub("", selector)


class _Reading:
    """One selector being resolved, and what is wrong with it."""

    def __init__(self, plan: Plan, observed: Observation, seed: int, others: Collection[str] | None) -> None:
        self._plan = plan
        self._everyone = frozenset(node.name for node in plan.nodes)
        self._observed = observed
        self._seed = seed
        self._others = others
        self.problems: list[Problem] = []

    def selector(self, text: str) -> frozenset[str]:
        found: set[str] = set()
        while not (draw := _ANY.fullmatch(text.strip())):
            item, comma, text = text.partition(",")
            found |= self._item(item.strip())
            if not comma:
                return frozenset(found)
        return self._drawn(draw[1], draw[2] or "", text.strip()) | found

    def _item(self, item: str) -> frozenset[str]:
        if not item:
            return self._refuse("nothing where a selector belongs", _FORMS)
        if item == "all":
            return self._everyone
        if item == "rest":
            if self._others is None:
                return self._refuse(
                    "'rest' without another side", "rest on one side of a link, nodes on the other"
                )
            return self._everyone.difference(self._others)
        if item == "highest":
            return self._at_height(lambda lag: lag == 0)
        if found := _LAGGING.fullmatch(item):
            by = self._whole(found[1], item, "lagging by 5") if found[1] else _LAGS
            return self._at_height(lambda lag: lag >= by)
        if found := _FEWER.fullmatch(item):
            most = self._whole(found[1], item, "fewer than 3 peers")
            if self._observed.anything:
                return self._everyone
            return frozenset(name for name, count in self._observed.peers.items() if count < most)
        if found := _PEERS_OF.fullmatch(item):
            return self._peers_of((found[1] or "").strip())
        return self._by_plan(item)

    def _at_height(self, wanted: Callable[[int], bool]) -> frozenset[str]:
        if self._observed.anything:
            return self._everyone
        heights = self._observed.heights
        top = max(heights.values(), default=0)
        return frozenset(name for name, height in heights.items() if wanted(top - height))

    def _peers_of(self, name: str) -> frozenset[str]:
        if name not in self._everyone:
            return self._refuse(
                f"no node is called {show(name)}", self._listed("node"), nearest(name, self._everyone)
            )
        if self._observed.anything:
            return self._everyone - {name}
        pairs = self._observed.connected
        return frozenset(a if b == name else b for a, b in pairs if name in (a, b)) - {name}

    def _by_plan(self, item: str) -> frozenset[str]:
        sort, colon, pattern = item.partition(":")
        if not colon:
            return self._named(item)
        if sort == "label":
            return self._labelled(pattern)
        if sort not in _SORTS:
            sorts = (*_SORTS, "label")
            return self._refuse(
                f"{show(item)} begins with an unknown word",
                listing(f"{one}:" for one in sorts),
                nearest(sort, sorts),
            )
        return self._matching(pattern, sort, f"{sort}:", _SORTS[sort])

    def _named(self, item: str) -> frozenset[str]:
        exact = {node.name for node in self._plan.nodes if item in (node.name, node.group)}
        found = exact or {
            node.name
            for node in self._plan.nodes
            if fnmatchcase(node.name, item) or fnmatchcase(node.group, item)
        }
        if found:
            return frozenset(found)
        if " " in item:
            return self._refuse(f"{show(item)} is no selector", _FORMS)
        for sort, of in _SORTS.items():
            if item in map(of, self._plan.nodes):
                return self._refuse(
                    f"no node or group is called {show(item)}", self._listed("group"), f"{sort}:{item}"
                )
        names = (
            *(node.group for node in self._plan.nodes),
            *self._everyone,
            "highest",
            "lagging",
            "all",
            "rest",
        )
        return self._refuse(
            f"no node or group is called {show(item)}", self._listed("group"), nearest(item, names)
        )

    def _matching(self, pattern: str, what: str, prefix: str, of: Callable[[Node], str]) -> frozenset[str]:
        found = frozenset(
            node.name for node in self._plan.nodes if of(node) and fnmatchcase(of(node), pattern)
        )
        if found:
            return found
        values = list(dict.fromkeys(of(node) for node in self._plan.nodes if of(node)))
        near = nearest(pattern, values)
        allowed = listing(prefix + value for value in values) or f"a net with a {what}"
        return self._refuse(f"no node has the {what} {show(pattern)}", allowed, near and prefix + near)

    def _labelled(self, text: str) -> frozenset[str]:
        key, sign, value = text.partition("=")
        keys = dict.fromkeys(key for node in self._plan.nodes for key in node.labels)
        if not sign:
            return self._refuse(f"'label:{text}' without a value", "label:KEY=VALUE")
        if key not in keys:
            allowed = listing(f"label:{one}=…" for one in keys) or "a net with labels"
            near = nearest(key, keys)
            return self._refuse(f"no node has a label {show(key)}", allowed, near and f"label:{near}={value}")
        return self._matching(value, f"label {key}", f"label:{key}=", lambda node: node.labels.get(key, ""))

    def _drawn(self, amount: str, rest: str, text: str) -> frozenset[str]:
        known = len(self.problems)
        everyone = self.selector(rest)
        if amount.endswith("%"):
            count = self._share(amount, len(everyone), text)
        else:
            count = self._whole(amount, text, "any 3 of eu")
            if count > len(everyone) and len(self.problems) == known:
                return self._refuse(f"{show(text)} draws from {len(everyone)}", f"at most {len(everyone)}")
        return frozenset(sorted(everyone, key=self._place)[:count])

    def _place(self, name: str) -> bytes:
        return sha256(f"{self._seed}:{name}".encode()).digest()

    def _share(self, amount: str, count: int, text: str) -> int:
        try:
            share = parse_percent(amount)
        except QuantityError as error:
            self._refuse(f"{show(text)}: {error.found}", "0% to 100%, as in any 20% of eu")
            return 0
        return max(1, int(share * count + 0.5)) if share else 0

    def _whole(self, text: str, item: str, example: str) -> int:
        if text.isdecimal() and text.isascii() and int(text[:18]) > 0:
            return int(text[:18])
        self._refuse(f"{show(item)} has {show(text)} where a number belongs", f"1 or more, as in {example}")
        return 0

    def _listed(self, sort: str) -> str:
        names = dict.fromkeys(node.name if sort == "node" else node.group for node in self._plan.nodes)
        return listing(names) + ("" if sort == "node" else ", their nodes, or a glob such as eu-*")

    def _refuse(self, found: str, allowed: str, near: str = "") -> frozenset[str]:
        self.problems.append(Problem("", 0, 0, "", found, allowed, near))
        return frozenset()


_SORTS: Mapping[str, Callable[[Node], str]] = {
    "group": lambda node: node.group,
    "region": lambda node: node.region,
    "role": lambda node: node.role,
}
