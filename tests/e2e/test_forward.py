"""`forward` as people end it: by Ctrl-C, with connections open."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from needs import require

pytestmark = pytest.mark.netns

TOPOLOGY = """
name: forward-open
nodes:
  n: {kind: generic, command: [python3, -c, "{PROGRAM}"], ports: {p: 8080}, ready: {tcp: {port: p}}}
"""
PROGRAM = "import socket; s = socket.create_server(('', 8080)); kept = [s.accept() for _ in iter(int, 1)]"


def test_an_interrupt_with_an_open_connection_is_quiet(tmp_path: Path, state_home: Path) -> None:
    """It ends with 0 and no traceback."""
    require("netns")
    (tmp_path / "net.yaml").write_text(TOPOLOGY.replace("{PROGRAM}", PROGRAM))
    command = [sys.executable, "-m", "stressnet"]
    up = [*command, "up", str(tmp_path / "net.yaml"), "--backend", "netns"]
    subprocess.run(up, check=True, capture_output=True)
    try:
        forward = [*command, "forward", "--net", "forward-open", "n", "p"]
        with subprocess.Popen(
            forward, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        ) as running:
            assert running.stdout is not None
            port = int(running.stdout.readline().split()[3].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(b"hello")
                line.settimeout(1)
                with pytest.raises(TimeoutError):  # it is carried, and nobody answers
                    line.recv(1)
                running.send_signal(signal.SIGINT)
                _, errors = running.communicate(timeout=20)
        assert (running.returncode, errors) == (0, "")
    finally:
        subprocess.run([*command, "down", "forward-open"], check=False, capture_output=True)
