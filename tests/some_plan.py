"""A plan of nine nodes in two regions, for tests of what selects them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from stressnet.compile import compile_plan
from stressnet.plan import Plan
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

_TOPOLOGY = """\
name: net
regions: {west: {east: 40ms}, east: {}}
defaults: {kind: syncnode}
nodes:
  boot: {region: west, role: boot}
  us: {count: 4, region: west, role: validator, labels: {zone: a}}
  eu: {count: 3, region: east, role: validator, labels: {zone: b}}
  late: {region: east, labels: {tier: slow}}
"""


@cache
def some_plan() -> Plan:
    """Return boot, us-1 to us-4, eu-1 to eu-3 and late, in this order."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "net.yaml")
        file.write_text(_TOPOLOGY)
        return compile_plan(load(file), Kinds(), find=lambda name: f"/opt/{name}")
