"""A goal for the latency, in cycles or nanoseconds."""

from __future__ import annotations

import pytest

from bitsmith.config.latency import Latency, read_latency
from bitsmith.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "read", "cycles"),
    [
        (4, Latency(4), 4),
        ("4", Latency(4), 4),
        (" 4 cycles", Latency(4), 4),
        ("1 cycle", Latency(1), 1),
        ("40ns", Latency(40, in_ns=True), 4),
        ("39.9 ns", Latency(39.9, in_ns=True), 3),
    ],
)
def test_forms(given: object, read: Latency, cycles: int) -> None:
    assert read_latency(given, "Latency") == read == read_latency(str(read), "Latency")
    assert read.cycles(10.0) == cycles


def test_periods_that_divide_exactly_count() -> None:
    assert Latency(0.9, in_ns=True).cycles(0.3) == 3


def test_less_than_a_cycle() -> None:
    with pytest.raises(ConfigError, match="at least one clock cycle"):
        Latency(4.9, in_ns=True).cycles(5.0)
