"""The parts of the page in words and tables: verdict, checks, asked beside achieved, journal, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from stressnet.report.cast import Cast
from stressnet.report.legend import node_button
from stressnet.report.markup import Markup, join, tag
from stressnet.report.page import Entry, Judgement, Page
from stressnet.report.scale import moment
from stressnet.report.signs import sign, worded

_CHIPS = 12
"""Nodes of a check that are shown at once; more fold."""
_ENTRIES = 30
"""Lines of the journal that are shown at once; more fold."""
_MOST_ENTRIES = 4000
"""Longer journals are left out in the middle: 4,000 lines are about 600 kB."""


def verdict(page: Page) -> Markup:
    """Return what must be seen first: the outcome, why, of what, and how to do it again."""
    begun = datetime.fromtimestamp(page.begun_at, UTC)
    when = tag("time", f"{begun:%Y-%m-%d %H:%M:%S} UTC", datetime=begun.isoformat())
    word = tag("h1", sign(page.outcome), tag("strong", page.outcome.upper()), tag("span", page.title))
    return tag(
        "header",
        tag("div", word, tag("p", page.reason, class_="reason"), class_=f"verdict {page.outcome}"),
        tag("p", join([when, *_counts(page)], " · "), class_="counts"),
        tag("dl", *(_fact(*fact) for fact in page.asked), class_="facts") if page.asked else Markup(),
        _command(page.command) if page.command else Markup(),
    )


def _counts(page: Page) -> list[str]:
    outcomes = [check.outcome for check in page.judgements]
    checks = [
        f"{outcomes.count(outcome)} {outcome}"
        for outcome in ("fail", "inconclusive", "pass")
        if outcome in outcomes
    ]
    found = [f"{_many(len(outcomes), 'check')}: {', '.join(checks)}"] if checks else []
    if page.bands:
        achieved = sum(band.achieved == "achieved" for band in page.bands)
        found.append(f"{_many(len(page.bands), 'fault')}, {achieved} achieved")
    return found


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _fact(label: str, value: str) -> Markup:
    return tag("div", tag("dt", label), tag("dd", value))


def _command(command: str) -> Markup:
    copy = tag("button", "Copy", type="button", class_="copy scripted")
    return tag("div", tag("span", "Do it again"), tag("code", command), copy, class_="command")


def checks(page: Page, cast: Cast) -> Markup:
    """Return a card for each judgement, with the number that marks it in the charts."""
    titles = {proof.title: number for number, proof in enumerate(page.evidence, 1)}
    return _section(
        "Checks",
        "checks",
        [_card(number, check, cast, titles) for number, check in enumerate(page.judgements, 1)],
    )


def _section(title: str, identity: str, parts: Sequence[str], note: str = "") -> Markup:
    if not parts:
        return Markup()
    return tag("section", tag("h2", title, tag("small", note) if note else ""), *parts, id=identity)


def _card(number: int, check: Judgement, cast: Cast, titles: dict[str, int]) -> Markup:
    at = "" if check.at_s is None else tag("a", f"at {moment(check.at_s)}", href="#timeline")
    head = tag(
        "h3", tag("b", str(number), class_="number"), worded(check.outcome), tag("code", check.check), at
    )
    return tag(
        "article",
        head,
        tag("p", check.summary),
        tag("ul", *(tag("li", line) for line in check.detail)) if check.detail else "",
        tag("dl", *(_fact(*fact) for fact in check.numbers), class_="facts") if check.numbers else "",
        _concerned(check.nodes, cast),
        _proofs(check.evidence, titles),
        class_=f"check {check.outcome}",
        id=f"check-{number}",
    )


def _concerned(nodes: Sequence[str], cast: Cast) -> Markup:
    chips = [
        node_button(node, cast) if node in cast.regions else tag("span", node, class_="chip")
        for node in nodes
    ]
    if not chips:
        return Markup()
    more = len(chips) - _CHIPS
    rest = tag("details", tag("summary", f"{more} more nodes"), *chips[_CHIPS:]) if more > 0 else Markup()
    return tag("div", *chips[:_CHIPS], rest, class_="chips")


def _proofs(evidence: Sequence[str], titles: dict[str, int]) -> Markup:
    links = [
        tag("a", title, href=f"#evidence-{titles[title]}") if title in titles else tag("span", title)
        for title in evidence
    ]
    return tag("p", "Evidence: ", join(links, " · "), class_="proofs") if links else Markup()


def effects(page: Page) -> Markup:
    """Return the table of what was asked beside what was achieved."""
    heads = ("Step", "What", "Asked", "Achieved", "Deviation", "State")
    rows = [
        tag(
            "tr",
            tag("th", effect.step, scope="row"),
            tag("td", effect.what),
            tag("td", effect.asked, class_="figure-cell"),
            tag("td", effect.achieved, class_="figure-cell"),
            tag("td", effect.deviation, class_="figure-cell"),
            tag("td", worded(effect.state)),
        )
        for effect in page.asked_achieved
    ]
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    table = tag("div", tag("table", head, tag("tbody", *rows)), class_="wide", tabindex="0")
    return _section("Asked and achieved", "effects", [table] if rows else [])


def journal(page: Page) -> Markup:
    """Return what happened, line by line; a long one folds, and can be filtered."""
    entries = list(page.journal)
    dropped = max(0, len(entries) - _MOST_ENTRIES)
    if dropped:
        half = _MOST_ENTRIES // 2
        said = Entry(entries[half].at_s, "left out", f"{dropped:,} events; the file journal.jsonl has them")
        entries[half:-half] = [said]
    rows = [_entry(entry) for entry in entries]
    if not rows:
        return Markup()
    find = tag(
        "input", type="search", placeholder="Filter…", aria_label="Filter events", class_="sift scripted"
    )
    first = tag("ol", *rows[:_ENTRIES])
    more = _many(len(rows) - _ENTRIES, "more event")
    rest = tag("details", tag("summary", more), tag("ol", *rows[_ENTRIES:])) if len(rows) > _ENTRIES else ""
    empty = tag("p", "No event holds these words.", class_="none", hidden=True)
    note = _many(len(page.journal), "event")
    return _section("Journal", "journal", [tag("div", find, class_="head"), first, rest, empty], note)


def _entry(entry: Entry) -> Markup:
    at = tag("time", moment(entry.at_s))
    return tag("li", at, tag("b", entry.event), tag("span", entry.text))


def evidence(page: Page) -> Markup:
    """Return each piece of evidence, folded."""
    parts = [
        tag(
            "details",
            tag("summary", proof.title, tag("small", _many(len(proof.text.splitlines()), "line"))),
            tag("pre", proof.text, tabindex="0"),
            id=f"evidence-{number}",
        )
        for number, proof in enumerate(page.evidence, 1)
    ]
    return _section("Evidence", "evidence", parts)
