"""A memory of weights, as the user states it."""

from __future__ import annotations

import pytest

from bitsmith.config.weight_memory import WeightMemory, read_weight_memory
from bitsmith.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("64 bits, 1200 MHz, 200 ns, 75 %", WeightMemory(64, 1200, 200, 0.75)),
        (" 32bit 533.5mhz 90.5ns 100%", WeightMemory(32, 533.5, 90.5, 1.0)),
    ],
)
def test_forms(text: str, read: WeightMemory) -> None:
    assert read_weight_memory(text, "WeightMemory") == read == read_weight_memory(str(read), "WeightMemory")


@pytest.mark.parametrize(
    "value",
    [64, None, "64 bits", "64 bits, 0 MHz, 1 ns, 50 %", "64 bits, 1 MHz, 1 ns, 101 %", "1.5 bits, 1 MHz, 1 ns, 9 %"],
)
def test_what_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="its width, clock, latency and efficiency"):
        read_weight_memory(value, "WeightMemory")


def test_bits_of_a_cycle() -> None:
    """Transfers, or where these are fast words that are under way, are what bounds."""
    assert WeightMemory(64, 1000, 64, 0.5).bits_per_cycle(5.0) == 64 * 0.5 * 5
    assert WeightMemory(64, 1000, 640, 0.5).bits_per_cycle(5.0) == 64 * 64 * 5 / 640
