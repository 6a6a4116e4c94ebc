"""What a fault is done to: the directed links, or the nodes, that its selectors mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stressnet.errors import Problem
from stressnet.faults.kind import FaultKind
from stressnet.plan import Plan
from stressnet.spec.selectors import Observation, SelectorError, asks_connections, is_rest, resolve

Links = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Targets:
    """Selectors as users write them; "" where nothing was said."""

    source: str = ""
    """`--from`: whose data; default: all."""
    target: str = ""
    """`--to`: data to whom; default: all."""
    between: tuple[str, str] | None = None
    """`--between`: links both ways."""
    on: str = ""
    """`--on`: which nodes."""

    def written(self) -> Iterator[tuple[str, str]]:
        """Yield each selector that was given, behind its option."""
        first, second = self.between or ("", "")
        options = ("--from", "--to", "--between", "--between", "--on")
        selectors = (self.source, self.target, first, second, self.on)
        return (pair for pair in zip(options, selectors, strict=True) if pair[1])

    def words(self) -> list[str]:
        """Return them as they would be typed."""
        typed = [word for pair in self.written() if pair[0] != "--between" for word in pair]
        return [*typed, "--between", *self.between] if self.between else typed

    def asks_connections(self) -> bool:
        """Tell whether it must be known who is connected to whom."""
        return any(asks_connections(selector) for _, selector in self.written())


class Aim:
    """Finds what selectors mean in one net at one moment; what is wrong with them goes to `problems`."""

    def __init__(self, plan: Plan, observed: Observation, seed: int, problems: list[Problem]) -> None:
        self._plan = plan
        self._observed = observed
        self._seed = seed
        self._problems = problems

    def check(self, targets: Targets) -> None:
        """Find what is wrong with selectors where it is not known what they are for."""
        for option, selector in targets.written():
            self._resolve(option, selector, ())

    def nodes(self, kind: FaultKind, targets: Targets) -> tuple[str, ...]:
        """Return the nodes that a fault on nodes is done to."""
        for option, _ in targets.written():
            if option != "--on":
                self._problem(option, f"{kind.name} is done to nodes", "--on SELECTOR")
        if not targets.on:
            self._problem(kind.name, "which nodes is not said", "--on SELECTOR")
            return ()
        return self._resolve("--on", targets.on)

    def links(self, kind: FaultKind, targets: Targets) -> Links:
        """Return the directed links that a fault on links is done to: of a node to itself there is none."""
        before = len(self._problems)
        if targets.on:
            self._problem("--on", f"{kind.name} is done to links", "--from, --to or --between")
        if targets.between is not None:
            if targets.source or targets.target:
                self._problem("--between", "together with --from or --to", "one of the two ways")
            near, far = self._sides("--between", "--between", *targets.between)
            pairs = {(a, b) for one, two in ((near, far), (far, near)) for a in one for b in two if a != b}
            option = "--between"
        else:
            near, far = self._sides("--from", "--to", targets.source or "all", targets.target or "all")
            pairs = {(a, b) for a in near for b in far if a != b}
            option = "--from" if targets.source else "--to"
        if not pairs and len(self._problems) == before:
            self._problem(
                option, "no link: both sides are the same node", "two sides that differ in a node at least"
            )
        place = {node.name: node.index for node in self._plan.nodes}
        return tuple(sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]])))

    def _sides(
        self, near_option: str, far_option: str, near: str, far: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Resolve the side that says `rest` last, as the rest of the other."""
        if is_rest(near) and not is_rest(far):
            beyond = self._resolve(far_option, far)
            return self._resolve(near_option, near, beyond), beyond
        here = self._resolve(near_option, near)
        return here, self._resolve(far_option, far, here)

    def _resolve(self, option: str, selector: str, others: tuple[str, ...] | None = None) -> tuple[str, ...]:
        try:
            found = resolve(selector, self._plan, self._observed, self._seed, others=others)
        except SelectorError as error:
            self._problems += [replace(problem, file=option) for problem in error.problems]
            return ()
        if not found:
            self._problem(option, f"{selector!r} means no node now", "at least one")
        return found

    def _problem(self, place: str, found: str, allowed: str) -> None:
        self._problems.append(Problem(place, 0, 0, "", found, allowed))
