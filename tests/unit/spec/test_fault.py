"""Parameters of faults are read with their units, within their bounds, and all mistakes are said at once."""

from __future__ import annotations

import pytest

from stressnet.errors import Problem
from stressnet.faults.kind import Value
from stressnet.faults.kinds import KINDS
from stressnet.spec.fault import read_kind, read_parameters


def read(kind: str, *texts: str) -> tuple[dict[str, Value], list[str]]:
    problems: list[Problem] = []
    found = read_parameters(KINDS[kind], texts, problems)
    return found, [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        (
            "latency",
            ["latency=80ms"],
            {"latency": 0.08, "jitter": 0.0, "toxicity": 1.0, "connections": "all"},
        ),
        (
            "latency",
            ["toxicity=10%", "latency=1s", "jitter=1s", "connections=new"],
            {"latency": 1.0, "jitter": 1.0, "toxicity": 0.1, "connections": "new"},
        ),
        ("bandwidth", ["rate=125kB/s"], {"rate": 1e6, "toxicity": 1.0, "connections": "all"}),
        ("cut", ["bytes=0B"], {"bytes": 0, "toxicity": 1.0, "connections": "all"}),
        ("partition", [], {}),
        ("clock", ["offset=-30s"], {"offset": -30.0}),
        ("clock", ["offset=+1.5h"], {"offset": 5400.0}),
        ("clock", ["offset=30us"], {"offset": 3e-5}),
    ],
)
def test_parameters_are_in_si(kind: str, texts: list[str], values: dict[str, Value]) -> None:
    found, problems = read(kind, *texts)
    assert problems == []
    assert found == pytest.approx(values)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("latency", "latency=80", "latency=80: 80 has no unit; allowed: a time with its unit"),
        ("latency", "latency=80mz", "'80mz' has an unknown unit 'mz'"),
        ("latency", "latency=-80ms", "-80ms is negative"),
        ("latency", "latency=+80ms", "latency=+80ms: '+80ms'; allowed: a time with its unit"),
        ("clock", "offset=-30", "offset=-30: 30 has no unit; allowed: a time with its unit"),
        ("clock", "offset=--30s", "-30s is negative"),
        ("clock", "offset=-", "offset=-: ''; allowed: a time with its unit"),
        ("clock", "offset=-367d", "367d; allowed: at most 366d"),
        ("clock", "offset=-0.5us", "-0.5us is between two steps; allowed: multiples of 1us"),
        ("latency", "latency=", "latency without a value; allowed: latency=80ms"),
        ("latency", "latency", "latency without a value"),
        ("latency", "latency=0s", "0s is too little; allowed: 1ms to 1d"),
        ("latency", "latency=1.5ms", "1.5ms is between two steps; allowed: multiples of 1ms"),
        ("latency", "latency=2d", "2d is too much; allowed: 1ms to 1d"),
        ("drop", "probability=0.1", "0.1 has no unit; allowed: a percentage with its unit (%)"),
        ("drop", "probability=101%", "101%; allowed: 0% to 100%"),
        ("drop", "probability=0%", "0% is too little"),
        ("rate", "rate=1Mbit", "unknown unit 'Mbit'"),
        ("bandwidth", "rate=12kbit/s", "12kbit/s is between two steps; allowed: multiples of 8kbit/s"),
        ("reset", "timeout=30s", "30s is too much; allowed: at most 10s"),
        ("kill", "signal=SIGSTOP", "'SIGSTOP'; allowed: SIGKILL, SIGTERM"),
        ("kill", "signal=SIGTREM", "did you mean 'SIGTERM'?"),
        (
            "drop",
            "propability=5%",
            "drop has no parameter 'propability'; allowed: probability=5% (did you mean",
        ),
        ("pause", "x=1", "pause has no parameter 'x'; allowed: pause takes no parameters"),
        ("drop", "5%", "no parameter; allowed: probability=5%"),
        ("drop", "=5%", "drop has no parameter ''"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(kind: str, text: str, said: str) -> None:
    assert any(said in problem for problem in read(kind, text)[1]), read(kind, text)[1]


def test_a_wrong_value_is_not_also_missing() -> None:
    assert len(read("latency", "latency=80")[1]) == 1
    assert read("latency")[1] == ["latency: latency is missing; allowed: latency=80ms"]


def test_twice_is_a_mistake() -> None:
    assert (
        "latency=2ms: latency twice; allowed: each parameter once"
        in read("latency", "latency=1ms", "latency=2ms")[1]
    )


def test_a_jitter_is_at_most_its_delay() -> None:
    said = ["jitter=90ms: jitter is more than latency; allowed: at most latency, 80ms"]
    assert read("latency", "latency=80ms", "jitter=90ms")[1] == said


def test_all_mistakes_are_said_at_once() -> None:
    assert len(read("slice", "average_size=1", "delay=1x", "toxicity=200%", "sise=3B")[1]) == 4


def test_an_unknown_kind_gets_the_nearest() -> None:
    problems: list[Problem] = []
    assert read_kind("latancy", problems) is None
    assert problems[0].nearest == "latency"
    assert "drop, partition" in problems[0].allowed
