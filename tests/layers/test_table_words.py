"""What networks of tables say of themselves, against counting bit by bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bitsmith.ir.types import TensorType
from bitsmith.layers.layer import as_weights
from bitsmith.layers.thermometer import Thermometer
from bitsmith.layers.truth_table import TruthTable
from bitsmith.layers.words import Operand


def _operand(size: int) -> Operand:
    return Operand(TensorType.of((size,), 0, 0, 1), None)


@pytest.mark.parametrize("seed", range(6))
def test_tables_count_the_bits_that_they_do_not_need(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, read = 9, 3
    values = rng.integers(0, 2, (size, 1 << read)).astype(np.float64)
    values[:2] = 1.0
    values[2:5] = np.repeat(values[2:5, ::2], 2, axis=1)
    unread = sum(
        all(row[code] == row[code ^ (1 << bit)] for code in range(1 << read))
        for row, bit in itertools.product(values.tolist(), range(read))
    )
    constant = sum(len({*row}) == 1 for row in values.tolist())
    (said,) = TruthTable(as_weights(values), 1).words([_operand(size)] * read)
    assert said.startswith(f"9 truth tables of 3 bits; {constant} tables constant, and {unread} bits of 27 not needed")
    assert TruthTable(as_weights(values[:5]), 1).words([_operand(5)] * read) == ()


def test_thermometers_count_different_comparisons() -> None:
    layer = Thermometer(3, (0, 0, 2, 0), as_weights([0.5, 1.0, 0.25, 0.5]))
    assert layer.words([_operand(3)]) == ("4 bits by 3 comparisons of 2 features.",)
