"""Who does a soak goes on whether anybody hears of it or not: a program of its own, on a real terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stressnet.engine.soak.folder import SOAK, SUMMARY
from stressnet.record.runs import write_json

PROGRAM = """
import sys
from pathlib import Path
from stressnet.cli.soak_screen import SoakScreen, finish
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.checkpoint import Checkpoint

folder, way = Path(sys.argv[1]), sys.argv[2]
with SoakScreen() as screen:
    screen.step("make", 0, 2)
    screen.say("at work")
    sys.stdin.read()
    for number in range(3):
        screen.step("make", number, 2)
        screen.say(f"round {number}")
        screen.phase("settle", 0.0)
    print("from elsewhere", file=sys.stderr, flush=True)
    (folder / "done").touch()
amount = Amount("inconclusive", "nobody knows", Checkpoint(ended="time"), {}, None)
finish(folder, amount, as_json=way == "json")
sys.exit(2)
"""


def begin(folder: Path, way: str, said_to: int) -> subprocess.Popen[bytes]:
    """Begin it in a session of its own, so that no signal tells it of a terminal that is gone."""
    facts = {"name": "small", "variant": "", "for_s": 60.0, "begun_at": 0.0, "seed": 7, "backend": "netns"}
    write_json(folder / SOAK, facts)
    (folder / SUMMARY).write_text("## Soak of small: in progress\n")  # as a full disk leaves it
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), way],
        stdin=subprocess.PIPE,
        stdout=said_to,
        stderr=said_to,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        start_new_session=True,
    )


@pytest.mark.parametrize("way", ["text", "json"])
@pytest.mark.parametrize("where", [os.openpty, os.pipe])
def test_who_hears_of_a_soak_may_go_away(
    tmp_path: Path, where: Callable[[], tuple[int, int]], way: str
) -> None:
    """It is done to its end, and its exit code is that of its verdict; others may go on writing there, too."""
    screen, said_to = where()
    program = begin(tmp_path, way, said_to)
    os.close(said_to)
    heard = b""
    while b"at work" not in heard:
        more = os.read(screen, 1000)
        assert more, "it ended before it said anything"
        heard += more
    os.close(screen)
    program.communicate(timeout=20)
    assert (tmp_path / "done").exists()
    assert program.returncode == 2


def test_who_stays_hears_all(tmp_path: Path) -> None:
    """In the order in which it is said."""
    screen, said_to = os.pipe()
    program = begin(tmp_path, "text", said_to)
    os.close(said_to)
    program.communicate(timeout=20)
    with os.fdopen(screen, "rb") as heard:
        lines = heard.read().decode().splitlines()
    said = [line.partition("  ")[2] for line in lines[:4]]
    assert said == ["at work", "round 0", "round 1", "round 2"]
    assert lines[4:6] == ["from elsewhere", "## Soak of small: INCONCLUSIVE"]
    assert lines[-1] == f"record   {tmp_path}"
