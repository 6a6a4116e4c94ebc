"""The report of a run as one HTML file that needs no network and asks for none."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from importlib import resources
from urllib.parse import quote

from stressnet.report import sections
from stressnet.report.cast import cast
from stressnet.report.markup import Markup, join, tag
from stressnet.report.page import Outcome, Page
from stressnet.report.signs import symbols
from stressnet.report.timeline import timeline

_ICONS: dict[Outcome, tuple[str, str]] = {
    "pass": ("#00795c", "M16 2a14 14 0 1 0 .1 0z"),
    "fail": ("#c23b0e", "M10 2h12l8 8v12l-8 8h-12l-8-8v-12z"),
    "inconclusive": ("#8a6200", "M4 1h24l3 3v24l-3 3h-24l-3-3v-24z"),
}


_RANK: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


def render(page: Page) -> str:
    """Return the page as HTML, to be written as UTF-8. It works without its script, which adds pointing and filters."""
    page = replace(page, judgements=sorted(page.judgements, key=lambda check: _RANK.index(check.outcome)))
    who = cast(page)
    style, script = _file("page.css"), _file("page.js")
    body = (
        symbols(),
        tag("button", "Dark or light", type="button", class_="theme scripted"),
        tag(
            "main",
            sections.verdict(page),
            timeline(page, who),
            sections.checks(page, who),
            sections.effects(page),
            sections.journal(page),
            sections.evidence(page),
        ),
        tag("footer", "Written by stressnet. This file is complete in itself and loads nothing."),
        tag("div", id="tip", role="status"),
        tag("script", script),
    )
    return Markup("<!DOCTYPE html>\n") + tag(
        "html", _head(page, style, script), tag("body", *body), lang="en"
    )


def _file(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath(name).read_text("utf-8"))


def _head(page: Page, style: Markup, script: Markup) -> Markup:
    # The charset stands first, and the policy before all that it is for.
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{page.outcome.upper()} · {page.title}"),
        tag("link", rel="icon", href=_icon(page.outcome)),
        tag("style", style),
    )


def _policy(style: str, script: str) -> str:
    """Return a policy that forbids all loading, and any script or style sheet but these very two."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "style-src-attr 'unsafe-inline'",  # places of bars and labels; they cannot load anything
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _icon(outcome: Outcome) -> str:
    colour, shape = _ICONS[outcome]
    drawn = join(
        [
            Markup("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"),
            Markup(f"<path fill='{colour}' d='{shape}'/></svg>"),
        ]
    )
    return "data:image/svg+xml," + quote(drawn, safe="/ ='")
