"""What this kernel lets us do, found out by doing it in a throwaway namespace.

`python -m stressnet.agent.capabilities` prints one JSON object: the name of each ability, and "" where it is
there or the kernel's words where it is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from stressnet.agent import disks, kernel, netlink, nftables
from stressnet.agent.clocktrial import tried as clock_tried
from stressnet.agent.traffic import tried
from stressnet.agent.world import enter


def main() -> None:
    """Try everything, in order: the first needs nothing, the others need what it made."""
    found = {"namespaces": _outcome(enter)}
    if not found["namespaces"]:
        kernel.unshare(kernel.CLONE_NEWNET)
        found["veth"] = _outcome(_veth)
        found |= tried()
        found["nft"] = _outcome(_nft)
        found["tmpfs"] = _outcome(disks.try_out)
    # Last, because it needs a child, and the first child of new namespaces is the only one when it ends.
    found["clock"] = clock_tried()
    print(json.dumps(found))  # noqa: T201 - this is the program's answer


def _outcome(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except FileNotFoundError as error:
        return f"{error.filename} is not there" if error.filename else "the kernel does not have it"
    except OSError as error:
        return str(error)
    return ""


def _veth() -> None:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    with netlink.Route() as route:
        route.send(
            [
                netlink.veth(
                    name="eth0",
                    index=2,
                    hardware=b"\x02\0\0\0\0\1",
                    peer="eth1",
                    peer_index=3,
                    peer_hardware=b"\x02\0\0\0\0\2",
                    peer_namespace=here,
                )
            ]
        )


def _nft() -> None:
    table = "probe"
    with nftables.Nftables() as kernel_tables:
        kernel_tables.commit(
            [
                nftables.table(table),
                nftables.new_set(
                    table, nftables.Set("links", (nftables.IPV4,), (nftables.IPV4, nftables.PORT)), 1
                ),
                nftables.chain(table, "redirect", "nat", "prerouting", -100),
                nftables.rule(
                    table,
                    "redirect",
                    nftables.meta(0, nftables.PROTOCOL),
                    nftables.compare(0, b"\x06"),
                    nftables.destination(0),
                    nftables.look_up("links"),
                    nftables.translate("dnat", port=True),
                ),
            ]
        )


if __name__ == "__main__":
    main()
