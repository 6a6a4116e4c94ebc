"""What our own kinds say of their nodes fits what these nodes answer and how they are configured."""

from __future__ import annotations

import re

import jmespath
import pytest

from stressnet.resources import folder
from stressnet.spec.kinds import Kinds


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"result": {"sync_info": {"catching_up": False}}}, True),
        ({"result": {"sync_info": {"catching_up": True}}}, False),
        ({"error": {"code": -32603}}, None),
    ],
)
def test_cometbft_says_nothing_of_sync_where_it_answers_an_error(answer: object, said: bool | None) -> None:
    probe = Kinds().load("cometbft").kind.in_sync
    assert probe
    assert probe.http
    assert jmespath.search(probe.http.query, answer) is said


def test_the_reference_nodes_series_are_in_its_code() -> None:
    code = "".join(file.read_text() for file in (folder("images") / "syncnode" / "syncnode").glob("*.py"))
    series = Kinds().load("syncnode").kind.series.model_dump()
    assert None not in series.values()
    assert [name for name in series.values() if f'"{name}"' not in code] == []


def test_the_reference_nodes_timers_are_its_own() -> None:
    """Each is a default of its configuration, or what the kind sets instead."""
    code = (folder("images") / "syncnode" / "syncnode" / "config.py").read_text()
    stock: dict[str, float] = {}
    for name, value in re.findall(r"    (\w+): Scaled = ([\d.]+)", code):
        stock.setdefault(name, float(value))  # those of the legacy sync come last
    kind = Kinds().load("syncnode").kind
    timers = dict(kind.recovery_timers)
    assert timers.pop("keepalive") == stock["keepalive_interval"] + stock["keepalive_timeout"]
    assert timers.pop("request_timeout") == float(kind.config["sync.by_number_timeout"].rstrip("s"))
    names = {"discovery_check": "check_interval", "sync_tick": "tick", "reconnect": "reconnect_max"}
    assert timers == {name: stock[names.get(name, name)] for name in timers}
