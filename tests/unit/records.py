"""A record on disk as a run leaves it, made without one: nine nodes that gain a block a second, but for those named."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from some_plan import some_plan

from stressnet.record import runs
from stressnet.record.samples import HostSample, NodeSample, Samples

BEGUN = 1_700_000_000.0
STUCK = {"name": "stuck", "check": "stuck", "parameters": {"window": "15s"}}
_HOST = {"system": "Linux 6", "machine": "x86_64", "cpus": 2, "memory_bytes": 2**33, "load": 0.1}
_PHASES = {"up": 0, "settle": 1, "baseline": 2, "timeline": 5, "observe": 20, "over": 60, "down": 61}


def make_record(
    root: Path,
    *,
    name: str = "cut",
    variant: str = "bug",
    begun: float = BEGUN,
    stuck: Collection[str] = (),
    checks: Sequence[Mapping[str, Any]] = (STUCK,),
    until: int = 62,
    more: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Return the folder of a record that ends after so many seconds; over is a run after 60. It has no verdict."""
    path = runs.new_run(root, name, begun)
    facts: dict[str, Any] = {
        "name": name,
        "variant": variant,
        "expected": "fail",
        "description": "",
        "file": f"{name}.yaml",
    }
    facts |= {"seed": 7, "time_scale": None, "net": f"{name}-1", "backend": "netns", "begun_at": begun}
    facts |= {"command": ["stressnet", "run", f"{name}.yaml"], "checks": list(checks), "images": {}}
    facts |= {"versions": {"stressnet": "0", "python": "3"}, "host": _HOST}
    runs.write_json(path / runs.RUN, facts)
    (path / runs.PLAN).write_text(some_plan().to_json())
    events = [
        {"time": begun + at, "event": "phase", "phase": phase} for phase, at in _PHASES.items() if at < until
    ]
    lines = [json.dumps(event) for event in sorted([*events, *more], key=lambda event: event["time"])]
    (path / runs.JOURNAL).write_text("\n".join(lines) + "\n")
    samples = Samples(path / runs.SAMPLES, name)
    for second in range(min(until, 60)):
        at = begun + second
        heights = {node.name: 10 if node.name in stuck else 10 + second for node in some_plan().nodes}
        looks = [NodeSample(at, at, node, "ready", 1, 1, height) for node, height in heights.items()]
        host = HostSample(
            at, at, 0.0, 0.0, 2, 0.0, 0.0, 0.0, None, None, None, 0.1, 2**30, 2**30, 0.0, 0, 0.0, 0
        )
        samples.write([*looks, host])
    samples.close(alone=True)
    return path


def verdict_of(path: Path) -> dict[str, Any]:
    """Return the verdict that lies in a record."""
    found: dict[str, Any] = json.loads((path / runs.VERDICT).read_text())
    return found
