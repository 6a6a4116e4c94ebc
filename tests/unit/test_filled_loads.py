"""Words in braces in the path of a load."""

from __future__ import annotations

import pytest

from stressnet.faultplan.filling import filled
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
