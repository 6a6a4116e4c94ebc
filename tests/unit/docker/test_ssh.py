"""An address of an engine behind ssh becomes the words of one command."""

from __future__ import annotations

import pytest

from stressnet.errors import UsageError
from stressnet.images.ssh import command


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ssh://far", ["--", "far"]),
        ("ssh://me@Far:2222", ["-l", "me", "-p", "2222", "--", "Far"]),
        ("ssh://[::1]:22", ["-p", "22", "--", "::1"]),
        ("ssh://-oProxyCommand=x", ["--", "-oProxyCommand=x"]),
    ],
)
def test_user_host_and_port_are_words_of_their_own(address: str, words: list[str]) -> None:
    """No shell of this machine sees them, and none of them can pass for an option."""
    assert command(address)[-len(words) - 1 :] == [*words, "docker system dial-stdio"]


@pytest.mark.parametrize(
    "address", ["ssh://", "ssh://far:port", "ssh://far/run/docker.sock", "ssh://me:pw@far"]
)
def test_what_ssh_cannot_be_told_is_refused(address: str) -> None:
    """With the address and the form that is meant."""
    with pytest.raises(UsageError, match=r"behind ssh an engine is ssh://\[USER@\]HOST\[:PORT\]"):
        command(address)
