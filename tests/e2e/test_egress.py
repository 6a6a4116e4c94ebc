"""`egress: true`: a way out of the net; on netns through a machine that this test makes itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from contract.nets import IMAGE
from needs import require

from stressnet.agent import egress

TOPOLOGY = """
name: egress-test
egress: {egress}
nodes:
  n: {{kind: generic, command: [sleep, '1000']}}
"""
STORY = """
set -e
ip link set lo up
ip link add outside type bridge
ip addr add 192.0.2.1/24 dev outside
ip link set outside up
"$PYTHON" -m http.server 8080 --bind 192.0.2.1 >/dev/null 2>&1 &
server=$!
trap 'kill $server; "$PYTHON" -m stressnet down egress-test >&2' EXIT
"$PYTHON" -m stressnet up "$1" --backend netns >&2
"$PYTHON" -m stressnet exec --net egress-test n "$PYTHON" -c "
import urllib.request
print(urllib.request.urlopen('http://192.0.2.1:8080/page', timeout=5).read().decode())"
"""
"""A machine with an address of its own is a network namespace; what is outside the net is a server there."""


@pytest.fixture
def story(tmp_path: Path, state_home: Path) -> list[str]:
    require("netns")
    if egress.missing():
        pytest.skip(f"missing: {egress.missing()}")
    (tmp_path / "page").write_text("from outside")
    return ["unshare", *([] if os.geteuid() == 0 else ["-Ur"]), "-n", "sh", "-c", STORY, "story"]


def play(story: list[str], folder: Path, allowed: bool) -> subprocess.CompletedProcess[str]:
    topology = folder / "egress.yaml"
    topology.write_text(TOPOLOGY.format(egress=str(allowed).lower()))
    env = {**os.environ, "PYTHON": sys.executable, "DOCKER_HOST": "unix:///nowhere.sock"}
    return subprocess.run(
        [*story, str(topology)], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_egress_opens_a_way_out_and_warns(story: list[str], tmp_path: Path) -> None:
    """A node reaches a server outside its net, and `up` has warned of it."""
    answer = play(story, tmp_path, allowed=True)
    assert answer.stdout.strip() == "from outside", answer.stderr
    assert "warning: egress" in answer.stderr


def test_without_egress_there_is_no_way_out(story: list[str], tmp_path: Path) -> None:
    """The same node, the same server, no way."""
    answer = play(story, tmp_path, allowed=False)
    assert answer.stdout == ""
    assert "Network is unreachable" in answer.stderr


OUTSIDE_AND_INSIDE = """
import sys, urllib.request
for where in sys.argv[1:]:
    try: print(urllib.request.urlopen(f'http://{where}', timeout=3).read().decode())
    except OSError: print('no way')
"""


@pytest.fixture
def bystander() -> Iterator[str]:
    """A container of somebody else on the same engine, with a web server: its address."""
    require("docker")
    from stressnet.images.engine import connect, create_container

    engine = connect()
    serve = ["-m", "http.server", "8080", "--directory", "/etc"]
    made = create_container(engine, {"Image": IMAGE, "Entrypoint": ["python3"], "Cmd": serve})
    try:
        engine.start(made)
        networks = engine.inspect_container(made)["NetworkSettings"]["Networks"]
        yield networks["bridge"]["IPAddress"]
    finally:
        engine.remove_container(made, force=True, v=True)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("allowed", "answers"), [(True, ["from outside", "no way"]), (False, ["no way"] * 2)]
)
def test_egress_on_docker(
    allowed: bool, answers: list[str], bystander: str, tmp_path: Path, state_home: Path
) -> None:
    """The way out leads to servers outside, not to other containers of the engine; without egress there is none."""
    (tmp_path / "page").write_text("from outside")
    host = f"{bystander.rpartition('.')[0]}.1"  # this machine's address on the engine's own bridge
    server = ThreadingHTTPServer((host, 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    topology = tmp_path / "egress.yaml"
    text = TOPOLOGY.format(egress=str(allowed).lower())
    topology.write_text(
        f"subnet: 10.213.77.0/24\n{text.replace('kind: generic,', f'kind: generic, image: {IMAGE},')}"
    )
    command = [sys.executable, "-m", "stressnet"]
    where = [f"{host}:{server.server_address[1]}/page", f"{bystander}:8080/hostname"]
    try:
        subprocess.run(
            [*command, "up", str(topology), "--backend", "docker"], check=True, capture_output=True
        )
        asked = [*command, "exec", "--net", "egress-test", "n", "python3", "-c", OUTSIDE_AND_INSIDE, *where]
        answer = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert answer.stdout.splitlines() == answers, answer.stderr
    finally:
        subprocess.run([*command, "down", "egress-test"], check=False, capture_output=True)
        server.shutdown()
        server.server_close()
