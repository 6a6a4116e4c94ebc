"""Who knows whom at the start: the `links` of a topology over the nodes of a net."""

from __future__ import annotations

from collections.abc import Sequence

from stressnet.compile import graphs
from stressnet.compile.members import Member, dice, select
from stressnet.errors import Problem
from stressnet.spec.links import Links, Random
from stressnet.spec.load import Loaded

FULL_UP_TO = 7
PEER_PORT = "p2p"

Knows = dict[str, tuple[str, ...]]


def acquaint(loaded: Loaded, members: Sequence[Member], seed: int, problems: list[Problem]) -> Knows:
    """Return for each node the names of those it knows at the start, in plan order."""
    links = loaded.topology.links
    if links is not None and links.pairs is not None:
        edges = _pairs(loaded, links, members, problems)
    else:
        peers = peers_of(members)
        near = _shape(loaded, links or default_links(len(peers)), peers, seed, problems)
        edges = {
            pair
            for a, b in near
            for pair in ((peers[a].index, peers[b].index), (peers[b].index, peers[a].index))
        }
    known: list[list[int]] = [[] for _ in members]
    for source, target in sorted(edges):
        known[source].append(target)
    return {member.name: tuple(members[i].name for i in known[member.index]) for member in members}


def default_links(count: int) -> Links:
    """Return the links of a topology that says nothing: a full mesh of a thousand would help nobody."""
    return Links.model_validate({"full": {}} if count <= FULL_UP_TO else {"random": {}})


def peers_of(members: Sequence[Member]) -> list[Member]:
    """Return the nodes that a shape joins: those with a p2p port; everyone where nobody has one."""
    return [member for member in members if PEER_PORT in member.group.ports] or list(members)


def _shape(
    loaded: Loaded, links: Links, peers: Sequence[Member], seed: int, problems: list[Problem]
) -> graphs.Edges:
    n = len(peers)
    if links.full:
        return graphs.full(n)
    if links.ring:
        return graphs.ring(n)
    if links.line:
        return graphs.line(n)
    if links.tree:
        return graphs.tree(n, links.tree.fanout)
    if links.star:
        return graphs.star(n, _centers(loaded, links.star.center, peers, problems))
    return _random(loaded, links.random or Random(), n, seed, problems)


def _centers(loaded: Loaded, center: str, peers: Sequence[Member], problems: list[Problem]) -> list[int]:
    chosen = select(peers, center) if center else list(peers[:1])
    if not chosen:
        problems.append(
            loaded.source.problem(
                ("links", "star", "center"), f"nothing is called {center!r}", "a node, a group or a glob"
            )
        )
    return [position for position, member in enumerate(peers) if member in chosen]


def _random(loaded: Loaded, shape: Random, n: int, seed: int, problems: list[Problem]) -> graphs.Edges:
    degree, found, allowed = shape.degree, "", ""
    if degree >= n:
        found, allowed = f"{degree} of {n} nodes", f"less than the number of nodes, {n}"
    elif n * degree % 2:
        found, allowed = f"{degree} with {n} nodes", "an even degree, or an even number of nodes"
    elif degree == 1 and n > 2:
        found, allowed = f"1 with {n} nodes, which leaves them in pairs", "2 or more"
    if found:
        problems.append(loaded.source.problem(("links", "random", "degree"), found, allowed))
        return set()
    return graphs.random_regular(n, degree, dice(seed, "links"))


def _pairs(
    loaded: Loaded, links: Links, members: Sequence[Member], problems: list[Problem]
) -> set[tuple[int, int]]:
    edges: set[tuple[int, int]] = set()
    for position, pair in enumerate(links.pairs or ()):
        ends = []
        for key, selector in (("from", pair.source), ("to", pair.target)):
            chosen = select(members, selector)
            if not chosen:
                item = 0 if key == "from" else 1
                path = ("links", position, item if pair.both else key)
                found = f"nothing is called {selector!r}"
                problems.append(loaded.source.problem(path, found, "a node, a group or a glob"))
            ends.append(chosen)
        ways = (ends, ends[::-1]) if pair.both else (ends,)
        edges |= {(a.index, b.index) for sources, targets in ways for a in sources for b in targets if a != b}
    return edges
