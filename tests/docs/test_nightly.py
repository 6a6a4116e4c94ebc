"""What starts a soak every night is right as it stands: the commands, the YAML, and the units of systemd."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from docs_pages import REPOSITORY

from stressnet.cli import group

_NIGHTLY = REPOSITORY / "docs" / "nightly"
_FILES = sorted(path for path in _NIGHTLY.iterdir() if path.is_file())
_UNITS = [path for path in _FILES if path.suffix in (".service", ".timer")]


def _soaks(path: Path) -> list[list[str]]:
    """Return the words behind `stressnet soak` wherever a file says that, up to the end of the command."""
    lines = re.findall(r"stressnet soak (.*)", re.sub(r"^ *#.*$", "", path.read_text(), flags=re.MULTILINE))
    return [shlex.split(re.split(r" >>|2>", line)[0]) for line in lines]


def _workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_NIGHTLY / "soak.yml").read_text())
    return found


@pytest.mark.parametrize(
    "path", [path for path in _FILES if path.suffix != ".timer"], ids=lambda path: path.name
)
def test_a_nightly_command_has_only_options_that_there_are(path: Path) -> None:
    """Each file gives the command once."""
    command = group.get_command(click.Context(group), "soak")
    assert command is not None
    (words,) = _soaks(path)
    words = [{"$PLAN": "plan.yaml", "$VARIANT": "fixed", "$FOR": "5h"}.get(word, word) for word in words]
    asked = command.make_context("soak", words).params
    assert asked["for_s"] in (5 * 3600.0, 8 * 3600.0)
    assert asked["resume"] or path.suffix == ".yml"


@pytest.mark.parametrize("path", _UNITS, ids=lambda path: path.name)
def test_systemd_understands_a_unit(path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    others = [str(one) for one in _UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *others], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_last_call_of_a_night_comes_before_its_soak_is_over() -> None:
    """A later one would begin anew: from 22:00 on eight hours are over at 06:00."""
    assert "*/15 22-23,0-5 " in (_NIGHTLY / "soak.cron").read_text()
    assert (
        "OnCalendar=*-*-* 22,23,00,01,02,03,04,05:00/15:00" in (_NIGHTLY / "stressnet-soak.timer").read_text()
    )


def test_the_workflow_names_a_plan_that_there_is_and_keeps_within_a_job() -> None:
    """Its time and a round more are less than the job's, and it needs no secret."""
    workflow = _workflow()
    assert (REPOSITORY / workflow["env"]["PLAN"]).is_file()
    plan = yaml.safe_load((REPOSITORY / workflow["env"]["PLAN"]).read_text())
    assert workflow["env"]["VARIANT"] in plan["variants"]
    assert workflow["jobs"]["soak"]["timeout-minutes"] <= 360
    assert "secrets" not in (_NIGHTLY / "soak.yml").read_text()


def test_the_workflow_uses_only_actions_of_github() -> None:
    used = [step["uses"] for step in _workflow()["jobs"]["soak"]["steps"] if "uses" in step]
    assert used
    assert all(name.startswith("actions/") for name in used)
