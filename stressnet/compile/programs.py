"""Which program a node runs, and whether it is there.

Naming programs (`Programs`) only looks names up; `check_programs` is the step that looks at files.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from stressnet.compile.groups import Resolved
from stressnet.errors import InputError, Problem
from stressnet.plan import Backend, Plan
from stressnet.spec.load import Loaded
from stressnet.spec.placeholders import parse

PROGRAM_ROOT = "/run/stressnet/program"
"""Folder in a container where the docker backend puts a local program."""

_WANTED = "a program that can be executed"

Find = Callable[[str], str | None]


def find_program(name: str) -> str | None:
    """Look a bare name up on PATH, then among the programs that stressnet has built itself."""
    found = shutil.which(name)
    if found:
        return os.path.abspath(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stressnet" / "bin"
    return shutil.which(name, path=str(cache))


def absolute(program: str, folder: Path, find: Find) -> str:
    """Return the absolute path of a program; a bare name that is not found stays as it is."""
    if "/" not in program:
        return find(program) or program
    return os.path.normpath(os.path.join(Path.cwd(), folder, os.path.expanduser(program)))


class Programs:
    """Names the program of each group on one backend."""

    def __init__(self, loaded: Loaded, backend: Backend, find: Find) -> None:
        self._loaded = loaded
        self._docker = backend == "docker"
        self._find = find

    def image(self, group: Resolved) -> str:
        """Return the image of a group's nodes; nothing on netns."""
        return (group.settings.image or group.kind.image or "") if self._docker else ""

    def local(self, group: Resolved) -> str:
        """Return the path of the program on this machine: on docker only where the topology gives one."""
        if group.settings.binary:
            return absolute(group.settings.binary, self._folder(group, "binary"), self._find)
        if self._docker:
            return ""
        if group.settings.command and "{binary}" not in group.settings.command[0]:
            return self._first_word(group)
        if group.kind.binary:
            return absolute(group.kind.binary, group.loaded_kind.directory, self._find)
        return self._kind_word(group)

    def inside(self, group: Resolved) -> str:
        """Return what `{binary}` means where the node runs."""
        local = self.local(group)
        if not self._docker:
            return local
        return f"{PROGRAM_ROOT}/{Path(local).name}" if local else self.of_image(group)

    def of_image(self, group: Resolved) -> str:
        """Return the program's name within the kind's own image."""
        binary = group.kind.binary or ""
        return binary if binary.startswith("/") else Path(binary).name

    def command(self, group: Resolved) -> list[str]:
        """Return the command with its placeholders; empty for the image's own."""
        if group.settings.command and not self._docker and self._first_word(group) == self.local(group):
            return [self._first_word(group), *group.settings.command[1:]]
        if group.settings.command:
            return list(group.settings.command)
        if group.kind.command:
            word = self._kind_word(group)
            alone = word and not self._docker and self.local(group) == word
            return [word if alone else group.kind.command[0], *group.kind.command[1:]]
        return ["{binary}"] if self.inside(group) else []

    def _first_word(self, group: Resolved) -> str:
        word = (group.settings.command or [""])[0]
        return absolute(word, self._folder(group, "command"), self._find)

    def _kind_word(self, group: Resolved) -> str:
        """Return the program of a kind that has a command and no binary."""
        folder = group.loaded_kind.directory
        word = (group.kind.command or [""])[0].replace("{kind_dir}", str(folder))
        return "" if not word or parse(word).placeholders else absolute(word, folder, self._find)

    def _folder(self, group: Resolved, key: str) -> Path:
        """Paths are relative to the file that says them; those of `--set` to here."""
        own = key in self._loaded.topology.nodes[group.name].model_fields_set
        path = ("nodes", group.name, key) if own else ("defaults", key)
        file = self._loaded.source.place(path).file
        return Path() if file.startswith("--set ") else Path(file).parent


def check_programs(plan: Plan, loaded: Loaded, install: Mapping[str, Sequence[str]] | None = None) -> None:
    """Raise InputError where a program of the plan is not there or cannot be executed.

    `install` has, by kind, the command that gets its program: a hint.
    """
    fault = cache(_fault)
    problems: dict[Problem, str] = {}
    for node in plan.nodes:
        if (node.binary or plan.backend == "netns") and fault(node.binary):
            problems[_missing(loaded, node.group, fault(node.binary))] = node.kind
    for preparation in plan.preparations if plan.backend == "netns" and not problems else ():
        wrong = fault(preparation.command[0])
        if wrong:
            problems[Problem(loaded.source.file, 0, 0, f"prepare of {preparation.kind}", wrong)] = (
                preparation.kind
            )
    if problems:
        hints = [(install or {}).get(kind) for kind in dict.fromkeys(problems.values())]
        raise InputError(list(problems), hints=[f"get it with: {shlex.join(hint)}" for hint in hints if hint])


def _missing(loaded: Loaded, group: str, fault: str) -> Problem:
    owners = ((("nodes", group), loaded.topology.nodes[group]), (("defaults",), loaded.topology.defaults))
    for key in ("binary", "command"):
        for path, owner in owners:
            if key in owner.model_fields_set:
                return loaded.source.problem((*path, key), fault, _WANTED)
    return loaded.source.problem(("nodes", group), fault, _WANTED, key=True)


def _fault(program: str) -> str:
    if not program:
        return "no program: neither the group nor its kind has a binary or a command"
    if "/" not in program:
        return f"the program {program!r} is not on PATH"
    path = Path(program)
    if path.is_dir():
        return f"{program} is a directory"
    if not path.exists():
        return f"{program} is not there"
    return "" if os.access(path, os.X_OK) else f"{program} is not executable"
