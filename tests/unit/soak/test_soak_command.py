"""What `stressnet soak` asks for, up to the net."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from soaking import MemoryPlace, small_plan

from stressnet.cli import group
from stressnet.engine.soak import livenet
from stressnet.engine.soak.folder import NIGHT, SOAK
from stressnet.errors import EnvironmentProblem
from stressnet.record import runs
from stressnet.resources import folder


def test_a_plan_that_comes_with_stressnet_is_soaked_by_its_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text goes into the record of the night, and the command that does a round again names it so, too."""
    place = MemoryPlace(small_plan())
    place.unknown = 1
    monkeypatch.setattr(livenet, "LivePlace", lambda *_: place)
    monkeypatch.chdir(tmp_path)
    words = ["soak", "stuck-after-cut", "--variant", "fixed", "--for", "1h", "--backend", "netns"]
    assert isinstance(CliRunner().invoke(group, words).exception, EnvironmentProblem)
    soak = tmp_path / "runs" / "stuck-after-cut" / "latest-soak"
    text = (folder("faults") / "stuck-after-cut.yaml").read_text()
    assert (soak / NIGHT / runs.SOURCE).read_text() == text
    assert json.loads((soak / SOAK).read_text())["command"][:3] == ["stressnet", "run", "stuck-after-cut"]
