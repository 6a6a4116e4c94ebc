"""`{name}`, `{port:p2p}`: what a kind may write into commands, files and environment.

Only `{word}` and `{word:argument}` count, so JSON and TOML pass unharmed; `{{word}}` stands for `{word}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "str | int | tuple[str, ...]"
Lookup: TypeAlias = Callable[[str, str], Value]

PER_NODE = frozenset({"name", "index", "kind_index", "address", "node_dir", "knows", "knows_names"})
"""Words whose value differs from node to node of a group."""
PREPARED = frozenset({"prepared", "knows_prepared", "boot_prepared"})
"""Words for what the preparation wrote: known only when files are written, so they mean something only there."""
PER_GROUP = frozenset({"group", "role", "region", "label"})
NET_WIDE = frozenset(
    {"net", "seed", "prepare_dir", "kind_dir", "binary", "count", "first_address", "addresses"}
    | {"port", "boot", "validators", "names", "env"}
)
WORDS = PER_NODE | PER_GROUP | NET_WIDE | PREPARED
ASKED = frozenset({"height"})
"""Words that stay in a plan: they have a value only when the node is asked."""
NEED_ARGUMENT = frozenset({"port", "knows", "boot", "names", "label", "env"}) | PREPARED
MAY_HAVE_ARGUMENT = NEED_ARGUMENT | {"count"}

_VARYING = PER_NODE | PREPARED | {"env"}
"""An environment variable may itself hold words of a node."""
_PATTERN = re.compile(r"\{\{([a-z_]+(?::[A-Za-z0-9_./-]+)?)\}\}|\{([a-z_]+)(?::([A-Za-z0-9_./-]+))?\}")
PREPARED_TOKEN = re.compile(r"\{prepared:([^/{}]+)/([^{}]+)\}")
"""What `prepared_token` makes: a node and a file in its directory."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One word in braces."""

    word: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{{{self.word}:{self.argument}}}" if self.argument else f"{{{self.word}}}"


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut into literal parts and placeholders."""

    parts: tuple[str | Placeholder, ...]
    varies: bool
    """True where its value differs from node to node of a group."""

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """The placeholders in the text, in order."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    def text(self, lookup: Lookup) -> str:
        """Fill in the placeholders; lists are joined with commas."""
        return "".join(part if isinstance(part, str) else _joined(lookup, part) for part in self.parts)

    def value(self, lookup: Lookup) -> Value:
        """Fill in; a text that is exactly one placeholder keeps its type (a number, a list)."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Placeholder):
            return lookup(self.parts[0].word, self.parts[0].argument)
        return self.text(lookup)


def parse(text: str) -> Template:
    """Cut a text into literal parts and placeholders."""
    parts: list[str | Placeholder] = []
    end = 0
    for match in _PATTERN.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(f"{{{match[1]}}}" if match[1] else Placeholder(match[2], match[3] or ""))
        end = match.end()
    parts.append(text[end:])
    kept = tuple(part for part in parts if part)
    return Template(kept, any(isinstance(part, Placeholder) and part.word in _VARYING for part in kept))


def prepared_token(node: str, file: str) -> str:
    """Return what stands in a plan for the text of a file that a preparation has yet to write."""
    return f"{{prepared:{node}/{file}}}"


def _joined(lookup: Lookup, placeholder: Placeholder) -> str:
    value = lookup(placeholder.word, placeholder.argument)
    return ",".join(value) if isinstance(value, tuple) else str(value)
