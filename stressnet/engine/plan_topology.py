"""From a topology file to a checked plan on a backend that works here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stressnet.compile import check_programs, compile_plan, meaning_of
from stressnet.plan import Backend, Plan
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import Loaded, load


def plan_topology(
    file: Path,
    *,
    sets: Sequence[str] = (),
    kinds: Sequence[Path] = (),
    seed: int | None = None,
    backend: str = "auto",
    ttl_s: float | None = None,
    check: bool = True,
) -> Plan:
    """Return the plan of a topology; InputError with every problem. `check`: its programs must be there."""
    known = Kinds(kinds)
    loaded = load(file, sets, also=lambda rest: meaning_of(rest, known))
    chosen = choose_backend(backend, loaded, known)
    plan = compile_plan(loaded, known, seed=seed, backend=chosen, relay=_relay(chosen))
    if check:
        check_programs(plan, loaded, _install_hints(plan, known, kinds))
    return plan if ttl_s is None else replace(plan, ttl_s=ttl_s)


def _relay(backend: Backend) -> str:
    from stressnet.images import relay

    if backend == "docker":
        return relay.IN_IMAGE
    found = relay.find()
    return str(found) if found else ""


def choose_backend(asked: str, loaded: Loaded, kinds: Kinds) -> Backend:
    """Return the backend asked for; for "auto", docker where an engine has the images of all nodes."""
    if asked == "docker":
        return "docker"
    if asked == "auto":
        images = _images(loaded, kinds)
        if images:
            from stressnet.backends.docker import has_images

            if has_images(images):
                return "docker"
    return "netns"


def _images(loaded: Loaded, kinds: Kinds) -> set[str]:
    """The images of all groups, empty where one has none."""
    images = set()
    topology = loaded.topology
    for group in topology.nodes.values():
        kind = group.kind or topology.defaults.kind
        image = group.image or topology.defaults.image
        if not image and kind in kinds.names():
            image = kinds.load(kind).kind.image
        if not image:
            return set()
        images.add(image)
    return images


def _install_hints(plan: Plan, known: Kinds, folders: Sequence[Path]) -> dict[str, list[str]]:
    """By kind that says how its program is installed, our command that does it."""
    where = [word for folder in folders for word in ("--kinds", str(folder))]
    names = {node.kind for node in plan.nodes if known.load(node.kind).kind.install}
    return {name: ["stressnet", "install", *where, name] for name in names}
