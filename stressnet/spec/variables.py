"""`${NAME}`, `${NAME:-default}` and `$${` in the values of a document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from stressnet.errors import Problem
from stressnet.spec.words import nearest
from stressnet.spec.yamlfile import Scalar, Tree, typed

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_BODY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\Z", re.DOTALL)


def substitute(tree: Tree, environ: Mapping[str, str], problems: list[Problem]) -> Tree:
    """Replace the variables in every scalar; an unquoted one is typed again afterwards."""
    if isinstance(tree.value, dict):
        members = {key: substitute(item, environ, problems) for key, item in tree.value.items()}
        return replace(tree, value=members)
    if isinstance(tree.value, list):
        return replace(tree, value=[substitute(item, environ, problems) for item in tree.value])
    if not isinstance(tree.value, str) or "${" not in tree.value:
        return tree
    text = _Scalar(tree, environ, problems).text(tree.value)
    return replace(tree, value=typed(text) if tree.plain else _quoted(tree.value, text))


def _quoted(written: str, text: str) -> Scalar:
    """Within `{...}` YAML wants quotes around ${NAME}; alone in them it may still be a number."""
    value = typed(text)
    return value if _REFERENCE.fullmatch(written) and isinstance(value, int) else text


class _Scalar:
    def __init__(self, tree: Tree, environ: Mapping[str, str], problems: list[Problem]) -> None:
        self._mark = tree.at
        self._environ = environ
        self._problems = problems

    def text(self, text: str) -> str:
        return _REFERENCE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        body = _BODY.match(match[1]) if match[1] is not None else None
        if body is None:
            return self._refuse(f"{match[0]!r} is not a variable", "${NAME}, ${NAME:-default}, or $${ for ${")
        name, default = body[1], body[2]
        value = self._environ.get(name) or default
        if value is None:
            return self._refuse(
                f"the variable {name} is not set",
                f"set it, or give a default: ${{{name}:-default}}",
                nearest(name, self._environ),
            )
        return value.encode("utf-8", "replace").decode("utf-8")

    def _refuse(self, found: str, allowed: str, near: str = "") -> str:
        mark = self._mark
        self._problems.append(Problem(mark.file, mark.line, mark.column, "", found, allowed, near))
        return ""
