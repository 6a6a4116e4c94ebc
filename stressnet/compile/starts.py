"""When each group starts, and that no group waits for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stressnet.compile.groups import Resolved
from stressnet.compile.members import Member, select
from stressnet.errors import Problem
from stressnet.plan import Start
from stressnet.spec.load import Loaded
from stressnet.spec.words import listing, nearest


def starts_of(
    loaded: Loaded, groups: Sequence[Resolved], members: Sequence[Member], problems: list[Problem]
) -> dict[str, Start]:
    """Return the start of every group by name."""
    starts: dict[str, Start] = {}
    waits: dict[str, set[str]] = {}
    for group in groups:
        others = _others(loaded, group, groups, members, problems)
        asked = group.settings.start
        height = (asked.height if asked else None) or 0
        after = (asked.after if asked else None) or 0.0
        starts[group.name] = Start(after, height, tuple(member.name for member in others))
        waits[group.name] = {member.group.name for member in others}
    problems += _circles(loaded, waits)
    return starts


def _others(
    loaded: Loaded,
    group: Resolved,
    groups: Sequence[Resolved],
    members: Sequence[Member],
    problems: list[Problem],
) -> list[Member]:
    chosen: dict[str, Member] = {}
    path = ("nodes", group.name, "start", "of")
    for selector in (group.settings.start.of if group.settings.start else None) or ():
        found = select(members, selector)
        names = [other.name for other in groups]
        if not found:
            message = f"nothing is called {selector!r}"
            problems.append(loaded.source.problem(path, message, listing(names), nearest(selector, names)))
        for kind in dict.fromkeys(member.group.kind.name for member in found if not member.group.kind.height):
            message = f"{selector!r} has nodes of the kind {kind}, which tells no height"
            problems.append(loaded.source.problem(path, message, "nodes of a kind with `height`"))
        chosen |= {member.name: member for member in found}
    return sorted(chosen.values(), key=lambda member: member.index)


def _circles(loaded: Loaded, waits: Mapping[str, set[str]]) -> list[Problem]:
    """A group that waits, through others, for itself never starts; one problem a circle."""
    problems: list[Problem] = []
    done: set[str] = set()
    for name in waits:
        chain = _chain(name, name, waits, ())
        if chain and name not in done:
            done.update(chain)
            words = " waits for ".join(repr(one) for one in (*chain, name))
            path = ("nodes", name, "start")
            problems.append(loaded.source.problem(path, f"a circle: {words}", "a start that can come"))
    return problems


def _chain(at: str, goal: str, waits: Mapping[str, set[str]], seen: tuple[str, ...]) -> tuple[str, ...]:
    for other in sorted(waits.get(at, ())):
        if other == goal:
            return (*seen, at)
        if other not in seen and other != at:
            found = _chain(other, goal, waits, (*seen, at))
            if found:
                return found
    return ()
