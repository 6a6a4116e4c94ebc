"""What of the docker backend works here, for `doctor`, for the choice of a backend, and for tests."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from stressnet.errors import EnvironmentProblem
from stressnet.images.engine import fresh_client

_PATIENCE_S = 2
_DISKS_SINCE = (5, 2)
"""The kernel that can put a mount into another namespace (open_tree, move_mount)."""


def describe_engine() -> Iterator[tuple[str, str, str, str]]:
    """Yield (name, fault, found, remedy) of the engine and of our images; `fault` is empty where all is well."""
    try:
        client = fresh_client(_PATIENCE_S)
    except EnvironmentProblem as problem:
        yield (
            "engine",
            problem.message,
            "",
            "systemctl start docker, or scripts/install-docker on Debian as root",
        )
        return
    version = client.version()
    yield "engine", "", f"Docker {version['Version']}, API {version['ApiVersion']}", ""
    facts = client.info()
    kernel = f"kernel {facts['KernelVersion']}"
    yield "container disks", disks_fault(facts), kernel, "a newer kernel, or nets without `disk`"
    ours = sorted(
        tag for image in client.images() for tag in image["RepoTags"] or () if tag.startswith("stressnet/")
    )
    client.close()
    kinds = [tag for tag in ours if not tag.startswith(("stressnet/agent:", "stressnet/base:"))]
    fault = "" if kinds else "no image of a kind has been built"
    yield "images", fault, ", ".join(kinds), "stressnet images build"


def disks_fault(facts: Mapping[str, Any]) -> str:
    """Return why nodes cannot have disks on an engine that says this of itself, empty where they can."""
    kernel = str(facts["KernelVersion"])
    numbers = re.match(r"(\d+)\.(\d+)", kernel)
    if numbers and tuple(map(int, numbers.groups())) >= _DISKS_SINCE:
        return ""
    return f"the engine's machine has kernel {kernel}, and they need {'.'.join(map(str, _DISKS_SINCE))}"


def has_images(images: Collection[str]) -> bool:
    """Tell whether an engine answers and has all these images."""
    try:
        client = fresh_client(_PATIENCE_S)
    except EnvironmentProblem:
        return False
    tags = {tag for image in client.images() for tag in image["RepoTags"] or ()}
    client.close()
    return {image if ":" in image.rpartition("/")[2] else f"{image}:latest" for image in images} <= tags
