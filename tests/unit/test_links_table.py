"""What links have carried, as it is shown: trouble first, and said in one line."""

from __future__ import annotations

from rich.console import Console

from stressnet.cli.links_text import links_summary, links_table
from stressnet.engine.links import LinksStatus, read_links

QUIET = {
    "carried": 20,
    "bytes": 4096,
    "connections": 1,
    "controlled": 9,
    "bypassed": 0,
    "spoofed": 0,
    "offered": 0,
    "dropped": 0,
}
CONTROL = {
    "packets_problem": "",
    "streams_problem": "",
    "relays": 1,
    "lacks": {},
    "changed_by_others": {"rules": 0, "queues": 0},
}


def shown(status: LinksStatus) -> list[str]:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(links_summary("n", status), links_table(status), sep="\n")
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_link_that_was_bypassed_stands_first() -> None:
    rows = [
        {"source": "a", "target": "b", **QUIET},
        {"source": "c", "target": "b", **QUIET, "bypassed": 3, "dropped": 2},
    ]
    status = read_links(rows, CONTROL)
    assert status.uncontrolled == 3
    lines = shown(status)
    assert lines[0] == "n · 1 relay · 2 links have carried something · 3 packets tried to get around control"
    assert [line.split() for line in lines[2:]] == [
        ["c", "b", "4KiB", "20", "1", "2", "3", "0"],
        ["a", "b", "4KiB", "20", "1", "0", "0", "0"],
    ]


def test_all_under_control_and_none_at_all() -> None:
    assert shown(read_links([], CONTROL))[0].endswith("nothing has got around control")
    touched = read_links([], {**CONTROL, "changed_by_others": {"rules": 0, "queues": 1}})
    assert "control · somebody else changed the queues of links, 1 time" in " ".join(shown(touched))
    without = read_links([], {**CONTROL, "streams_problem": "no relay"})
    assert shown(without)[0] == "n · streams are not under control: no relay"
