"""From a topology to a plan: a pure function of (topology, kinds, seed, backend)."""

from __future__ import annotations

from collections.abc import Sequence

from stressnet.compile.acquaintance import acquaint
from stressnet.compile.agreement import disagreements
from stressnet.compile.faults import clashing_faults, faults_of
from stressnet.compile.groups import Resolved, Resolver, name_clashes
from stressnet.compile.latencies import latencies_of
from stressnet.compile.members import Member, capacity, default_subnet, gateway, number
from stressnet.compile.nodes import render
from stressnet.compile.prepare import preparation, unsettled
from stressnet.compile.programs import Find, Programs, check_programs, find_program
from stressnet.compile.relays import relay_for
from stressnet.compile.scope import KindScope, Net
from stressnet.compile.starts import starts_of
from stressnet.errors import InputError, Problem
from stressnet.plan import Backend, Latency, Plan, Sampling
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import Loaded
from stressnet.spec.topology import MAX_NODES

__all__ = ["check_programs", "compile_plan", "find_program", "meaning_of"]


def compile_plan(
    loaded: Loaded,
    kinds: Kinds | None = None,
    *,
    seed: int | None = None,
    backend: Backend = "netns",
    find: Find = find_program,
    relay: str | None = None,
) -> Plan:
    """Decide everything that `up` will do. Raises InputError with every problem that was found.

    `seed` takes the place of the topology's; `find` looks up programs that are given by a bare name; `relay` is
    the program that carries streams, as the agent sees it, empty where there is none.
    """
    topology = loaded.topology
    groups, latencies, problems = _settle(loaded, kinds or Kinds(), backend)
    problems += name_clashes(loaded)
    _check_size(loaded, problems)
    if len(groups) < len(topology.nodes) or _node_count(loaded) > MAX_NODES:
        raise InputError(_once(problems))
    seed = topology.seed if seed is None else seed
    subnet = _subnet(loaded)
    members = number(groups, subnet)
    knows = acquaint(loaded, members, seed, problems)
    starts = starts_of(loaded, groups, members, problems)
    if problems:
        raise InputError(_once(problems))
    programs = Programs(loaded, backend, find)
    scopes = _scopes(members, Net(topology.name, seed, backend), programs, backend)
    preparations = [preparation(scope, scope.members, programs, backend, find) for scope in scopes.values()]
    nodes = render(members, knows, scopes, programs, starts)
    carrier, notes = relay_for(topology, nodes, backend, relay)
    return Plan(
        net=topology.name,
        seed=seed,
        backend=backend,
        subnet=subnet,
        gateway=gateway(subnet),
        egress=topology.egress,
        relay=carrier,
        ttl_s=topology.ttl or 0.0,
        nodes=nodes,
        latencies=latencies,
        preparations=tuple(one for one in preparations if one),
        faults=faults_of(groups),
        sampling=Sampling(topology.sampling.every, topology.sampling.closely, topology.sampling.keep),
        warnings=(*_warnings(loaded, groups), *notes),
    )


def meaning_of(loaded: Loaded, kinds: Kinds | None = None, backend: Backend = "netns") -> Sequence[Problem]:
    """Return what is wrong with a topology, or with what is left of it: for `load(also=...)`."""
    try:
        compile_plan(loaded, kinds, backend=backend, find=lambda _: None)
    except InputError as error:
        return error.problems
    return ()


def _settle(
    loaded: Loaded, kinds: Kinds, backend: Backend
) -> tuple[list[Resolved], tuple[Latency, ...], list[Problem]]:
    resolver = Resolver(loaded, kinds)
    groups = resolver.groups()
    problems = resolver.problems
    latencies = latencies_of(loaded, problems)
    for group in groups:
        problems += disagreements(group, resolver, backend)
    problems += unsettled(groups, resolver)
    problems += clashing_faults(groups, resolver)
    return groups, latencies, problems


def _scopes(
    members: Sequence[Member], net: Net, programs: Programs, backend: Backend
) -> dict[str, KindScope]:
    scopes = {}
    for kind in dict.fromkeys(member.group.kind.name for member in members):
        alike = [member for member in members if member.group.kind.name == kind]
        first = alike[0].group
        binary = programs.of_image(first) if backend == "docker" else programs.local(first)
        scopes[kind] = KindScope(net, alike, binary)
    return scopes


def _node_count(loaded: Loaded) -> int:
    return sum(group.count or 1 for group in loaded.topology.nodes.values())


def _subnet(loaded: Loaded) -> str:
    return loaded.topology.subnet or default_subnet(loaded.topology.name, _node_count(loaded))


def _check_size(loaded: Loaded, problems: list[Problem]) -> None:
    count, room = _node_count(loaded), capacity(_subnet(loaded))
    if count > MAX_NODES:
        problems.append(loaded.source.problem(("nodes",), f"{count} nodes", f"at most {MAX_NODES}", key=True))
    if count > room:
        found = f"{_subnet(loaded)} has addresses for {room} nodes, not for {count}"
        problems.append(loaded.source.problem(("subnet",), found, "a larger network, such as 10.77.0.0/16"))


def _warnings(loaded: Loaded, groups: Sequence[Resolved]) -> list[str]:
    warnings = []
    if loaded.topology.egress:
        warnings.append("egress: nodes reach the internet; a real client may meet its real network")
    regions = loaded.topology.regions
    empty = [name for name in regions if not any(group.settings.region == name for group in groups)]
    warnings += [f"the region {name!r} has no nodes" for name in empty]
    warnings += [
        f"the disk of {group.name} lies in memory: a node that fills it goes over its limit of memory before"
        for group in groups
        if group.settings.disk and group.settings.memory and group.settings.disk >= group.settings.memory
    ]
    return warnings


def _once(problems: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))
