"""The report as a browser shows it: the page renders, its script runs, and pointing tells the right figures."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import some_pages
from needs import require_chromium

from stressnet.report.html import render

_POLICY = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
_SCRIPT_TIME_MS = 5000


def browse(page: str, folder: Path, *flags: str, fragment: str = "") -> tuple[str, str]:
    """Return what a page has become in a browser, and what it complained of on its console."""
    file = folder / "report.html"
    file.write_text(page, "utf-8")
    command = [
        require_chromium(),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        f"--user-data-dir={folder / 'browser'}",
        *("--enable-logging=stderr", "--v=0", f"--virtual-time-budget={_SCRIPT_TIME_MS}"),
        *(flags or ("--dump-dom",)),
        f"{file.as_uri()}{fragment}",
    ]
    answer = subprocess.run(command, capture_output=True, timeout=60, check=True)
    complaints = [line for line in answer.stderr.decode().splitlines() if "CONSOLE" in line]
    return answer.stdout.decode(), "\n".join(complaints)


def acted(page: str, script: str, folder: Path) -> Any:
    """Return what a script that acts as a user does finds; the page's policy would forbid it, so it goes first."""
    wrapped = f"<script>document.title = JSON.stringify((() => {{{script}}})())</script></body>"
    found, complaints = browse(_POLICY.sub("", page).replace("</body>", wrapped), folder)
    assert complaints == ""
    title = re.search("<title>(.*?)</title>", found, re.S)
    assert title
    return json.loads(html.unescape(title[1]))


@pytest.mark.parametrize("name", ["stuck", "storm"])
def test_the_page_renders_and_its_script_runs_under_its_policy(name: str, tmp_path: Path) -> None:
    """The script reaches its end, and neither it nor the policy has anything to complain of."""
    found, complaints = browse(render(getattr(some_pages, name)()), tmp_path, fragment="#dark")
    root = re.search("<html[^>]*>", found)
    assert root
    assert 'data-ready="yes"' in root[0]
    assert 'data-theme="dark"' in root[0]
    assert complaints == ""


def test_the_policy_stops_scripts_that_are_not_the_pages_own(tmp_path: Path) -> None:
    """Were text ever to become markup, it would still not run and not load: the browser refuses it."""
    page = render(some_pages.stuck())
    worse = page.replace("</main>", "<script>document.title = 'taken'</script><img src='x.png'></main>")
    found, complaints = browse(worse, tmp_path)
    assert "<title>taken" not in found
    assert "script" in complaints
    assert "x.png" in complaints


def test_pointing_at_a_line_tells_its_figure_then(tmp_path: Path) -> None:
    """The line that is pointed at stands out in every chart, and its value is the one that was measured."""
    told = acted(
        render(some_pages.stuck()),
        """
        const plot = document.querySelector(".plot"), box = plot.getBoundingClientRect();
        const at = { clientX: box.left + box.width * 0.8, clientY: box.top + box.height * (1 - 47 / 150) };
        plot.dispatchEvent(new PointerEvent("pointermove", at));
        const tip = document.getElementById("tip").textContent;
        return [tip, document.querySelectorAll("path.hot[data-n='0']").length];
        """,
        tmp_path,
    )
    assert told == ["at 02:16\nnode-4  47 blocks", 6]


def test_nodes_are_found_and_followed(tmp_path: Path) -> None:
    """The filter leaves the nodes that hold its words, Enter follows them, and Escape lets go."""
    told = acted(
        render(some_pages.storm(100, 20)),
        """
        const find = document.querySelector(".find");
        const key = (key) => new KeyboardEvent("keydown", { key, bubbles: true });
        const kept = () => document.querySelectorAll("path.kept").length;
        find.value = "AP-3";
        find.dispatchEvent(new Event("input"));
        const left = [...document.querySelectorAll(".legend .chip[data-n]")].filter((chip) => !chip.hidden);
        find.dispatchEvent(key("Enter"));
        const followed = kept();
        find.dispatchEvent(key("Escape"));
        return [left.map((chip) => chip.childNodes[1].textContent), followed, kept()];
        """,
        tmp_path,
    )
    assert told == [["ap-3", "ap-30", "ap-31", "ap-32", "ap-33"], 5 * 6, 0]


def test_the_journal_is_filtered_in_its_fold_as_well(tmp_path: Path) -> None:
    """Words find events wherever they are, and what holds none of them goes."""
    told = acted(
        render(some_pages.storm(4, 20)),
        """
        const sift = document.querySelector(".sift");
        sift.value = "event 799";
        sift.dispatchEvent(new Event("input"));
        const rows = [...document.querySelectorAll("#journal li")].filter((row) => !row.hidden);
        const open = document.querySelector("#journal details").open;
        return [rows.map((row) => row.querySelector("span").textContent), open];
        """,
        tmp_path,
    )
    assert told == [["us-2 event 799"], True]


def test_nothing_is_wider_than_a_phone(tmp_path: Path) -> None:
    """At 390 pixels the page does not scroll sideways, and no node name or command is cut off."""
    page = render(replace(some_pages.storm(100, 20), command="stressnet run " + "x" * 300, title="t" * 200))
    inner = json.dumps(_POLICY.sub("", page)).replace("</", "<\\/")
    # A browser has no window as narrow as a phone, but a frame can be.
    told = acted(
        "<!DOCTYPE html><title></title><body></body>",
        f"""
        const frame = document.body.appendChild(document.createElement("iframe"));
        frame.style = "border: 0; width: 390px; height: 900px";
        frame.contentDocument.write({inner});
        frame.contentDocument.close();
        const shown = frame.contentDocument.documentElement;
        return [frame.contentWindow.innerWidth, shown.scrollWidth - shown.clientWidth, shown.dataset.ready];
        """,
        tmp_path,
    )
    assert told == [390, 0, "yes"]


@pytest.mark.parametrize("name", ["stuck", "storm"])
def test_no_label_of_a_chart_covers_another(name: str, tmp_path: Path) -> None:
    """Ticks, labels of lines and moments on the axis each have room of their own, in both views."""
    told = acted(
        render(getattr(some_pages, name)()),
        """
        const labels = () => [...document.querySelectorAll(".tick, .end, .axis > span, .axis > .gutter")]
            .map((label) => [label.textContent, label.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
        const covers = (one, other) => one.left < other.right && other.left < one.right
            && one.top + 2 < other.bottom && other.top + 2 < one.bottom;
        const covered = () => {
            const all = labels(), found = [];
            for (const [i, [text, box]] of all.entries())
                for (const [other, its] of all.slice(i + 1)) if (covers(box, its)) found.push([text, other]);
            return [all.length > 40, found];
        };
        const nodes = covered();
        document.getElementById("show-regions").click();
        return [nodes, covered()];
        """,
        tmp_path,
    )
    assert told == [[True, []], [True, []]]
