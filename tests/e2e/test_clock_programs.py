"""Programs that ask the vDSO without any C library see the shifted time of day too."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from needs import require_go

from stressnet.agent.clockshift import Outcome, bring
from stressnet.images import golang

PROGRAM = """
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func spin() {
	for {
		time.Now()
	}
}

func main() {
	go spin()
	began := time.Now()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		now := time.Now()
		fmt.Println(now.UnixNano(), now.Sub(began).Nanoseconds())
	}
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="clocks are shifted on x86_64 alone")
def test_a_program_in_go_sees_another_time_of_day(tmp_path: Path) -> None:
    """Its durations are measured by the monotonic clock, and stay right."""
    require_go()
    (tmp_path / "main.go").write_text(PROGRAM)
    (tmp_path / "go.mod").write_text("module tell\n\ngo 1.21\n")
    golang.build(tmp_path, tmp_path / "tell", "x86_64")
    with subprocess.Popen([tmp_path / "tell"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout

        def ask() -> tuple[float, float]:
            child.stdin.write(b"\n")
            child.stdin.flush()
            wall, elapsed = child.stdout.readline().split()
            return int(wall) / 1e9 - time.time(), int(elapsed) / 1e9 - time.monotonic()

        try:
            began = ask()
            for offset_us in (30_000_000, -86_400_500_000, 0):
                assert bring(lambda: [child.pid], offset_us) == Outcome((offset_us,), {})
                wall, elapsed = ask()
                assert wall == pytest.approx(began[0] + offset_us / 1e6, abs=1)
                assert elapsed == pytest.approx(began[1], abs=1)
        finally:
            child.kill()
