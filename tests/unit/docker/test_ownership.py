"""Whose a net is, and which names can be a net's at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stressnet.backends.docker import found
from stressnet.backends.docker.found import Things
from stressnet.backends.docker.ownership import owner


def test_another_state_folder_is_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets are registered in the state folder, so those of another are not ours."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a"))
    one, again = owner(), owner()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "b"))
    assert one == again != owner()


@pytest.mark.parametrize("name", ["", "=", "Upper", "a,b", "../x"])
def test_what_is_no_name_of_a_net_is_not_looked_for(name: str) -> None:
    """An empty name would list everything of everybody, for removal."""
    no_engine: Any = None
    with pytest.raises(ValueError, match="no name of a net"):
        found.things_of(no_engine, name)


def test_labels_that_name_no_net_are_passed_over() -> None:
    """Whoever wrote such a label, it was not us."""
    odd = [{"Labels": {"stressnet.net": name}} for name in ("", "A b", "ok")]
    assert list(found._by_net(Things(containers=odd))) == ["ok"]
