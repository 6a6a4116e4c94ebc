"""Give the engine a context and have it build an image from that; its own words where it cannot."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import docker

from stressnet.errors import StageError
from stressnet.images.engine import explained

_TAIL = 15


def build(
    engine: docker.APIClient,
    context: io.BytesIO,
    tag: str,
    *,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
) -> None:
    """Build and tag an image. Nothing is fetched: not by the engine, and steps have no network."""
    said: list[str] = []
    with explained(f"building {tag}"):
        for line in engine.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            rm=True,
            forcerm=True,
            network_mode="none",
            labels=dict(labels),
            buildargs=dict(arguments),
        ):
            for record in line.decode().splitlines():
                _note(json.loads(record), tag, said)


def _note(record: Mapping[str, str], tag: str, said: list[str]) -> None:
    if "error" in record:
        raise StageError(f"building {tag}: {record['error']}", hints=[*said[-_TAIL:]])
    if text := record.get("stream", "").strip():
        said.append(text)


def has(engine: docker.APIClient, tag: str) -> bool:
    """Whether the engine has the image."""
    with explained(f"looking for image {tag}"):
        return bool(engine.images(name=tag, quiet=True))
