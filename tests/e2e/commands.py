"""Commands that are begun in a folder, and ended or interrupted by a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def begin(folder: Path, *words: str | Path) -> subprocess.Popen[str]:
    """Begin a command there; the package is found from everywhere."""
    command = [sys.executable, "-m", "stressnet", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder, env=env)
