"""The report as text: complete, safe, small."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import some_pages as pages

from stressnet.report.html import render
from stressnet.report.page import Band, Chart, Entry, Evidence, Judgement, Line, Page, Phase

ONLY_A_VERDICT = Page("smallest", "inconclusive", "The net did not come up.", pages.BEGUN_AT)
HOSTILE = (
    "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x00\x1b[31m\udcff\ud800\u202e"
)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def hostile() -> Page:
    """Return a page in which everything that can be text is an attack."""
    text = HOSTILE
    points = [(0.0, 1.0), (5.0, 2.0)]
    return Page(
        text,
        "fail",
        text,
        0,
        [(text, text)],
        text,
        [Phase(text, 0, 5)],
        [Band(text, text, 1, 2, [text], "achieved")],
        [Chart(text, "count", [Line(text, text, points)], text)],
        [text],
        [Judgement(text, "fail", text, [text], [text, text + "?"], 1, [(text, text)], [text, "none"])],
        [
            replace(
                pages.stuck().asked_achieved[0],
                step=text,
                what=text,
                asked=text,
                achieved=text,
                deviation=text,
            )
        ],
        [Entry(1, text, text)],
        [Evidence(text, text)],
    )


def test_the_verdict_comes_first_with_its_reason_and_the_command() -> None:
    """What is read first is the outcome in words, what it is of, and why; and nothing that was given is missing."""
    page = pages.stuck()
    text = Elements(render(page)).text
    order = [
        text.index(words) for words in ("FAIL", page.title, page.reason, page.command, "Timeline", "Checks")
    ]
    assert order == sorted(order)
    told = [*(check.summary for check in page.judgements), *(entry.text for entry in page.journal)]
    told += [effect.achieved for effect in page.asked_achieved] + [proof.text for proof in page.evidence]
    told += [band.label for band in page.bands] + [words for fact in page.asked for words in fact]
    assert [words for words in told if words not in text] == []


def test_what_complains_comes_before_what_passes() -> None:
    """Checks are ranked fail, inconclusive, pass, and numbered in that order."""
    cards = re.findall(r'class="check (\w+)" id="check-(\d)"', render(pages.stuck()))
    assert cards == [("fail", "1"), ("inconclusive", "2"), ("pass", "3")]


def test_text_stays_text() -> None:
    """Markup, quotes, control characters and lone surrogates in any field add no element and no attribute."""
    page = render(hostile())
    calm = Elements(render(pages_like(hostile())))
    found = Elements(page)
    shape = [(tag, sorted(attributes)) for tag, attributes in found.found]
    assert shape == [(tag, sorted(attributes)) for tag, attributes in calm.found]
    assert len(found.every("script")) == 1
    assert page.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)
    assert (
        "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;␀␛[31m\\xff\\ud800\\u202e"
        in found.text
    )


def pages_like(page: Page) -> Page:
    """Return the same page with a harmless word for every text."""

    def tame(value: object) -> object:
        if isinstance(value, str):
            return value.replace(HOSTILE, "word")
        if isinstance(value, list | tuple):
            return type(value)(tame(item) for item in value)
        if hasattr(value, "__dataclass_fields__"):
            return type(value)(*(tame(getattr(value, name)) for name in value.__dataclass_fields__))
        return value

    tamed = tame(page)
    assert isinstance(tamed, Page)
    return tamed


@pytest.mark.parametrize("page", [pages.stuck(), pages.storm(20, 30), hostile(), ONLY_A_VERDICT])
def test_nothing_is_loaded(page: Page) -> None:
    """Every address in the page is a place in the page itself, or data; style sheets import and load nothing."""
    text = render(page)
    found = Elements(text)
    addresses = [
        value or ""
        for _, attributes in found.found
        for name, value in attributes.items()
        if name in ("href", "src", "srcset", "action", "data", "poster", "xlink:href")
    ]
    assert [address for address in addresses if not address.startswith(("#", "data:image/svg+xml,"))] == []
    assert not re.search(r"@import|url\(|//[a-z]+\.", re.findall("<style>(.*?)</style>", text, re.S)[0])


def test_links_lead_somewhere() -> None:
    """Every link within the page has its target there."""
    found = Elements(render(pages.stuck()))
    names = {attributes["id"] for _, attributes in found.found if "id" in attributes}
    links = {str(link["href"])[1:] for link in (*found.every("a"), *found.every("use"))}
    assert links - names == set()
    assert {"check-1", "evidence-1", "timeline"} <= links


def test_the_policy_forbids_all_but_the_pages_own_style_and_script() -> None:
    """The policy stands before what it is for, allows no source by default, and names what is allowed by digest."""
    text = render(pages.stuck())
    policy = Elements(text).every("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    rules = dict(rule.split(" ", 1) for rule in str(policy["content"]).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].startswith("'sha256-")
    assert rules["style-src"].startswith("'sha256-")
    assert "unsafe" not in rules["script-src"] + rules["style-src"]
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script>")


def test_a_verdict_is_enough_for_a_page() -> None:
    """A run that never began gives a page with its verdict, and no section without content."""
    found = Elements(render(ONLY_A_VERDICT))
    assert "INCONCLUSIVE" in found.text
    assert "The net did not come up." in found.text
    assert found.every("h2") == []


@pytest.mark.parametrize(
    "points",
    [[], [(1.0, None), (2.0, None)], [(1.0, float("nan")), (float("inf"), 2.0)]],
    ids=["no", "unknown", "no number"],
)
def test_a_chart_without_figures_says_so(points: list[tuple[float, float | None]]) -> None:
    """Where nothing could be looked at the page says so instead of drawing zero."""
    chart = Chart("Height", "blocks", [Line("a", "", points)])
    found = Elements(render(replace(ONLY_A_VERDICT, charts=[chart])))
    assert "No samples." in found.text
    assert all("data-n" not in path for path in found.every("path"))


def test_a_fault_that_never_ended_lasts_until_the_end() -> None:
    """A band without an end reaches to the end of the axis."""
    page = replace(
        ONLY_A_VERDICT, phases=[Phase("timeline", 0, 100)], bands=[Band("loss=5%", "loss", 40, None)]
    )
    bars = [bar["style"] for bar in Elements(render(page)).every("i") if bar["class"] == "bar not-measured"]
    assert bars == ["left:40.00%;width:60.00%"]


def test_many_faults_share_lanes_by_their_kind() -> None:
    """Faults of more labels than can be read are shown by kind, every one with its bar."""
    bands = [Band(f"kill n{i}", "kill", i, i + 1) for i in range(40)]
    found = Elements(render(replace(ONLY_A_VERDICT, bands=bands)))
    lanes = [part for part in found.every("div") if part.get("class") == "lane"]
    bars = [bar for bar in found.every("i") if str(bar["class"]).startswith("bar ")]
    assert (len(lanes), len(bars)) == (1, 40)


def test_nodes_of_complaints_stand_out_and_nodes_of_passes_do_not() -> None:
    """Lines of nodes that a failed check names are emphasised, all others are muted."""
    found = Elements(render(pages.stuck()))
    classes = {str(path["class"]) for path in found.every("path") if path.get("data-n") == "0"}
    others = {str(path["class"]) for path in found.every("path") if path.get("data-n") in ("1", "2", "3")}
    assert classes == {"named k0"}
    assert others == {"muted"}


def test_where_all_nodes_are_named_none_stands_out() -> None:
    """Then the lines of many keep the colours of their regions."""
    quiet = pages.storm(count=20, samples=20)
    nodes = [line.node for line in quiet.charts[0].lines]
    passed = [replace(one, outcome="pass") for one in quiet.judgements]
    everybody = replace(passed[0], outcome="fail", nodes=nodes)
    styles = [
        [path.get("class") for path in Elements(render(replace(quiet, judgements=judged))).every("path")]
        for judged in (passed, [everybody, *passed[1:]])
    ]
    assert styles[0] == styles[1]


def test_a_long_journal_folds_and_a_very_long_one_is_cut_in_the_middle() -> None:
    """What is left out is said, with its number; the beginning and the end are there."""
    entries = [Entry(i, "event", f"number {i}.") for i in range(10_000)]
    text = Elements(render(replace(ONLY_A_VERDICT, journal=entries))).text
    assert "6,000 events; the file journal.jsonl has them" in text
    assert all(
        words in text for words in ("10,000 events", "3,971 more events", "number 1999.", "number 9999.")
    )
    assert "number 2000." not in text


def test_a_hundred_nodes_stay_below_four_megabytes_and_three_seconds() -> None:
    """Pages can be sent: six charts of 300 samples of 100 nodes, and a long run of 4."""
    page = pages.storm()
    began = time.process_time()
    size = len(render(page).encode())
    assert time.process_time() - began < 3
    assert size < 2e6
    assert len(render(pages.stuck()).encode()) < 150e3


def test_samples_that_no_screen_could_show_cost_nothing() -> None:
    """Three times as many samples than there are columns give a page of the same size."""
    short = len(render(pages.storm(5, 2000)).encode())
    assert len(render(pages.storm(5, 6000)).encode()) < 1.1 * short
