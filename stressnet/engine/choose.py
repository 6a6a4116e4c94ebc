"""Which backend: the one asked for, or the best that works here."""

from __future__ import annotations

from collections.abc import Sequence

from stressnet import state
from stressnet.backends.base import Backend, FoundNet
from stressnet.errors import UsageError

BACKENDS = ("netns", "docker")


def backend_for(name: str, net: str) -> Backend:
    """Return a net's backend by the backend's name."""
    if name == "docker":
        from stressnet.backends.docker import DockerBackend

        return DockerBackend(net)
    from stressnet.backends.netns import NetnsBackend

    return NetnsBackend(net)


def found_nets(backends: Sequence[str] = BACKENDS, *, patient: bool = False) -> list[FoundNet]:
    """Return the nets of these backends, where they answer, by name.

    `patient`: wait for an engine that is busy; EnvironmentProblem where it does not answer even then.
    """
    found: list[FoundNet] = []
    for name in backends:
        found += _asked(name, patient=patient)
    return sorted(found, key=lambda net: (net.name, net.backend))


def _asked(backend: str, *, patient: bool) -> list[FoundNet]:
    if backend == "docker":
        from stressnet.backends import docker

        return docker.found_nets(patient=patient)
    from stressnet.backends import netns

    return netns.found_nets()


def nets_called(name: str, backends: Sequence[str] = BACKENDS) -> list[FoundNet]:
    """Return the nets of a name. A net that is registered here is asked for where it is: an engine is slow to ask."""
    plan = state.read_plan(name)
    at_home = [net for net in found_nets((plan.backend,)) if net.name == name] if plan else []
    return at_home or [net for net in found_nets(backends) if net.name == name]


def the_net(name: str | None) -> FoundNet:
    """Return the net of that name, or the only one; UsageError where that does not say which."""
    if name is not None:
        found = nets_called(name)
        if found:
            return found[0]
    nets = found_nets()
    if name is not None:
        known = ", ".join(net.name for net in nets if net.complete) or "none"
        raise UsageError(f"there is no net {name!r}; nets that are up: {known}")
    if not nets:
        raise UsageError("no net is up", hints=("`stressnet up topology.yaml` brings one up",))
    whole = [net for net in nets if net.complete] or nets
    if len(whole) > 1:
        raise UsageError(
            f"several nets are up: {', '.join(f'{net.name} ({net.backend})' for net in whole)}",
            hints=(
                f"say which: `stressnet status {whole[0].name}`, and with most other verbs `--net {whole[0].name}`",
            ),
        )
    return whole[0]


def live_backend(name: str | None) -> tuple[FoundNet, Backend]:
    """Return a net that is up, with its backend."""
    net = the_net(name)
    if not net.complete and net.busy:
        raise UsageError(f"net {net.name!r} is being made or removed by another command right now")
    if not net.complete:
        raise UsageError(
            f"net {net.name!r} is not whole: only remains of it are left",
            hints=(f"`stressnet down {net.name}` removes them",),
        )
    return net, backend_for(net.backend, net.name)
