"""All kinds of faults that stressnet itself can do, by name.

A kind of *node* may declare more, of the layer "protocol"; whoever takes faults takes such a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stressnet.faults.kind import FaultKind, Parameter
from stressnet.faults.node import NODE
from stressnet.faults.packet import PACKET
from stressnet.faults.stream import STREAM

__all__ = ["KINDS", "FaultKind", "Parameter"]

KINDS: Mapping[str, FaultKind] = MappingProxyType({kind.name: kind for kind in (*PACKET, *STREAM, *NODE)})
