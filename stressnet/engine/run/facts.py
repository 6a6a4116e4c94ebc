"""What a record says of the program and the machine that made it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from stressnet import __version__
from stressnet.plan import Plan


def host_facts() -> dict[str, Any]:
    """Return what matters of this machine when two runs are compared."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of what runs here."""
    return {"stressnet": __version__, "python": platform.python_version()}


def images(plan: Plan) -> Mapping[str, str]:
    """Return the digest of each image that nodes are made from; empty on netns, and where none is known."""
    names = sorted({node.image for node in plan.nodes if node.image})
    if plan.backend != "docker" or not names:
        return {}
    from stressnet.images.engine import connect, explained, inspect_image

    with explained("looking at images"):
        return {name: str(inspect_image(connect(), name)["Id"]) for name in names}
