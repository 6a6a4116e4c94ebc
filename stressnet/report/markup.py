"""HTML that is safe by construction: all text is escaped but what was made here.

Node names, log lines and errors come from programs under test and may hold anything.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters, those that turn the direction of writing (CVE-2021-42574), and lone surrogates."""
_BYTES = range(0xDC80, 0xDD00)
"""Bytes that were no UTF-8, as `surrogateescape` reads them."""
_VOID = ("br", "input", "link", "meta")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code - 0xDC00:02x}" if code in _BYTES else f"\\u{code:04x}"


def plain(text: str) -> str:
    """Return text in which every character can be seen and written as UTF-8; line ends and tabs stay."""
    return _UNSEEN.sub(_shown, text.replace("\r\n", "\n"))


def escape(text: str) -> Markup:
    """Return what shows exactly this text, in an element or a quoted attribute; markup as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(plain(text)))


def join(parts: Iterable[str], between: str = "") -> Markup:
    """Return all parts, each escaped unless it is markup."""
    return Markup(escape(between).join(escape(part) for part in parts))


def tag(element: str, /, *children: str, **attributes: str | float | bool | None) -> Markup:
    """Return an element; children are escaped unless they are markup, attributes always.

    `class_` stands for `class`, `data_n` for `data-n`; None and False leave an attribute out.
    """
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    ending = "" if element in _VOID else f"</{element}>"
    return Markup(f"<{element}{words}>{join(children)}{ending}")


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else f"{value:.10g}"
    return f' {name}="{html.escape(plain(text))}"'
