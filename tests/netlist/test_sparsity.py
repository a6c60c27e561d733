"""Pruned layers take fewer adders, and weights of few values need no multiplier."""

from __future__ import annotations

import pytest
from benchmarks.sparsity import LAYERS, SHARES, WEIGHTS, count, in_proportion

from tests.netlist.checks import compiled


@compiled
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("layer", ["Dense 16 -> 16", "Conv2D 3x3, 8 -> 8"])
def test_zeros_save_their_share_of_adders(layer: str, weights: str) -> None:
    make, shape = LAYERS[layer]
    sizes = [count(make, WEIGHTS[weights](shape, zeros)) for zeros in SHARES]
    assert all(in_proportion(size, sizes[0], zeros) for size, zeros in zip(sizes, SHARES, strict=True))
    adders = [size.adders for size in sizes]
    assert adders == sorted(set(adders), reverse=True)
    # Sharing helps dense weights more than sparse ones, but not by as much as pruning saves.
    assert adders[SHARES.index(0.75)] <= 0.6 * adders[0]
