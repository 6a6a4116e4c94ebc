"""A way out of a world, for topologies with `egress: true`: user-mode networking, by slirp4netns.

It needs no privilege on this machine and touches nothing of its network or firewall. The process runs outside
the world and ends with it: it watches a pipe that process 1 of the world holds open.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAM = "slirp4netns"
INTERFACE = "tap0"
_TUN = "/dev/net/tun"
NAME_SERVER = "10.0.2.3"
"""Where slirp4netns answers DNS, in its default network 10.0.2.0/24."""
_RULES = f"""
add table ip stressnet_egress
add chain ip stressnet_egress out {{ type nat hook postrouting priority srcnat; }}
add rule ip stressnet_egress out oifname "{INTERFACE}" masquerade
"""


def missing() -> str:
    """Say what a way out needs and this machine lacks; empty where all is there."""
    lacking = [name for name in (PROGRAM, "nft") if _find(name) is None]
    if not os.access(_TUN, os.R_OK | os.W_OK):
        lacking.append(f"access to {_TUN}")
    return " and ".join(lacking)


def open_way(process_one: int, watched: int) -> None:
    """Connect the network namespace of a world to the outside; called outside of it, as its owner.

    `watched` is a pipe's end for reading; when its other end closes, the way closes. OSError where it fails.
    """
    ready, tell = os.pipe()
    command = [
        *(_find(PROGRAM) or PROGRAM, "--configure", "--mtu=65520", "--disable-host-loopback"),
        *(f"--exit-fd={watched}", f"--ready-fd={tell}"),
        *(() if os.geteuid() == 0 else (f"--userns-path=/proc/{process_one}/ns/user",)),
        *("--netns-type=path", f"/proc/{process_one}/ns/net", INTERFACE),
    ]
    with tempfile.TemporaryFile() as log:
        subprocess.Popen(
            command,
            pass_fds=[watched, tell],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        os.close(tell)
        said = os.read(ready, 1)
        os.close(ready)
        if not said:
            log.seek(0)
            why = log.read().decode(errors="replace").strip().replace("\n", "; ")
            raise OSError(0, f"{PROGRAM} could not connect the world: {why}")


def masquerade() -> None:
    """Let nodes use the world's way out under its address; called inside the world."""
    subprocess.run([_find("nft") or "nft", "-f", "-"], input=_RULES.encode(), check=True, capture_output=True)


def write_resolver(path: Path, *, egress: bool) -> None:
    """Write the resolver configuration of nodes: no server at all where there is no way out."""
    path.write_text(f"nameserver {NAME_SERVER}\n" if egress else "")


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
