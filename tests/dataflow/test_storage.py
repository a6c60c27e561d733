"""What of constant weights a circuit holds: the bits of tiles, by their definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.dataflow.storage import kept_bits, weight_bits, weight_rows
from bitsmith.ir.types import Ints

Bits = tuple[bool, ...]
"""A bit of a weight in all tiles."""


def bits_of(weights: Ints) -> list[list[Bits]]:
    """For each weight its bits in two's complement, the lowest first, as many as all weights need."""
    count = 1
    while min(int(weights.min()), -1) < -(1 << count - 1) or int(weights.max()) >= 1 << count - 1:
        count += 1
    return [[tuple(bool(int(value) >> bit & 1) for value in column) for bit in range(count)] for column in weights.T]


@given(st.integers(1, 20), st.integers(1, 5), st.sampled_from([1, 2, 7, 128, 40_000]), st.integers(0, 2**32 - 1))
def test_bits_of_tiles(tiles: int, size: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = (rng.integers(-most, most, (tiles, size)) * (rng.random((tiles, size)) < 0.6)).astype(object)
    columns = bits_of(weights)
    every = [bits for column in columns for bits in column]
    assert weight_bits(weights) == len(columns[0])

    live, rows = weight_rows(weights)
    assert live == pytest.approx(np.mean([any(map(any, column)) for column in columns]))
    if tiles <= 8:
        apart = sum(len({bits for bits in column if any(bits)}) for column in columns)
    else:  # unlike the next one, of which the sign has none
        apart = sum(bits != above for column in columns for bits, above in pairwise(column))
        apart += sum(any(column[-1]) for column in columns)
    assert rows == pytest.approx(apart / len(every))

    differing = [bits for bits in every if any(bits) and not all(bits)]
    wanted = (len(differing), len(set(differing)) if tiles <= 8 else len(differing))
    assert kept_bits(weights) == (wanted if tiles > 1 else (len(every), len(every)))
