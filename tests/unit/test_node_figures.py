"""What the kernel says of a process, read from outside, against what the process knows of itself."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stressnet.agent.cgroups import Groups
from stressnet.agent.diagnosis import open_diagnosis
from stressnet.agent.nodefigures import NodeFigures
from stressnet.record.samples import NodeSample


def fresh() -> NodeSample:
    return NodeSample(time.time(), time.monotonic(), "n", "ready", os.getpid(), 1)


@pytest.fixture
def figures() -> Iterator[NodeFigures]:
    made = NodeFigures(os.getpid(), (), None)
    yield made
    made.close()


def test_threads_descriptors_and_time_are_those_of_the_process(figures: NodeFigures) -> None:
    before = fresh()
    figures.look(before)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    files = [open(os.devnull) for _ in range(7)]  # noqa: SIM115 - they are counted
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    after = fresh()
    figures.look(after)
    stop.set()
    thread.join()
    for file in files:
        file.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.threads == before.threads + 1  # type: ignore[operator]
    assert after.fds == before.fds + 7  # type: ignore[operator]
    assert after.cpu_s - before.cpu_s >= 0.15  # type: ignore[operator]
    spent = used.ru_utime + used.ru_stime + children.ru_utime + children.ru_stime
    assert after.cpu_s == pytest.approx(spent, abs=0.1)


def test_children_count_too(figures: NodeFigures) -> None:
    """Those that whoever watches the node has named."""
    alone = fresh()
    figures.look(alone)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        figures.members = (os.getpid(), child.pid)
        both = fresh()
        while (both.rss_bytes or 0) <= (alone.rss_bytes or 0):
            figures.look(both)
        assert both.processes == 2
        child.communicate(b"\n")
    figures.members = (os.getpid(),)


def test_connections_are_counted_by_state_and_port() -> None:
    """An open one to a p2p port, and one that was refused."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        figures = NodeFigures(os.getpid(), (port,), None)
        before = fresh()
        figures.look(before)
        figures.look_closely(before, open_diagnosis)
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            with accepted:
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(free.getsockname())
                after = fresh()
                figures.look(after)
                figures.look_closely(after, open_diagnosis)
        figures.close()
    assert before.p2p == 0
    assert after.p2p == 2  # both ends are here
    assert after.opens >= before.opens + 2  # type: ignore[operator]
    assert after.accepts >= before.accepts + 1  # type: ignore[operator]
    assert after.failed_opens >= before.failed_opens + 1  # type: ignore[operator]
    assert after.pss_bytes is None or 0 < after.pss_bytes <= after.rss_bytes  # type: ignore[operator]


def test_a_process_that_has_ended_is_told() -> None:
    child = subprocess.Popen(["sleep", "600"])
    figures = NodeFigures(child.pid, (), None)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(OSError):  # noqa: PT011 - a zombie: ProcessLookupError of whichever file is read first
        figures.look(fresh())
    figures.close()
    child.wait()


@pytest.mark.parametrize(
    ("files", "throttled", "kills"),
    [
        (
            {"cpu.stat": "nr_throttled 3\nthrottled_time 1500000000\n", "memory.oom_control": "oom_kill 2\n"},
            1.5,
            2,
        ),
        (
            {"cpu.stat": "usage_usec 1\nthrottled_usec 250000\n", "memory.events": "oom 1\noom_kill 4\n"},
            0.25,
            4,
        ),
        ({}, None, None),
    ],
    ids=["version 1", "version 2", "none"],
)
def test_control_groups_of_both_versions(
    files: dict[str, str], throttled: float | None, kills: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "io.pressure").write_text(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull total=0\n"
    )
    figures = NodeFigures(os.getpid(), (), Groups(tmp_path, tmp_path))
    sample = fresh()
    figures.look(sample)
    figures.close()
    assert (sample.throttled_s, sample.oom_kills) == (throttled, kills)
    assert (sample.io_pressure_s, sample.cpu_pressure_s) == (2.0, None)
