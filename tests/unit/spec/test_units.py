"""Quantities are read with their units, and refused without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressnet.spec import units
from stressnet.spec.units import QuantityError, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("80ms", 0.08),
        ("20s", 20),
        ("1.5s", 1.5),
        ("5m", 300),
        ("8h", 28800),
        ("2d", 172800),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("20 s", 20),
        ("0s", 0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [20, "20", 2.5, "", "s", "20 sec", "1h30m", "-5s", "1e3s", "367d", True, None, ["20s"], "٣s", "20S"],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(QuantityError):
        units.parse_duration(value)


@pytest.mark.parametrize(("text", "seconds"), [("-30s", -30), ("+30s", 30), ("30s", 30), (" -5ms", -0.005)])
def test_a_duration_has_a_sign_where_one_is_right(text: str, seconds: float) -> None:
    assert units.parse_signed_duration(text) == pytest.approx(seconds)
    assert units.parse_signed_duration(units.format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [-30, "-30", "--30s", "-+30s", "-", "- -1s", None, "30s-", "-367d"])
def test_what_is_no_signed_duration_is_refused(value: object) -> None:
    with pytest.raises(QuantityError):
        units.parse_signed_duration(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("256MiB", 2**28), ("1GB", 10**9), ("1.5KiB", 1536), ("4kB", 4000), ("7B", 7), ("2TiB", 2**41)],
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("value", [256, "256", "256m", "256Mi", "-1MiB", "MiB"])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(QuantityError):
        units.parse_size(value)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("80ms ± 5ms", (0.08, 0.005)),
        ("80ms±5ms", (0.08, 0.005)),
        ("80ms +- 5ms", (0.08, 0.005)),
        ("1s", (1, 0)),
    ],
)
def test_a_latency_is_a_delay_and_a_jitter(text: str, latency: tuple[float, float]) -> None:
    assert units.parse_latency(text) == pytest.approx(latency)


@pytest.mark.parametrize(
    "value", [80, "80", "80ms ± 5", "80ms ±", "± 5ms", "5ms ± 80ms", "80ms ± 5ms ± 1ms", "-80ms"]
)
def test_what_is_no_latency_is_refused(value: object) -> None:
    with pytest.raises(QuantityError):
        units.parse_latency(value)


def test_a_rate_is_bits_a_second() -> None:
    assert units.parse_rate("1Mbit/s") == 1e6
    assert units.parse_rate("125kB/s") == 1e6


def test_a_percentage_is_a_share_up_to_one() -> None:
    assert units.parse_percent("5%") == pytest.approx(0.05)
    with pytest.raises(QuantityError, match="0% to 100%"):
        units.parse_percent("101%")


@given(st.integers(1, 10**9).map(lambda micro: micro / 1e6))
def test_a_duration_that_was_written_is_read_back(seconds: float) -> None:
    assert units.parse_duration(units.format_duration(seconds)) == pytest.approx(seconds, rel=1e-6)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1536, "1.5KiB"), (2**28, "256MiB"), (10**9, "953.7MiB")]
)
def test_a_size_is_written_in_binary_units(size: int, text: str) -> None:
    assert units.format_size(size) == text


@pytest.mark.parametrize(("text", "size"), [("1.5KiB", 1536), ("0.1kB", 100), ("1GB", 10**9)])
def test_sizes_are_whole_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_part_of_a_byte_is_refused() -> None:
    with pytest.raises(QuantityError, match=r"1\.5B is no whole number of bytes") as error:
        parse_size("1.5B")
    assert error.value.example == "2B"
