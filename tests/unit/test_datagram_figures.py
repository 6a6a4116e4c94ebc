"""A fault on packets is measured by enough datagrams to see it, or it is said why it is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stressnet.agent.datagramfigures import treated
from stressnet.agent.linkfigures import NotMeasured
from stressnet.faults.arrivals import Arrivals
from stressnet.faults.compose import packets
from stressnet.faults.fault import Fault
from stressnet.faults.figure import Figure
from stressnet.faults.kinds import KINDS

AB = (("a", "b"),)
GIVEN: dict[str, dict[str, float]] = {
    "loss": {"probability": 0.1},
    "duplicate": {"probability": 0.1},
    "corrupt": {"probability": 0.1},
    "reorder": {"probability": 0.1, "delay": 0.02},
}


def figure(kind: str, *, given: dict[str, float] | None = None, came: float = 1.0, **more: float) -> Figure:
    """Measure a fault on a link with `more` on it, which lets a share of datagrams arrive as they were sent."""
    fault = Fault("f1", kind, KINDS[kind].complete({**GIVEN[kind], **(given or {})}), AB)
    packet = packets([fault])[AB[0]]

    async def send(count: int, patience_s: float) -> Arrivals:
        assert patience_s > 0.4 + packet.delay_s
        every = [number / 1000 for number in range(count)]
        return Arrivals(every, [(number, True) for number in range(round(count * came))])

    return asyncio.run(treated(fault, replace(packet, **more), 1, send))  # type: ignore[arg-type]


def why_not(kind: str, *, given: dict[str, float] | None = None, came: float = 1.0, **more: float) -> str:
    with pytest.raises(NotMeasured) as caught:
        figure(kind, given=given, came=came, **more)
    return str(caught.value)


@pytest.mark.parametrize("kind", GIVEN)
def test_a_fault_that_does_nothing_is_found_out(kind: str) -> None:
    found = figure(kind)
    assert (found.holds, found.found) == (False, 0.0)
    assert found.asked == pytest.approx(0.1, rel=0.08)


@pytest.mark.parametrize("kind", GIVEN)
def test_what_is_in_the_way_is_said(kind: str) -> None:
    assert why_not(kind, drop=1.0) == why_not(kind, reject=1.0) == "another fault lets no packets pass"
    assert "a rate on its link" in why_not(kind, rate=1e6)
    assert "longer than a probe waits" in why_not(kind, delay_s=5.0, jitter_s=2.0)
    assert "too rare" in why_not(kind, given={"probability": 0.003})


def test_a_correlation_widens_what_depends_on_losses() -> None:
    """Damage and overtaking are counted of those that arrive."""
    assert "depend on each other" in why_not("duplicate", loss=0.1, loss_correlation=0.25)
    assert "depend on each other" in why_not("loss", given={"correlation": 0.25}, duplicate=0.1)
    alone, bursts = figure("loss"), figure("loss", given={"correlation": 0.5})
    assert bursts.low < alone.low < alone.high < bursts.high, "fewer bursts say less"
    assert figure("corrupt", loss=0.1, loss_correlation=0.25).name == "arrived damaged"
    assert figure("reorder", loss=0.1, loss_correlation=0.25).name == "overtook"


def test_overtaking_needs_somebody_who_waits() -> None:
    assert "jitter" in why_not("reorder", jitter_s=0.001)
    assert "held back for less" in why_not("reorder", given={"delay": 0.002})
    assert figure("loss", jitter_s=0.001).name == "lost or damaged"


def test_the_rarer_the_more_datagrams() -> None:
    assert [figure("loss", given={"probability": one}).of for one in (1.0, 0.05, 0.01, 0.004)] == [
        500,
        500,
        800,
        2000,
    ]


def test_no_number_is_made_of_nothing() -> None:
    """That nothing arrives is a loss; of damage and overtaking it says nothing."""
    assert figure("loss", came=0.0).found == 1.0
    assert why_not("corrupt", came=0.0) == "no datagram arrived"
    assert "do not show it" in why_not("loss", given={"probability": 0.01}, came=0.5, drop=0.5)
