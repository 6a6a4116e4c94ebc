"""Names of steps: what each is called, and whether what one says of another can be."""

from __future__ import annotations

import re

from stressnet.faultplan.against import Against
from stressnet.faultplan.document import FaultPlan, Step
from stressnet.spec.source import Path
from stressnet.spec.words import listing, nearest, show

_DRAWN = re.compile(r"random-\d+")


class Names:
    """The names of one plan's steps; what is wrong with them is noted by `against`."""

    def __init__(self, document: FaultPlan, against: Against) -> None:
        self._steps = document.timeline
        self._draws = document.random is not None
        self._given = {step.name: step for step in document.timeline if step.name}
        self._against = against
        self._counts: dict[str, int] = {}

    def of(self, step: Step) -> str:
        """Return what a step is called: as it says, or after what it does, with a number from the second on.

        Draws follow from names, so a name that is free stays what it is.
        """
        if step.name:
            return step.name
        base = step.fault or ("load" if step.load else "heal" if step.heal else "mark")
        while True:
            self._counts[base] = count = self._counts.get(base, 0) + 1
            name = base if count == 1 else f"{base}-{count}"
            if self._may_be_drawn(name):  # a kind may declare a fault that it calls `random`
                name = f"fault-{name}"
            if name not in self._given:
                return name

    def check(self) -> None:
        """Look whether each name is given once, and whether steps wait for each other."""
        seen = set()
        for number, step in enumerate(self._steps):
            here: Path = ("timeline", number)
            if step.name in seen:
                self._against.refuse((*here, "name"), f"{step.name!r} again", "each name once")
            if step.name and self._may_be_drawn(step.name):
                found = f"{step.name!r}, as a step is called that is drawn"
                self._against.refuse((*here, "name"), found, "another name")
            if step.name and step.after and self._waits_for_itself(step):
                self._against.refuse((*here, "after"), f"{step.name} waits for itself", "a step before it")
            if step.name:
                seen.add(step.name)

    def after(self, here: Path, name: str) -> None:
        """Look whether a step can come after that one."""
        self._known(here, name)
        if name in self._given and self._given[name].every is not None:
            found = f"{show(name)} is done again and again, so nobody knows which is meant"
            self._against.refuse(here, found, "a step without `every`")

    def heal(self, here: Path, name: str) -> None:
        """Look whether that step is one that can be healed."""
        self._known(here, name)
        if name in self._given and not self._lasts(self._given[name]):
            lasting = listing(one for one, step in self._given.items() if self._lasts(step))
            allowed = lasting or "the `name` of a step with a fault that lasts, of which there are none"
            self._against.refuse(here, f"{show(name)} is no fault that lasts", allowed)

    def _known(self, here: Path, name: str) -> None:
        if name not in self._given:
            allowed = listing(self._given) or "the `name` of a step, of which there are none"
            self._against.refuse(here, f"no step is called {show(name)}", allowed, nearest(name, self._given))

    def _lasts(self, step: Step) -> bool:
        """A fault that nobody knows is refused where it stands."""
        kind = self._against.kinds.get(step.fault or "")
        return step.fault is not None and not (kind and kind.momentary)

    def _waits_for_itself(self, step: Step) -> bool:
        passed, name = set[str](), step.after
        while name and name != step.name and name not in passed:
            passed.add(name)
            name = self._given[name].after if name in self._given else None
        return name == step.name

    def _may_be_drawn(self, name: str) -> bool:
        return self._draws and _DRAWN.fullmatch(name) is not None
