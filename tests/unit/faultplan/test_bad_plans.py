"""Every bad fault plan is refused with all its mistakes and their places; the .txt beside it has the message."""

from __future__ import annotations

from pathlib import Path

import pytest

from stressnet.engine.run.scenario import load_scenarios
from stressnet.errors import InputError

BAD = Path(__file__).parents[1] / "badplans"
FILES = sorted(path.stem for path in BAD.glob("*.yaml"))


def refusal(file: str, *sets: str, variant: str | None = None) -> str:
    with pytest.raises(InputError) as refused:
        load_scenarios(Path(file), sets=sets, backend="netns", variant=variant, check=False)
    return str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_a_bad_plan_is_refused_in_these_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    monkeypatch.delenv("STRESSNET_KINDS", raising=False)
    assert refusal(f"{name}.yaml") + "\n" == (BAD / f"{name}.txt").read_text()


def test_there_are_many_bad_plans() -> None:
    assert len(FILES) >= 14


def test_overrides_are_checked_like_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is only a topology's goes to the topology, everything else to the plan."""
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(
        "topology: {name: t, defaults: {kind: syncnode}, nodes: {a: {count: 2}}}\nduration: 5s\nchecks: [stuck]\n"
    )
    found = refusal("good.yaml", "duration=6", "nodes.a.count=none")
    assert "--set duration: 6 has no unit" in found
    assert "nodes.a.count: 'none'" in found


def test_a_variant_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(
        "topology: {name: t, defaults: {kind: syncnode}, nodes: {a: {count: 2}}}\nduration: 5s\nchecks: [stuck]\n"
        "variants: {bug: {expect: fail}, fixed: {expect: pass}}\n"
    )
    found = refusal("good.yaml", variant="fixd")
    assert found == ("--variant: no variant 'fixd' in good.yaml; allowed: bug, fixed (did you mean 'fixed'?)")
