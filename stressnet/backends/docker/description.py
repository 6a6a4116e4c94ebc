"""What of the docker backend works here, for `doctor`, for the choice of a backend, and for tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stressnet.errors import EnvironmentProblem
from stressnet.images.engine import fresh_client
from stressnet.images.kinds import LABEL_CONTENT, LABEL_SOURCES, buildable, sources
from stressnet.spec.kinds import Kinds, LoadedKind

_PATIENCE_S = 2
_NOT_OF_KINDS = ("stressnet/agent:", "stressnet/base:")
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
    labels = _labels(client.images())
    client.close()
    kinds = sorted(
        tag for tag in labels if tag.startswith("stressnet/") and not tag.startswith(_NOT_OF_KINDS)
    )
    known = {one.kind.image: one for one in buildable(Kinds())}
    old = [tag for tag in kinds if _is_old(labels[tag], known.get(tag))]
    fault = f"built from other files than their kinds have now: {', '.join(old)}" if old else ""
    yield (
        "images",
        fault if kinds else "no image of a kind has been built",
        ", ".join(kinds),
        "stressnet images build",
    )


def disks_fault(facts: Mapping[str, Any]) -> str:
    """Return why nodes cannot have disks on an engine that says this of itself, empty where they can."""
    kernel = str(facts["KernelVersion"])
    numbers = re.match(r"(\d+)\.(\d+)", kernel)
    if numbers and tuple(map(int, numbers.groups())) >= _DISKS_SINCE:
        return ""
    return f"the engine's machine has kernel {kernel}, and they need {'.'.join(map(str, _DISKS_SINCE))}"


def has_images(images: Mapping[str, LoadedKind | None]) -> bool:
    """Tell whether an engine answers and has all these images, as new as the kind whose own they are."""
    try:
        client = fresh_client(_PATIENCE_S)
    except EnvironmentProblem:
        return False
    labels = _labels(client.images())
    client.close()
    return all(
        (there := labels.get(image if ":" in image.rpartition("/")[2] else f"{image}:latest")) is not None
        and not _is_old(there, kind)
        for image, kind in images.items()
    )


def _labels(images: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, str]]:
    return {tag: image["Labels"] or {} for image in images for tag in image["RepoTags"] or ()}


def _is_old(labels: Mapping[str, str], kind: LoadedKind | None) -> bool:
    """Tell whether an image that we built is of other files; one that somebody else built is as he wants it."""
    if not kind or kind.kind.build is None or LABEL_CONTENT not in labels:
        return False
    return labels.get(LABEL_SOURCES) != sources(kind)
