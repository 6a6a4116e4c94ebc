"""A fault of a fault plan held against a net: is there such a fault, has it such parameters, are there such targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stressnet.errors import Problem
from stressnet.faultplan.document import Doing, Step
from stressnet.faults.declared import with_declared
from stressnet.faults.kind import FaultKind
from stressnet.plan import Plan
from stressnet.spec.fault import read_parameters
from stressnet.spec.selectors import Observation, SelectorError, resolve, undrawn
from stressnet.spec.source import Path, Source
from stressnet.spec.targets import Aim, Links, Targets
from stressnet.spec.words import listing, nearest, show

_OPTIONS = {"--from": "from", "--to": "to", "--between": "between", "--on": "on"}
_NOT_NOW = "means no node now"
"""What is observed may be so when the time has come."""


class Against:
    """Holds faults against a net; what is wrong goes to `problems`."""

    def __init__(self, source: Source, plan: Plan, seed: int, problems: list[Problem]) -> None:
        self._source = source
        self._plan = plan
        self._seed = seed
        self.kinds = with_declared(plan.faults)
        self.problems = problems

    def refuse(self, here: Path, found: str, allowed: str, near: str = "") -> None:
        """Note what is wrong at a place of the document."""
        self.problems.append(self._source.problem(here, found, allowed, near))

    def kind(self, here: Path, step: Doing) -> FaultKind | None:
        """Return the kind of fault that a step names."""
        kind = self.kinds.get(step.fault or "")
        if kind is None:
            near = nearest(step.fault or "", self.kinds)
            self.refuse((*here, "fault"), f"there is no fault {show(step.fault)}", listing(self.kinds), near)
        return kind

    def parameters(self, here: Path, kind: FaultKind, step: Doing) -> tuple[str, ...]:
        """Return its parameters, as `name=value`."""
        texts = {f"{key}={written(value)}": key for key, value in (step.model_extra or {}).items()}
        found: list[Problem] = []
        read_parameters(kind, list(texts), found)
        for problem in found:
            key = texts.get(problem.file)
            place = (*here, key) if key else (*here, "fault")
            unknown = key is not None and key not in {one.name for one in kind.parameters}
            near = problem.nearest or (nearest(key, Step.model_fields) if unknown and key else "")
            self.problems.append(
                self._source.problem(place, problem.found, problem.allowed, near, key=unknown)
            )
        return tuple(texts)

    def targets(self, step: Doing) -> Targets:
        """Return its selectors."""
        between = (step.between[0], step.between[1]) if step.between else None
        return Targets(step.source or "", step.target or "", between, step.on or "")

    def aim(self, here: Path, kind: FaultKind, targets: Targets) -> None:
        """Look whether there are such links or nodes, and whether they can have this fault."""
        nodes, links, found = self._aimed(kind, targets, Observation(anything=True))
        surely, _, unseen = self._aimed(kind, targets, Observation())
        amiss = {problem.file for problem in unseen if not problem.found.endswith(_NOT_NOW)}
        for problem in found:
            if problem.found.endswith(_NOT_NOW) or problem.file not in amiss:
                continue  # it is observed when the time has come
            option = _OPTIONS.get(problem.file, "fault")
            allowed = problem.allowed.replace("--", "")
            self.problems.append(
                self._source.problem((*here, option), problem.found, allowed, problem.nearest)
            )
        self._check_able(here, kind, [name for name in nodes if name in surely])
        if kind.layer == "stream" and links and not self._plan.relay:
            allowed = "streams that go through relays (`interpose`, `stressnet install toxiproxy`)"
            self.refuse((*here, "fault"), f"{kind.name} is done to streams by a relay", allowed)

    def _aimed(
        self, kind: FaultKind, targets: Targets, observed: Observation
    ) -> tuple[tuple[str, ...], Links, list[Problem]]:
        found: list[Problem] = []
        aim = Aim(self._plan, observed, self._seed, found)
        if kind.layer in ("packet", "stream"):
            return (), aim.links(kind, targets), found
        return aim.nodes(kind, targets), (), found

    def _check_able(self, here: Path, kind: FaultKind, nodes: Sequence[str]) -> None:
        if kind.layer == "protocol":
            able = {one.node_kind for one in self._plan.faults if one.fault.name == kind.name}
            for name in nodes:
                if self._plan.node(name).kind not in able:
                    found = f"{name} is of a kind that declares no fault {kind.name!r}"
                    self.refuse((*here, "on"), found, f"nodes of the kind {listing(sorted(able))}")
        for name in nodes:
            if kind.name == "disk_full" and not self._plan.node(name).disk:
                self.refuse((*here, "on"), f"{name} has no disk of its own", "nodes with `disk: SIZE`")

    def selector(self, here: Path, selector: str) -> None:
        """Look whether a selector of nodes can mean some."""
        try:
            resolve(selector, self._plan, Observation(anything=True), self._seed)
        except SelectorError as error:
            for one in error.problems:
                self.refuse(here, one.found, one.allowed, one.nearest)

    def port(self, here: Path, name: str | int, selector: str) -> None:
        """Look whether all nodes that a selector can mean, whatever is drawn and seen, have a port of that name."""
        if isinstance(name, int):
            return
        for node in self._all_meant(selector):
            names = [port.name for port in self._plan.node(node).ports]
            if name not in names:
                found = f"{node} has no port {show(name)}"
                self.refuse(here, found, listing(names) or "the number of a port", nearest(name, names))
                return

    def _all_meant(self, selector: str) -> tuple[str, ...]:
        try:
            return resolve(undrawn(selector), self._plan, Observation(anything=True), self._seed)
        except SelectorError:
            return ()

    def named(self, here: Path, selector: str) -> None:
        """Look whether a selector means nodes by the plan alone, whatever is observed."""
        try:
            found = resolve(selector, self._plan, Observation(), self._seed)
        except SelectorError as error:
            for one in error.problems:
                self.refuse(here, one.found, one.allowed, one.nearest)
            return
        if not found:
            said = f"{show(selector)} means nodes by what is observed, which changes"
            self.refuse(here, said, "nodes by the plan, as in us-*, role:validator or any 2 of eu")


def written(value: Any) -> str:
    """Return a value as it would be typed behind `name=`."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
