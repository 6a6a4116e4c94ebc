"""Which of our images the engine has."""

from __future__ import annotations

from typing import Any

import docker
import docker.errors

from stressnet.images import agent, base, kinds
from stressnet.images.engine import connect, explained, inspect_image
from stressnet.spec.kinds import Kinds


def listing(known: Kinds) -> list[dict[str, Any]]:
    """Return, for each image that stressnet builds, what the engine says of it."""
    engine = connect()
    wanted = {base.TAG: "all images", agent.tag(): "the agent"}
    wanted |= {one.kind.image or "": f"kind {one.kind.name}" for one in kinds.buildable(known)}
    return [_facts(engine, image, use) for image, use in wanted.items()]


def _facts(engine: docker.APIClient, image: str, use: str) -> dict[str, Any]:
    with explained(f"looking at image {image}"):
        try:
            found = inspect_image(engine, image)
        except docker.errors.ImageNotFound:
            return {"image": image, "for": use, "there": False, "size": None, "base": ""}
    labels = found["Config"]["Labels"] or {}
    made_from = str(labels.get(base.LABEL, ""))
    return {"image": image, "for": use, "there": True, "size": found["Size"], "base": made_from}
