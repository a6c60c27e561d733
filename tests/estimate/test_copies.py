"""Circuits beside those that they read: what is the same wire is computed once."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.copies import joined
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat
from bitsmith.netlist.pipelined import Pipelined, pipelined


def sums() -> Pipelined:
    """The circuit of sums of two elements each."""
    builder = ProgramBuilder()
    x = builder.input("x", (6,), FixedFormat(True, 8, 0))
    y = builder.linear(x, np.kron(np.eye(3, dtype=np.int64), np.array([[3], [5]])))
    return pipelined(builder.program([("y", y)]), ECP5.delays, 20.0)


@pytest.mark.parametrize(("wires", "kept"), [([0, 1, 2, 3, 4, 5], 3), ([0, 1, 0, 1, 2, 3], 2), ([0, 1, 0, 1, 0, 1], 1)])
def test_what_is_computed_alike_from_the_same_wires_is_computed_once(wires: list[int], kept: int) -> None:
    whole, left = size_of(*sums(), ECP5), size_of(*joined(sums(), np.array(wires)), ECP5)
    assert (3 * left.lut, 3 * left.adders) == (kept * whole.lut, kept * whole.adders)


def test_zeros_of_the_padding_are_no_wire() -> None:
    assert joined(sums(), np.full(6, -1))[0].results == sums()[0].results
