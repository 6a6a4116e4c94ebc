"""docker-compose.yml: a fixed net for people who only have compose."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from needs import REPOSITORY, require

COMPOSE = ["docker-compose", "-p", "stressnet-compose-test", "-f", str(REPOSITORY / "docker-compose.yml")]


@pytest.fixture
def compose() -> Iterator[None]:
    require("docker")
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")
    try:
        subprocess.run([*COMPOSE, "up", "-d", "--no-build"], check=True, capture_output=True)
        yield
    finally:
        subprocess.run([*COMPOSE, "down", "-v", "-t", "1"], check=True, capture_output=True)


def height(port: int) -> int:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "hmyv2_blockNumber", "params": []}).encode()
    with urlopen(
        Request(f"http://127.0.0.1:{port}/", body, {"Content-Type": "application/json"}), timeout=5
    ) as answer:
        return int(json.load(answer)["result"])


@pytest.mark.docker
def test_three_nodes_of_the_compose_file_make_blocks_together(compose: None) -> None:
    """All three pass height 3, within a block of each other."""
    deadline = time.monotonic() + 60
    heights = [0]
    while min(heights) < 3:
        assert time.monotonic() < deadline, heights
        time.sleep(0.5)
        try:
            heights = [height(port) for port in (9511, 9512, 9513)]
        except OSError:
            continue
    assert max(heights) - min(heights) <= 1
