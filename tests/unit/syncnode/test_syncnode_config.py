"""A wrong configuration is told whole, and the scale touches the protocol's constants alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from loopback import IMAGE
from syncnode import config
from syncnode.errors import ConfigError


def test_all_mistakes_are_told_at_once():
    raw = {
        "time_scale": 0,
        "defects": ["no_such"],
        "colour": "red",
        "sync": {"concurency": 3, "tick": "10 parsecs", "hashes": 0},
        "p2p": {"listen": "nowhere", "peers": ["127.0.0.1"]},
        "log": 3,
    }
    with pytest.raises(ConfigError) as caught:
        config.parse(raw)
    text = "\n".join(caught.value.problems)
    for word in (
        "time_scale",
        "no_such",
        "colour",
        "'concurrency'?",
        "sync.tick",
        "sync.hashes",
        "p2p.listen",
    ):
        assert word in text
    assert len(caught.value.problems) == 9


def test_contradictions_are_told():
    with pytest.raises(ConfigError, match=r"not among chain\.validators"):
        config.parse({"node": {"name": "a", "role": "validator"}})
    with pytest.raises(ConfigError, match=r"sync\.hashes"):
        config.parse({"sync": {"hashes": 51}})
    with pytest.raises(ConfigError, match=r"dns\.client: nobody to ask"):
        config.parse({"dns": {"client": True}})


def test_switches_are_true_or_false_and_ports_are_ports():
    with pytest.raises(ConfigError) as caught:
        config.parse({"dns": {"server": 1, "client": "yes", "port": 0}, "sync": {"enabled": "on"}})
    assert len(caught.value.problems) == 4


def test_the_scale_divides_constants_of_the_protocol_and_nothing_else():
    scaled = config.parse({"time_scale": 10, "sync": {"tick": "20s"}, "chain": {"block_time": "2s"}})
    assert (scaled.sync.tick, scaled.discovery.check_interval, scaled.p2p.keepalive_interval) == (
        2.0,
        3.0,
        3.0,
    )
    assert (scaled.sync.rate_stream, scaled.chain.block_time, scaled.chain.max_clock_drift) == (
        100.0,
        2.0,
        5.0,
    )
    assert scaled.sync.hashes == 20
    assert (scaled.dns.check_interval, scaled.dns.hashes, scaled.rpc.in_sync_cache) == (6.0, 30, 0.6)


def test_a_wrong_file_ends_the_program_with_2_and_no_traceback(tmp_path: Path):
    (tmp_path / "config.toml").write_text('[sync]\nticks = 1\n[chain]\npayload = "big"\n')
    done = subprocess.run(
        [sys.executable, IMAGE / "bin" / "syncnode", "--home", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "sync.ticks" in done.stderr
    assert "chain.payload" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "not toml ["])
def test_a_missing_or_unreadable_file_ends_the_program_with_2(tmp_path: Path, text: str):
    if text:
        (tmp_path / "config.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, IMAGE / "bin" / "syncnode", "--home", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr, "config.toml" in done.stderr) == (2, False, True)


def test_it_runs_through_a_link(tmp_path: Path):
    link = tmp_path / "syncnode"
    link.symlink_to(IMAGE / "bin" / "syncnode")
    done = subprocess.run([sys.executable, link, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("syncnode ")
