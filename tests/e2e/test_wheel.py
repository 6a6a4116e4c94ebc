"""The wheel that people install is whole: kinds, images and example topologies come with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from needs import REPOSITORY, require


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked as pip does it, and nothing of the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(place),
        str(REPOSITORY),
    ]
    subprocess.run(build, check=True, capture_output=True)
    target = place / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    subprocess.run([*install, *map(str, place.glob("*.whl"))], check=True, capture_output=True)
    return target


def run(installed: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program far from the checkout."""
    env = {**os.environ, "PYTHONPATH": str(installed), "HOME": str(installed.parent), **more}
    command = [sys.executable, "-P", "-m", "stressnet", *words]
    return subprocess.run(command, cwd=installed.parent, env=env, capture_output=True, text=True, check=False)


def test_the_program_runs_from_the_wheel(installed: Path) -> None:
    """What runs is the installed package, not the checkout."""
    code = "import stressnet; print(stressnet.__file__)"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    said = subprocess.run(
        [sys.executable, "-Pc", code], env=env, cwd="/", capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(str(installed))


def test_kinds_come_with_the_wheel(installed: Path) -> None:
    """The three kinds are found where the wheel has put them."""
    kinds = json.loads(run(installed, "kinds", "--json").stdout)
    assert {"syncnode", "cometbft", "generic"} <= {kind["name"] for kind in kinds}


def test_every_example_topology_of_the_wheel_is_valid(installed: Path) -> None:
    """Each of them, as it lies in the wheel."""
    examples = sorted((installed / "stressnet" / "data" / "topologies").glob("*.yaml"))
    assert len(examples) >= 3
    for example in examples:
        answer = run(installed, "validate", str(example))
        assert answer.returncode == 0, answer.stderr


def test_a_net_comes_up_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The reference node starts from the installed files."""
    require("netns")
    topology = tmp_path / "wheel.yaml"
    topology.write_text("name: wheel\nnodes:\n  validator: {kind: syncnode, count: 2}\n")
    home = {"XDG_STATE_HOME": str(tmp_path / "state")}
    up = run(installed, "up", str(topology), "--backend", "netns", **home)
    down = run(installed, "down", "wheel", **home)
    assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr


def test_nothing_but_the_package_is_in_the_wheel(installed: Path) -> None:
    """No top-level `images`, `tests` or `topologies` lands in site-packages."""
    wheel = next(installed.parent.glob("*.whl"))
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"stressnet"}
