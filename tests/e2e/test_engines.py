"""Engines that are not simply the local one: behind ssh and behind TLS."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from needs import require

from stressnet.backends.docker.stream import ExecStream
from stressnet.images.engine import create_container, fresh_client

pytestmark = pytest.mark.docker

IMAGE = "stressnet/syncnode:1"
SSH = """#!/bin/sh
# Has the far machine's part of ssh only: runs the command, its last word, here.
for word; do last=$word; done
exec env -u DOCKER_HOST $last
"""
TOPOLOGY = f"""
name: engines-ssh
nodes:
  n: {{kind: generic, image: "{IMAGE}", command: [sh, -c, "echo it ran; sleep 600"], count: 3}}
"""


def stressnet(*words: str, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stressnet", *words]
    return subprocess.run(
        command,
        env={**os.environ, **env},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def test_a_net_on_an_engine_behind_ssh(tmp_path: Path, state_home: Path) -> None:
    """Up, logs, a command with input, and down go through the ssh program on PATH; none of them stays."""
    require("docker")
    if shutil.which("docker") is None:
        pytest.skip("docker's own client is not installed, which the far end of ssh needs")
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "net.yaml").write_text(TOPOLOGY)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DOCKER_HOST": "ssh://me@far:2222"}
    try:
        up = stressnet("up", str(tmp_path / "net.yaml"), "--backend", "docker", **env)
        assert up.returncode == 0, up.stderr
        assert stressnet("logs", "--net", "engines-ssh", "n-2", **env).stdout == "it ran\n"
        answer = stressnet("exec", "--net", "engines-ssh", "n-3", "cat", text="to and fro", **env)
        assert (answer.stdout, answer.returncode) == ("to and fro", 0)
    finally:
        down = stressnet("down", "engines-ssh", **env)
    assert "nothing of it is left" in down.stdout + down.stderr


def test_an_ssh_that_fails_is_an_engine_that_does_not_answer(tmp_path: Path, state_home: Path) -> None:
    """What ssh says is shown, and the address; no traceback."""
    (tmp_path / "ssh").write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "net.yaml").write_text(TOPOLOGY)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DOCKER_HOST": "ssh://far"}
    up = stressnet("up", str(tmp_path / "net.yaml"), "--backend", "docker", **env)
    assert "Permission denied (publickey)." in up.stderr
    assert "no Docker engine answers at ssh://far" in up.stderr
    assert "Traceback" not in up.stderr


def test_a_program_may_be_silent_for_longer_than_an_answer_may_take() -> None:
    """The time-out of calls does not end a program in a container that says nothing for a while."""
    require("docker")
    client = fresh_client(1)
    made = create_container(client, {"Image": IMAGE, "Entrypoint": ["sleep"], "Cmd": ["60"]})
    try:
        client.start(made)
        stream = ExecStream(client, made, ["sh", "-c", "sleep 3; echo end"])
        assert stream.read() == (1, b"end\n")
        stream.close()
    finally:
        client.remove_container(made, force=True, v=True)
        client.close()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder as DOCKER_CERT_PATH has it, with one certificate for both ends, which is its own CA."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(tmp_path / "cert.pem", tmp_path / "ca.pem")
    return tmp_path


def test_the_engines_own_ca_is_believed(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the environment names one for the web, as on machines behind a proxy that opens TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\n{"ApiVersion": "1.41"}\n'

    def serve() -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as line:
            line.recv(65536)
            line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        client = fresh_client(5)
        assert client.api_version == "1.41"
        client.close()
        server.join()
