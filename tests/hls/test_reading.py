"""What each tool makes of arrays: memories along which axes, words, ports, registers."""

from __future__ import annotations

import pytest

from bitsmith.hls.dialects import DIALECTS
from tests.hls.structure.tools import READINGS, REGISTERS, Array

SPLIT = {
    "vitis": "#pragma HLS ARRAY_PARTITION variable=x complete dim={axis}",
    "vivado": "#pragma HLS ARRAY_PARTITION variable=x complete dim={axis}",
    "libero": "#pragma HLS memory partition variable(x) type(complete) dim({axis})",
}
"""How code says that each index along an axis has a memory of its own, for tools that are told so by pragmas."""


def _array(role: str, sizes: tuple[int, ...], *marks: str) -> Array:
    return Array("x", "f", sizes, 8, role, 0, marks=list(marks))


def test_all_dialects_are_read() -> None:
    assert READINGS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", SPLIT)
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_arrays_are_split_along_the_axes_that_are_named(dialect: str, axis: int) -> None:
    reading = READINGS[dialect]
    mark = SPLIT[dialect].format(axis=axis)
    for role in ("local", "constant"):
        found = reading.storage(_array(role, (4, 5, 6), mark), {})
        assert found.split == {axis - 1} and found.joined == frozenset() and not found.registers
        both = reading.storage(_array(role, (4, 5, 6), mark, SPLIT[dialect].format(axis=axis % 3 + 1)), {})
        assert both.split == {axis - 1, axis % 3}
        assert reading.storage(_array(role, (4, 5, 6), SPLIT[dialect].format(axis=0)), {}) == REGISTERS
        assert reading.storage(_array(role, (4, 5, 6)), {}).split == frozenset()
    assert reading.storage(_array("member", (4, 5, 6), mark), {}) == REGISTERS


@pytest.mark.parametrize("told", [False, True])
def test_memories_of_smarthls(told: bool) -> None:
    """Two of each in a cycle, and constants that are copied any number; steps wait for others unless it is told not to."""
    reading, mark = READINGS["libero"], "#pragma HLS loop dependence variable(x) type(inter) dependent(false)"
    found = reading.storage(_array("local", (4, 5), *[mark] * told), {})
    assert (found.reads, found.writes, found.ports, found.apart) == (2, 2, 2, told)
    rom = "#pragma HLS memory impl variable(x) replicate_rom(true)"
    assert reading.storage(_array("constant", (64,), rom), {}).reads is None
    assert reading.storage(_array("constant", (64,), f"{rom} max_replicas(4)"), {}).reads == 2
    assert reading.storage(_array("local", (64,), rom), {}).reads == 2
