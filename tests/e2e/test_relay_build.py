"""Toxiproxy is really built, once, and lies in the agent's image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from needs import require, require_go

from stressnet.images import agent, golang, relay
from stressnet.images.engine import connect, create_container

_SAYS = f"{relay.PROGRAM} version {relay.pinned()}\n"


@pytest.fixture
def new_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of ours, and no Toxiproxy on PATH; what Go has compiled before is kept, to be quick."""
    require_go()
    go = golang.program()
    compiled = subprocess.run(
        [go, "env", "GOCACHE"], capture_output=True, text=True, check=True
    ).stdout.strip()
    monkeypatch.setenv("GOCACHE", compiled)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    return tmp_path / "cache"


def install() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stressnet", "install", "toxiproxy"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_built_once_and_runs(new_cache: Path) -> None:
    """The pinned version, without libraries that a container might lack; nothing half made is left."""
    assert relay.find() is None
    first = install()
    assert first.returncode == 0, first.stderr
    assert f"building Toxiproxy {relay.pinned()}" in first.stderr
    built = relay.find()
    assert built is not None
    assert built.is_relative_to(new_cache)
    assert str(built) in first.stdout
    assert subprocess.run([built, "-version"], capture_output=True, text=True, check=True).stdout == _SAYS
    assert b"ld-linux" not in built.read_bytes()
    assert [path.name for path in built.parent.parent.iterdir()] == [built.parent.name]
    again = install()
    assert (again.stdout, again.stderr) == (first.stdout, "")


def test_a_build_that_fails_says_so_and_leaves_nothing(
    new_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a module cache and without the network there are no sources."""
    monkeypatch.setenv("GOMODCACHE", str(new_cache / "modules"))
    monkeypatch.setenv("GOPROXY", "off")
    answer = install()
    assert answer.returncode == 255
    assert "failed with" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list((new_cache / "stressnet" / "relay").iterdir()) == []


def test_the_agents_image_has_it() -> None:
    """It is where the agent looks for it, and runs there."""
    require("docker")
    engine = connect()
    body = {
        "Image": agent.ensure(engine, print),
        "Entrypoint": [f"/usr/local/bin/{relay.PROGRAM}"],
        "Cmd": ["-version"],
        "HostConfig": {"NetworkMode": "none"},
    }
    container = create_container(engine, body)
    try:
        engine.start(container)
        assert engine.wait(container)["StatusCode"] == 0
        assert engine.logs(container).decode() == _SAYS
    finally:
        engine.remove_container(container, force=True)
