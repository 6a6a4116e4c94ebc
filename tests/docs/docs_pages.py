"""Read the documentation as data: the pages, their links, and their blocks of commands and of YAML.

A comment `<!-- test: ... -->` on the line above a block says how it is run:

    exit N [or M]   every command of the block ends with this exit code, or one of these
    for N [exit M]  the command is interrupted (Ctrl-C) after N seconds, and ends with M; 0 or 130 unless said
    background      the command goes on while the rest of the page is run
    docker          the block needs a Docker engine
    not run: WHY    the block cannot be run here
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
_MARK = re.compile(r"<!-- test: (.*) -->")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PLAIN_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it begins, its language, its lines, and how it is to be run."""

    page: Path
    line: int
    language: str
    lines: tuple[str, ...]
    mark: str

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def commands(self) -> Iterator[str]:
        """Yield the command lines; a backslash at the end of a line joins it to the next."""
        shown = [line[2:] for line in self.lines if line.startswith(("$ ", "> "))]
        typed = "\n".join(shown if self.language == "console" else self.lines)
        for command in typed.replace("\\\n", " ").splitlines():
            if command.strip() and not command.startswith("#"):
                yield command


def pages() -> list[Path]:
    """Return every page of the documentation."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def name(page: Path) -> str:
    """Return a page's name as tests show it."""
    return str(page.relative_to(REPOSITORY))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    language, start, inside, mark = None, 0, [], ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if language is not None:
            if line.startswith("```"):
                yield Block(page, start, language, tuple(inside), mark)
                language, mark = None, ""
            else:
                inside.append(line)
        elif line.startswith("```"):
            language, start, inside = line[3:].strip(), number, []
        elif found := _MARK.fullmatch(line):
            mark = found[1]
        elif line.strip():
            mark = ""


def sort(content: dict[str, Any]) -> str:
    """Tell what a block of YAML is: a fault plan, a topology, a kind, or part of one."""
    if "name" not in content:
        return "part"
    return "fault plan" if "topology" in content else "topology" if "nodes" in content else "kind"


def links(page: Path) -> list[str]:
    """Return the targets of a page's links, without those of code."""
    prose, fenced = [], False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            prose.append(_PLAIN_CODE.sub("", line))
    return _LINK.findall("\n".join(prose))


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
