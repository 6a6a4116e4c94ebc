"""Real nodes on loopback addresses, for tests that need more than one part."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

IMAGE = Path(__file__).resolve().parents[3] / "images" / "syncnode"
sys.path.insert(0, str(IMAGE))

_addresses = itertools.count(2)


def address() -> str:
    """Return a loopback address that no other test of this run, or of a parallel one, uses."""
    number = next(_addresses)
    return f"127.{100 + os.getpid() // 250 % 150}.{os.getpid() % 250}.{number}"


def until(condition: Callable[[], object], seconds: float = 30.0, what: str = "") -> object:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.02)


class Process:
    """One node as a process of its own."""

    def __init__(self, home: Path, name: str, host: str) -> None:
        self.home, self.name, self.host = home, name, host
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, str(IMAGE / "bin" / "syncnode"), "--home", str(self.home)], stderr=log
        )
        log.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(10)

    def log(self) -> str:
        return (self.home / "log").read_text()

    def get(self, path: str, port: int = 9500) -> str:
        with urllib.request.urlopen(f"http://{self.host}:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def call(self, method: str, *params: object) -> object:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        with urllib.request.urlopen(f"http://{self.host}:9500/", body, timeout=5) as answer:
            reply = json.load(answer)
        assert "error" not in reply, reply
        return reply["result"]

    def height(self) -> int:
        try:
            return int(str(self.call("hmyv2_blockNumber")))
        except OSError:
            return -1

    def peers(self) -> list[dict[str, object]]:
        try:
            return self.call("hmyv2_getPeerInfo")  # type: ignore[return-value]
        except OSError:
            return []

    def hash(self, number: int) -> object:
        found = self.call("hmyv2_getBlockByNumber", number)
        assert isinstance(found, dict)
        return found["blockHash"]


class Net:
    """Nodes that know each other."""

    def __init__(self, folder: Path, names: list[str], validators: list[str], chain: str = "") -> None:
        self.nodes = {name: self._make(folder / name, name) for name in names}
        hosts = [node.host for node in self.nodes.values()]
        for node in self.nodes.values():
            peers = json.dumps([f"{host}:9000" for host in hosts])
            role = "validator" if node.name in validators else "full"
            (node.home / "config.toml").write_text(
                f'time_scale = 10\n[node]\nname = "{node.name}"\nrole = "{role}"\nseed = 5\n'
                f'[p2p]\nlisten = "{node.host}:9000"\nbootnodes = ["{hosts[0]}:9000"]\npeers = {peers}\n'
                f'[rpc]\nlisten = "{node.host}:9500"\n[metrics]\nlisten = "{node.host}:9900"\n'
                f'[log]\nlevel = "debug"\n[chain]\npayload = 64\n'
                f"validators = {json.dumps(validators)}\n{chain}\n"
            )

    @staticmethod
    def _make(home: Path, name: str) -> Process:
        home.mkdir()
        return Process(home, name, address())

    def __getitem__(self, name: str) -> Process:
        return self.nodes[name]

    def start(self, *names: str) -> None:
        for name in names or self.nodes:
            self.nodes[name].start()

    def agree(self, *names: str) -> bool:
        """Tell whether nodes have the same block at the lowest of their heights."""
        nodes = [self.nodes[name] for name in names or self.nodes]
        lowest = min(node.height() for node in nodes)
        return lowest > 0 and len({node.hash(lowest) for node in nodes}) == 1
