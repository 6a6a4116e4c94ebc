"""Fault plans written into a test, compiled for a net of two groups."""

from __future__ import annotations

from pathlib import Path

from stressnet.engine.run.scenario import Scenario, load_scenarios

HEAD = """\
topology: {name: t, defaults: {kind: syncnode}, nodes: {a: {count: 3}, b: {}}}
duration: 20s
checks: [stuck]
"""


def compiled(folder: Path, more: str, **options: object) -> Scenario:
    file = folder / "plan.yaml"
    file.write_text(HEAD + more)
    (one,) = load_scenarios(file, backend="netns", check=False, **options)  # type: ignore[arg-type]
    return one


def timeline(*steps: str) -> str:
    return "timeline:\n" + "".join(f"  - {{{step}}}\n" for step in steps)
