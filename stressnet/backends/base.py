"""What the engine needs from a backend, on the controller's side of the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stressnet.agent.protocol import Connection
from stressnet.plan import Node, Plan, Preparation

Progress = Callable[[str, int], None]
"""Called with the name of a step and how many nodes have passed it."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What engine or kernel say of a node's process.

    `exit_code` as the engine writes it: above 128 it may be the program's own, or 128 and the number of a signal.
    """

    running: bool
    exit_code: int | None = None
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class FoundNet:
    """A net that engine or kernel show to exist, whole or in parts."""

    name: str
    backend: str
    nodes: int
    complete: bool
    """Whether an agent answers for it; False: only remains are left."""
    created_at: float
    """Unix time, 0 where unknown."""
    expires_at: float
    """Unix time, 0 for never."""
    busy: bool
    """Whether a command is making, changing or removing it right now."""


class Backend(Protocol):
    """One net on one backend."""

    name: str

    async def reach(self) -> None:
        """Return if what runs nodes answers; EnvironmentProblem says why not. Nothing is made."""

    async def open(self, plan: Plan) -> None:
        """Make the place of the net: its world or network, and an agent that answers."""

    async def replan(self, plan: Plan) -> None:
        """Tell an open net's agent and name service of a changed plan."""

    async def create(self, plan: Plan, nodes: Sequence[Node], progress: Progress) -> None:
        """Make these nodes with the files staged for them, each held at its gate."""

    async def keep(self) -> None:
        """Let the net outlive this program; before, a backend may take the program's end for the net's."""

    async def connect(self) -> Connection:
        """Return a connection to the net's agent; AgentError where none answers."""

    def keeping(self) -> AbstractAsyncContextManager[None]:
        """Within it, connections serve again where making one is dear: for programs that ask again and again."""

    async def fates(self) -> Mapping[str, Fate]:
        """Return what engine or kernel say of each node's process."""

    async def remove(self, names: Sequence[str]) -> None:
        """Remove these nodes with all that is theirs."""

    async def destroy(self, *, data: bool = False) -> None:
        """Remove everything of the net, also of a half-made one, and also twice; kept data only if `data`."""

    async def prepare(self, preparation: Preparation, directory: Path) -> None:
        """Run a kind's net-wide command with no network; what it writes lands in `directory`."""

    def logs(self, name: str, *, follow: bool, tail: int | None, since: str = "") -> AsyncIterator[bytes]:
        """Yield the lines that the node wrote, oldest first, without their ends; `since` is a place of `log_end`."""

    def log_end(self, name: str) -> str:
        """Return the place where what a node writes from now on will begin."""

    async def execute(self, name: str, command: Sequence[str]) -> int:
        """Run a command in the node's place with this terminal's input and output; return its exit code."""
