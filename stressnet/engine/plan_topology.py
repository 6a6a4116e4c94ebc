"""From a topology file to a checked plan on a backend that works here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stressnet.compile import check_programs, compile_plan, meaning_of
from stressnet.errors import InputError, UsageError
from stressnet.plan import Backend, Plan
from stressnet.spec.kinds import Kinds, LoadedKind
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
    try:
        loaded = load(file, sets, also=lambda rest: meaning_of(rest, known))
    except InputError:
        from stressnet.faultplan.read import is_fault_plan  # with all checks, which a right file does without

        if is_fault_plan(file):
            hint = f"`stressnet run {file}` brings up the net of a fault plan"
            raise UsageError(f"{file} is a fault plan, and a topology is wanted", hints=(hint,)) from None
        raise
    chosen = choose_backend(backend, loaded, known)
    plan = compile_plan(loaded, known, seed=seed, backend=chosen, relay=relay_of(chosen))
    if check:
        check_programs(plan, loaded, install_hints(plan, known, kinds))
    return plan if ttl_s is None else replace(plan, ttl_s=ttl_s)


def relay_of(backend: Backend) -> str:
    """Return the program that carries streams on a backend, as the agent sees it; empty where there is none."""
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


def _images(loaded: Loaded, kinds: Kinds) -> dict[str, LoadedKind | None]:
    """The images of all groups, with the kind whose own each is; empty where a group has none."""
    images: dict[str, LoadedKind | None] = {}
    topology = loaded.topology
    for group in topology.nodes.values():
        kind = group.kind or topology.defaults.kind
        image = group.image or topology.defaults.image
        own = kinds.load(kind) if kind in kinds.names() else None
        if own and own.kind.image and image in (None, own.kind.image):
            images[own.kind.image] = own
        elif image:
            images[image] = None
        else:
            return {}
    return images


def install_hints(plan: Plan, known: Kinds, folders: Sequence[Path]) -> dict[str, list[str]]:
    """By kind that says how its program is installed, our command that does it."""
    where = [word for folder in folders for word in ("--kinds", str(folder))]
    names = {node.kind for node in plan.nodes if known.load(node.kind).kind.install}
    return {name: ["stressnet", "install", *where, name] for name in names}
