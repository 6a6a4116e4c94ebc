"""What the agent needs from a backend: to hold a node at its gate, to let it go, to enter its namespace.

One implementation a backend: `netns` makes namespaces and processes itself; `docker` answers the gate
programs of containers that the engine made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stressnet.agent.cgroups import Groups
from stressnet.agent.disks import Disks
from stressnet.faults.squeeze import Limits
from stressnet.plan import Plan


class NoSuchNode(LookupError):
    """The net has no node of this name, or the node has no namespace now. An error that says more would be taken for
    it if it were any LookupError."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Events(Protocol):
    """What a runtime tells the supervisor, in the order it happens."""

    def held(self, name: str) -> None:
        """The node stands at its gate: its namespace is fully set up and nothing of it has run."""

    def running(self, name: str, pid: int, began: float) -> None:
        """The node's first instruction ran at `began` (Unix time); also told of nodes found after a restart."""

    def exited(self, name: str, code: int | None, reason: str) -> None:
        """The node's main process ended. `code` is negative for a signal, None where nobody saw it."""

    def refused(self, name: str, why: str) -> None:
        """The namespace is not as the plan says; the gate stays shut."""


class Runtime(Protocol):
    """Holds nodes at their gates and lets them go."""

    disks: Disks
    """The file systems of nodes that have one of their own."""

    async def start(self, plan: Plan, events: Events) -> None:
        """Begin, and report every node that the kernel shows to be held or running already."""

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; nodes that are gone from it have been removed before."""

    async def hold(self, names: Sequence[str]) -> None:
        """Bring these nodes to their gates, where the runtime makes the namespaces itself."""

    async def release(self, name: str) -> None:
        """Let a held node's first instruction run."""

    async def stop(self, name: str) -> None:
        """Send the stop signal, then SIGKILL after the node's time-out; return when it has ended."""

    async def limits_problem(self) -> str:
        """Return why limits cannot be put on nodes here, empty where they can."""

    async def squeeze(self, name: str, limits: Limits) -> None:
        """Let a node have no more than these and its own limits, now and whenever it starts; OSError says why not."""

    async def remove(self, names: Sequence[str]) -> None:
        """Take away all that the runtime made for these nodes."""

    def namespace(self, name: str) -> int:
        """Return a new file descriptor of the node's network namespace; NoSuchNode where there is none."""

    def groups(self, name: str) -> Groups | None:
        """Return the control groups that a node that runs has for itself, None where it has none."""

    async def close(self) -> None:
        """Stop listening; what runs goes on running."""
