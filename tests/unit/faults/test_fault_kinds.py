"""Kinds of faults describe themselves completely, and consistently with what is done for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stressnet.errors import Problem
from stressnet.faults.compose import Packet, packets, toxics
from stressnet.faults.fallback import INSTEAD, by_relay
from stressnet.faults.fault import Fault
from stressnet.faults.kind import FaultKind, Value
from stressnet.faults.kinds import KINDS
from stressnet.spec.fault import bounds, read_parameters, show_value

LINK = ("a", "b")
ALL = [pytest.param(kind, id=name) for name, kind in KINDS.items()]


def example(kind: FaultKind) -> dict[str, Value]:
    problems: list[Problem] = []
    texts = [f"{one.name}={one.example}" for one in kind.parameters]
    found = read_parameters(kind, texts, problems)
    assert problems == []
    return found


@pytest.mark.parametrize("kind", ALL)
def test_the_example_of_every_parameter_is_right(kind: FaultKind) -> None:
    assert example(kind).keys() == {one.name for one in kind.parameters}


@pytest.mark.parametrize("kind", ALL)
def test_defaults_are_within_bounds_and_words(kind: FaultKind) -> None:
    for one in kind.parameters:
        assert one.summary
        assert bounds(one) or one.up_to
        if isinstance(one.default, str):
            assert one.default in one.choices
        elif one.default is not None:
            assert one.least <= one.default <= one.most
            assert one.fits(one.default)
        assert not one.up_to or one.up_to in {other.name for other in kind.parameters}


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_on_a_link_does_something_and_no_other_does(kind: FaultKind) -> None:
    fault = Fault("f1", kind.name, example(kind), links=(LINK,))
    assert (packets([fault]).get(LINK, Packet()) != Packet()) == (kind.layer == "packet")
    assert bool(toxics([fault])) == (kind.layer == "stream")
    assert (
        kind.needs
        in {
            "packet": ("nft", "tc", "netem"),
            "stream": ("relay",),
            "node": ("", "cgroups", "tmpfs", "clock"),
        }[kind.layer]
    )


def test_a_fault_goes_to_json_and_back() -> None:
    fault = Fault("f1", "latency", {"latency": 0.08}, (LINK, ("b", "a")), (), 12.5, "latency latency=80ms")
    assert Fault.from_raw({**fault.to_raw(), "state": "on"}) == fault
    with pytest.raises(ValueError, match="no fault"):
        Fault.from_raw({"id": "f1"})


def test_what_is_not_given_has_its_default() -> None:
    latency = KINDS["latency"]
    assert latency.complete({"latency": 0.1}) == {
        "latency": 0.1,
        "jitter": 0.0,
        "toxicity": 1.0,
        "connections": "all",
    }
    with pytest.raises(KeyError, match="latency"):
        latency.complete({})


def test_the_relay_delays_where_there_is_no_netem() -> None:
    fault = Fault("f1", "delay", {"delay": 0.08, "jitter": 0.005}, (LINK,), ends_at=9.0, asked="delay")
    found = by_relay(fault)
    assert (found.kind, found.links, found.ends_at, found.id) == ("latency", (LINK,), 9.0, "f1")
    assert [one.attributes for one in toxics([found])[LINK]] == [{"latency": 80, "jitter": 5}]
    assert set(INSTEAD.values()) <= KINDS.keys()


@pytest.mark.parametrize(
    ("kind", "parameters", "why"),
    [("delay", {"delay": 1e-4}, "whole milliseconds"), ("reorder", {}, "reorder needs netem")],
)
def test_what_the_relay_cannot_do_is_said(kind: str, parameters: dict[str, Value], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        by_relay(Fault("f1", kind, parameters, (LINK,)))


def test_the_agent_needs_nothing_but_the_standard_library_for_faults() -> None:
    code = (
        "import sys, stressnet.faults.compose, stressnet.faults.fallback\n"
        "print([name for name in sys.modules if '.' not in name and name != 'stressnet' "
        "and name not in sys.stdlib_module_names and not name.startswith('_')])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_values_are_shown_with_their_units() -> None:
    latency, rate = KINDS["latency"], KINDS["bandwidth"]
    assert show_value(latency, "latency", 0.08) == "80ms"
    assert show_value(latency, "toxicity", 0.1) == "10%"
    assert show_value(rate, "rate", 1.5e6) == "1.5Mbit/s"
    assert show_value(KINDS["cut"], "bytes", 4096) == "4KiB"
    assert show_value(KINDS["kill"], "signal", "SIGTERM") == "SIGTERM"
    assert show_value(latency, "error", 0.0123456) == "0.01235"
