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
        ("=4", Latency(4, exactly=True), 4),
        ("= 40 ns", Latency(40, in_ns=True, exactly=True), 4),
    ],
)
def test_forms(given: object, read: Latency, cycles: int) -> None:
    assert read_latency(given, "Latency") == read == read_latency(str(read), "Latency")
    assert read.in_cycles(10.0) == Latency(cycles, exactly=read.exactly)


def test_periods_that_divide_exactly_count() -> None:
    assert Latency(0.9, in_ns=True).in_cycles(0.3) == Latency(3)


def test_less_than_a_cycle() -> None:
    with pytest.raises(ConfigError, match="at least one clock cycle"):
        Latency(4.9, in_ns=True).in_cycles(5.0)


def test_exact_times_are_whole_cycles() -> None:
    assert Latency(0.9, in_ns=True, exactly=True).in_cycles(0.3) == Latency(3, exactly=True)
    with pytest.raises(ConfigError, match=r"(?s)40 ns, which is 6.667 cycles.*ask for 42 ns"):
        Latency(40, in_ns=True, exactly=True).in_cycles(6.0)
