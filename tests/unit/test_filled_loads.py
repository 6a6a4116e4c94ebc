"""Words in braces in the path of a load."""

from __future__ import annotations

from pathlib import Path

import pytest
from some_plan import some_plan

from stressnet.errors import InputError
from stressnet.faultplan.compile import compile_timeline
from stressnet.faultplan.filling import filled
from stressnet.faultplan.read import read_fault_plan
from stressnet.spec.units import QuantityError


def test_each_call_has_its_number_and_its_size() -> None:
    """The number is that of the call, a size is so many letters, and other braces stay."""
    assert filled("/tx?k{number}={size:2KiB}", 7) == "/tx?k7=" + "x" * 2048
    assert filled("/{other}?{}", 7) == "/{other}?{}"


@pytest.mark.parametrize("path", ["{size:64}", "{size:many}", "{size:1MiB}"])
def test_a_size_that_cannot_be_is_refused(path: str) -> None:
    """A size without a unit, one that is no number, and one that no server takes are mistakes of the plan."""
    with pytest.raises(QuantityError):
        filled(path, 0)


def test_the_mistake_has_its_place_in_the_plan(tmp_path: Path) -> None:
    """It is told before anything starts, with the line of the path."""
    file = tmp_path / "plan.yaml"
    file.write_text(
        "topology: net.yaml\nduration: 10s\nchecks: [stuck]\ntimeline:\n"
        "  - {at: 1s, on: us, load: {http: {port: 80, path: '/{size:2GiB}'}, rate: 1/s}}\n"
    )
    with pytest.raises(InputError) as caught:
        compile_timeline(read_fault_plan(file)[""], some_plan(), 1)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (5, "timeline.0.load.http.path")
    assert problem.allowed == "at most 512KiB"
