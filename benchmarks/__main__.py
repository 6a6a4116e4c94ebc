"""Measure everything that docs/performance.md promises, on namespaces: some 20 minutes on an idle machine.

python -m benchmarks [netns|docker]
"""

from __future__ import annotations

import subprocess
import sys

_ALL = (
    ("up", "{backend}", "10", "50", "100"),
    ("status", "{backend}", "100"),
    ("sampling", "{backend}", "100"),
    *(
        ("links", what, "--backend", "{backend}")
        for what in ("hop", "packet", "faults", "delay", "rate", "drop", "up")
    ),
    ("syncs", "--backend", "{backend}"),
    ("syncnode", "start", "crowd", "serve", "catchup", "wire"),
    ("leftovers", "--backend", "{backend}"),
)


def main() -> int:
    """Run one after the other, and go on where one fails; return how many did."""
    backend = sys.argv[1] if len(sys.argv) > 1 else "netns"
    failed = 0
    for name, *words in _ALL:
        command = [
            sys.executable,
            "-m",
            f"benchmarks.{name}",
            *(word.format(backend=backend) for word in words),
        ]
        print(f"== {' '.join(command[1:])}", flush=True)
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
