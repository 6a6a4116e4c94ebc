"""The fixture that makes nets of real nodes, and takes them down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from loopback import Net

settings.register_profile("many", max_examples=10_000, deadline=None)


@pytest.fixture
def make_net(tmp_path: Path) -> Iterator[Callable[..., Net]]:
    nets: list[Net] = []

    def make(names: list[str], validators: list[str], chain: str = "") -> Net:
        nets.append(Net(tmp_path, names, validators, chain))
        return nets[-1]

    yield make
    for net in nets:
        for node in net.nodes.values():
            if node.process is not None:
                node.process.kill()
                node.process.wait()
