"""Who holds a net's lock is seen without being in its way."""

from __future__ import annotations

import pytest

from stressnet import state
from stressnet.errors import UsageError


@pytest.mark.usefixtures("state_home")
def test_a_net_is_busy_while_a_command_works_on_it() -> None:
    """To look must not take the lock, or whoever looks would be in the way of `up` and `down`."""
    assert not state.is_locked("n")
    with state.locked("n"):
        assert state.is_locked("n")
        assert not state.is_locked("other")
        with pytest.raises(UsageError, match="another command"), state.locked("n"):
            pass
        assert state.is_locked("n")
    assert not state.is_locked("n")
