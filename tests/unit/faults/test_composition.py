"""Faults on one link combine by the rules of docs/faults.md, in any order, and healing one leaves the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressnet.agent.listeners import Listener, latest, parsed, renamed
from stressnet.agent.relay import Relay
from stressnet.faults.compose import Incompatible, Packet, Toxic, packets, toxics
from stressnet.faults.fault import Fault
from stressnet.faults.kind import FaultKind, Parameter, Value
from stressnet.faults.kinds import KINDS

AB, BA = ("a", "b"), ("b", "a")
LISTENER = Listener("a.b.p2p", AB, Relay(0, "none", "127.0.0.1", Path()), 1, "240.0.0.1:1")
_SHARES = ("drop", "loss", "loss_correlation", "duplicate", "corrupt", "reorder")


def fault_of(toxic: str) -> str:
    """Return the id of the fault that a toxic of this name is part of."""
    return toxic.partition(".")[0]


def fault(name: str, kind: str, *links: tuple[str, str], **parameters: Value) -> Fault:
    return Fault(name, kind, parameters, links or (AB,))


def _value(parameter: Parameter) -> st.SearchStrategy[Value]:
    if parameter.name == "correlation":
        return st.just(0.25)  # two that differ are refused, which has a test of its own
    if parameter.choices:
        return st.just(parameter.choices[0])
    most = min(parameter.most, 1e9)
    return st.floats(parameter.least, most)


def _of(kind: FaultKind) -> st.SearchStrategy[Fault]:
    links = st.lists(
        st.tuples(*[st.sampled_from("abc")] * 2).filter(lambda pair: pair[0] != pair[1]), unique=True
    )
    values = st.fixed_dictionaries({one.name: _value(one) for one in kind.parameters})
    return st.builds(lambda given, on: Fault("", kind.name, given, tuple(on)), values, links)


def _faults(layer: str) -> st.SearchStrategy[list[Fault]]:
    one = st.one_of([_of(kind) for kind in KINDS.values() if kind.layer == layer])
    return st.lists(one, max_size=6).map(
        lambda found: [
            Fault(f"f{number}", one.kind, one.parameters, one.links) for number, one in enumerate(found, 1)
        ]
    )


@given(_faults("packet"), st.randoms())
def test_the_order_of_faults_on_packets_does_not_matter(faults: list[Fault], dice: object) -> None:
    mixed = list(faults)
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    assert packets(mixed) == packets(faults)


@given(_faults("packet"))
def test_shares_stay_shares_and_nothing_is_negative(faults: list[Fault]) -> None:
    for packet in packets(faults).values():
        for field in fields(Packet):
            value = getattr(packet, field.name)
            assert value >= 0
            assert field.name not in _SHARES or value <= 1


@given(_faults("packet"))
def test_one_more_fault_never_makes_a_link_better(faults: list[Fault]) -> None:
    before, after = packets(faults[:-1]), packets(faults)
    for link, was in before.items():
        now = after[link]
        assert now.delay_s >= was.delay_s
        assert now.loss >= was.loss
        assert now.reject or now.drop >= was.drop
        assert not was.rate or 0 < now.rate <= was.rate


@given(_faults("packet"), st.data())
def test_healing_one_leaves_links_it_was_not_on_untouched(faults: list[Fault], data: st.DataObject) -> None:
    healed = data.draw(st.sampled_from(faults)) if faults else None
    before, after = packets(faults), packets([one for one in faults if one is not healed])
    for link in before.keys() | after.keys():
        if healed is None or link not in healed.links:
            assert after[link] == before[link]


@given(_faults("stream"), st.data())
def test_healing_one_takes_its_toxics_and_leaves_exactly_the_others(
    faults: list[Fault], data: st.DataObject
) -> None:
    healed = data.draw(st.sampled_from(faults)) if faults else None
    left = toxics([one for one in faults if one is not healed])
    for proxy, here in toxics(faults).items():
        others = tuple(one for one in here if healed is None or fault_of(one.name) != healed.id)
        assert left.get(proxy, ()) == others
        assert len({one.name for one in here}) == len(here)


@given(_faults("stream"))
def test_every_direction_of_a_link_is_on_both_its_proxies(faults: list[Fault]) -> None:
    found = toxics(faults)
    for one in faults:
        for source, target in one.links:
            ups = {(toxic.name, toxic.stream) for toxic in found[source, target]}
            downs = {(toxic.name, toxic.stream) for toxic in found[target, source]}
            assert (f"{one.id}.upstream", "upstream") in ups
            assert (f"{one.id}.downstream", "downstream") in downs
    wanted = {pair for one in faults for link in one.links for pair in (link, link[::-1])}
    assert found.keys() == wanted


def test_delays_add_and_the_narrowest_rate_wins() -> None:
    found = packets(
        [
            fault("f1", "delay", delay=0.08, jitter=0.005),
            fault("f2", "delay", delay=0.02, jitter=0.001),
            fault("f3", "rate", rate=2e6),
            fault("f4", "rate", rate=1e6),
            fault("f5", "reorder", probability=0.25, delay=0.01),
        ]
    )[AB]
    assert found.delay_s == pytest.approx(0.11)
    assert found.jitter_s == pytest.approx(0.006)
    assert (found.rate, found.reorder) == (1e6, 0.25)


def test_probabilities_combine_as_independent_ones() -> None:
    found = packets([fault("f1", "drop", probability=0.5), fault("f2", "drop", probability=0.2)])[AB]
    assert found.drop == pytest.approx(0.6)
    assert packets([fault("f1", "drop", probability=0.05)])[AB].drop == 0.05


def test_probabilities_combine_to_the_last_bit_alike_in_any_order() -> None:
    drops = [fault(f"f{share}", "drop", probability=share) for share in (0.05, 0.1, 0.35)]
    assert len({packets(mixed)[AB].drop for mixed in permutations(drops)}) == 1


def test_a_partition_beats_a_reject_and_a_reject_beats_a_drop() -> None:
    drop, reject, partition = (
        fault("f1", "drop", probability=0.5),
        fault("f2", "reject"),
        fault("f3", "partition"),
    )
    assert packets([drop, reject])[AB] == Packet(reject=True)
    assert packets([drop, reject, partition])[AB] == Packet(drop=1.0)


def test_two_correlations_on_one_link_are_refused_by_name() -> None:
    first = fault("f1", "loss", AB, BA, probability=0.1, correlation=0.25)
    second = Fault("", "loss", {"probability": 0.1, "correlation": 0.5}, (BA,), asked="loss --from b --to a")
    with pytest.raises(
        Incompatible, match=r"fault f1 \(loss\) and fault to be added \(loss --from b --to a\).*b > a"
    ):
        packets([first, second])
    assert packets([first, fault("f2", "drop", AB, BA, probability=0.1)])[AB].loss_correlation == 0.25


def test_a_fault_one_way_touches_one_stream_of_each_proxy() -> None:
    found = toxics([fault("f1", "latency", latency=0.08)])
    assert found == {
        AB: (Toxic("f1.upstream", "latency", "upstream", 1.0, {"latency": 80, "jitter": 0}),),
        BA: (Toxic("f1.downstream", "latency", "downstream", 1.0, {"latency": 80, "jitter": 0}),),
    }


@pytest.mark.parametrize(
    ("kind", "parameters", "type_", "attributes"),
    [
        ("bandwidth", {"rate": 1e6}, "bandwidth", {"rate": 125}),
        ("slow_close", {"delay": 5.0}, "slow_close", {"delay": 5000}),
        ("reset", {}, "reset_peer", {"timeout": 0}),
        ("reset", {"timeout": 0.1, "toxicity": 0.5}, "reset_peer", {"timeout": 100}),
        ("cut", {"bytes": 4096}, "limit_data", {"bytes": 4096}),
        (
            "slice",
            {"average_size": 64, "size_variation": 16, "delay": 1e-5},
            "slicer",
            {"average_size": 64, "size_variation": 16, "delay": 10},
        ),
    ],
)
def test_parameters_are_counted_in_toxiproxys_units(
    kind: str, parameters: dict[str, Value], type_: str, attributes: dict[str, int]
) -> None:
    (found,) = toxics([fault("f1", kind, **parameters)])[AB]
    assert (found.type, found.attributes) == (type_, attributes)


def test_a_reset_that_waits_is_a_latency_and_a_reset_behind_all_others() -> None:
    """Toxiproxy cannot be interrupted in a reset that waits, and in a latency it can."""
    found = toxics([fault("f1", "reset", timeout=0.1), fault("f2", "latency", latency=0.08)])[AB]
    assert [(one.name, one.type) for one in found] == [
        ("f2.upstream", "latency"),
        ("f1.upstream", "latency"),
        ("f1.upstream.2", "reset_peer"),
    ]
    assert [one.attributes for one in found[1:]] == [{"latency": 100, "jitter": 0}, {"timeout": 0}]


def test_a_stall_of_all_connections_is_twofold_and_of_some_is_drawn_once() -> None:
    assert [one.name for one in toxics([fault("f1", "stall")])[AB]] == ["f1.upstream", "f1.upstream.2"]
    some = toxics([fault("f1", "stall", toxicity=0.5)])[AB]
    assert [(one.name, one.toxicity) for one in some] == [("f1.upstream", 0.5)]


def test_a_fault_for_new_connections_leaves_alone_listeners_from_before_it() -> None:
    """A listener has what is for all, and what began no later than it did; which faults are on is all that matters."""
    on = [
        fault("f2", "latency", latency=0.08, connections="new"),
        fault("f10", "stall"),
        fault("f11", "cut", bytes=1),
    ]
    on.append(fault("f12", "reset", timeout=0.1, connections="new"))
    wanted = toxics(on)[AB]
    assert latest(wanted) == 12
    assert latest(toxics(on[1:3])[AB]) == latest([]) == 0

    def of(row: Iterable[Toxic]) -> set[str]:
        return {fault_of(toxic.name) for toxic in row}

    kept = {since: of(replace(LISTENER, since=since).row(wanted)) for since in (0, 1, 2, 11, 12, 40)}
    assert kept[0] == kept[1] == {"f10", "f11"}
    assert kept[2] == kept[11] == {"f2", "f10", "f11"}
    assert kept[12] == kept[40] == {"f2", "f10", "f11", "f12"}


@pytest.mark.parametrize("since", [0, 7, 12345])
def test_the_name_of_a_listener_says_since_when_it_is_there(since: int) -> None:
    assert parsed(renamed("a-1.b.p2p", since)) == ("a-1.b.p2p", since)
    assert parsed(renamed("a.b.probe-4242", 0)) == ("a.b.probe-4242", 0)
