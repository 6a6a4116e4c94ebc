"""By which steps the row of toxics on a listener becomes another, so that no version of Toxiproxy stops or dies of it.

Toxiproxy changes a row while it holds the listener's lock, and waits meanwhile until each connection's part in the row
lets go (link.go and toxic_collection.go, the same from 2.5.0 to 2.12.0). Three things must not be asked of it:

- to remove a toxic that is not the last. The row of a connection that has ended at this toxic, and not yet behind it,
  stays longer than the listener's, and the next toxic that is added is looked up past its end: the process dies;
- to touch a toxic whose output nobody takes, as in front of a full stall or of a cut that is done: the lock is never
  given back;
- to remove a toxic that holds data for a connection whose other end has gone: it waits 5 s for each piece.

So a toxic is switched off where it stands, by a toxicity of 0, the last one first. Once it is the last one, and what it
held has had time to go, it is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from stressnet.faults.compose import FOREVER_MS, Toxic

_PIECE = 32 * 1024
"""What Toxiproxy reads at once from a connection, bytes (io.Copy of Go): a toxic works on one such piece at a time."""
_TIMER_US = 100
"""What the shortest pause of a Go program takes."""
_SLOW_S = 0.05
"""A toxic that works as long on one piece keeps the one before it waiting; which, free at last, takes up another piece
as often as what is asked of it (Go chooses by chance), so that many pieces may pass until it answers."""
_FAR_S = 0.5
"""A latency as long: only when it holds 1,024 pieces does it take no more, and then it soon lets go of many."""
_ENDERS = frozenset({"limit_data", "reset_peer"})
"""Types that end a connection by themselves, and then take nothing more from what stands before them."""

Row = tuple[Toxic, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked of Toxiproxy about one toxic: to put it at the end, to let it be as it says, or to take it off."""

    verb: Literal["add", "set", "remove"]
    toxic: Toxic


Round = list[Step]


def rounds(row: Sequence[Toxic], wanted: Sequence[Toxic]) -> list[Round]:
    """Return the steps by which a row comes to do what is wanted, none where it does.

    Between two rounds some time must pass, so that what was switched off can let its data go. At the end the row may
    be longer than what is wanted: by toxics that are off, and by some in front of a stall, which do nothing there.
    """
    ways = [
        _rounds([one for one in row if one.stream == stream], [one for one in wanted if one.stream == stream])
        for stream in ("upstream", "downstream")
    ]
    together = ([*up, *down] for up, down in zip_longest(*ways, fillvalue=()))
    return [steps for steps in together if steps]


def after(row: Sequence[Toxic], steps: Iterable[Step]) -> Row:
    """Return what a row is once these steps are done."""
    found = {toxic.name: toxic for toxic in row}
    for step in steps:
        if step.verb == "remove":
            found.pop(step.toxic.name, None)
        else:
            found[step.toxic.name] = step.toxic
    return tuple(found.values())


def idle(row: Sequence[Toxic]) -> set[str]:
    """Return the names of toxics that do nothing: those that are off, and those in front of a stall, which lets
    nothing through."""
    found: set[str] = set()
    for stream in ("upstream", "downstream"):
        way = [toxic for toxic in row if toxic.stream == stream]
        last = max((place for place, toxic in enumerate(way) if _stalls(toxic)), default=0)
        found |= {toxic.name for place, toxic in enumerate(way) if not toxic.toxicity or place < last}
    return found


def _rounds(row: Sequence[Toxic], wanted: Sequence[Toxic]) -> list[Round]:
    """Return the rounds of one direction."""
    stay = _staying(row, wanted)
    found: list[Round] = [[]]
    lifted: dict[int, Toxic] = {}
    settled = False
    for place in reversed(range(len(row))):
        toxic = row[place]
        behind = range(place + 1, len(row))
        if not toxic.toxicity or toxic.name in stay:
            continue
        stalled = any(row[other].name in stay and _stalls(row[other]) for other in behind)
        if stalled and toxic.type not in _ENDERS:
            continue  # whatever it does, nothing gets past the stall; it is switched off after that
        if not stalled and not _stalls(toxic):
            # Connections that have ended behind it must be gone before it is touched.
            ending = any(row[other].type in _ENDERS for other in behind)
            for other in reversed(behind):
                one = row[other]
                if one.name in stay and one.toxicity and other not in lifted and (ending or _slow(one)):
                    lifted[other] = one
                    found[-1].append(_off(one))
                    settled = False
            if ending and not settled:
                found.append([])
                settled = True
        found[-1].append(_off(toxic))
        settled = settled and toxic.type not in _ENDERS and not _stalls(toxic)
    # The first one first: behind it is none then that keeps it waiting.
    for place, toxic in enumerate(row):
        if toxic.name in stay and (place in lifted or stay[toxic.name] != toxic):
            found[-1].append(Step("set", stay[toxic.name]))
    found += _removals(row, stay, [step.toxic.name for steps in found for step in steps])
    found.append([Step("add", toxic) for toxic in wanted if toxic.name not in stay])
    return [steps for steps in found if steps]


def _staying(row: Sequence[Toxic], wanted: Sequence[Toxic]) -> dict[str, Toxic]:
    """Return those of what is wanted that keep their places, by name: whatever is not in the row comes behind them."""
    places = {toxic.name: place for place, toxic in enumerate(row)}
    stay: dict[str, Toxic] = {}
    last = -1
    for toxic in wanted:
        place = places.get(toxic.name, -1)
        if place <= last or row[place].type != toxic.type:
            break
        stay[toxic.name], last = toxic, place
    # Of those that are to come again, each must be removed first, and only the last one can be.
    first = min(
        (places[toxic.name] for toxic in wanted if toxic.name in places.keys() - stay), default=len(row)
    )
    return {name: toxic for name, toxic in stay.items() if places[name] < first}


def _removals(row: Sequence[Toxic], stay: Iterable[str], touched: Sequence[str]) -> Iterable[Round]:
    """Remove what is off at the end of the row."""
    off: Round = []
    for toxic in reversed(row):
        if toxic.name in stay or (toxic.toxicity and toxic.name not in touched):
            break
        off.append(Step("remove", toxic))
    return [off]


def _off(toxic: Toxic) -> Step:
    return Step("set", replace(toxic, toxicity=0.0))


def _stalls(toxic: Toxic) -> bool:
    """Tell whether nothing at all gets through."""
    return toxic.type == "latency" and toxic.toxicity >= 1 and toxic.attributes["latency"] >= FOREVER_MS


def _slow(toxic: Toxic) -> bool:
    """Tell whether a toxic may take nothing for long from the one before it."""
    has = toxic.attributes
    if toxic.type == "latency":
        return (has["latency"] + has["jitter"]) / 1e3 > _FAR_S
    if toxic.type == "bandwidth":
        return _PIECE / (has["rate"] * 1e3) > _SLOW_S
    if toxic.type == "slicer":
        return _PIECE / has["average_size"] * (has["delay"] + _TIMER_US) / 1e6 > _SLOW_S
    return False
