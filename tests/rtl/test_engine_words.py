"""The descriptors of an engine's layers: each number has room in its field, whichever layer has the largest one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine
from bitsmith.rtl.engines import engine_parameters, packed
from bitsmith.rtl.tokens import Element
from tests.rtl.engines import WIDTH, convolution, dense, outside, wrapping

LAYERS = (
    convolution([1, -2, 3], 5, 1, 0, 8),
    convolution([2, 1], 2, 6, 8, 24),
    dense([[1], [2], [3], [4], [5], [6], [7], [8], [9]], 1, [3], 24, 0),
    dense([[1, 2, 3, 4, 5, 6, 7, 8, 9]], 1, [*range(9)], 0, 40),
    outside([3, -1, 2], 4, 40, 60),
)


@pytest.mark.parametrize("order", [order for order in permutations(range(5)) if order[0] != 1][::7])
def test_each_field_has_room_for_all_layers(order: tuple[int, ...]) -> None:
    """As has each parameter that says how many bits a number takes."""
    layers = tuple(LAYERS[k] for k in order)
    engine = Engine(layers, 80, wrapping(), fed=False, gap=1, checked=False)
    parameters, words = engine_parameters(engine, 5, Element(WIDTH, True, 0), WIDTH)
    assert len({tuple(width for _, width in fields) for fields in words}) == 1
    for fields, layer in zip(words, layers, strict=True):
        first, _, *steps = layer.addresses
        values, addresses = [value for value, _ in fields], [first, *steps]
        assert addresses in [values[k : k + len(addresses)] for k in range(len(values))]
        word = packed(fields)
        for value, width in fields:
            low, word = word & (1 << width) - 1, word >> width
            assert value in (low, low - (1 << width)), fields
        assert word == 0
    most = {
        "TAP": max(max(layer.op.size) for layer in layers),
        "WINDOW": max(max(layer.windows) for layer in layers),
        "CHANNEL": max(layer.numbers for layer in layers),
        "PASS": max(layer.passes for layer in layers),
        "BLOCK": max(layer.blocks for layer in layers),
        "WEIGHTS": sum(layer.weights[..., 0].size for layer in layers),
        "BIAS": sum(len(layer.bias) for layer in layers),
        "COUNT": max(int(np.prod(layer.windows)) for layer in layers if layer.outside),
    }
    for name, number in most.items():
        assert 1 << parameters[f"{name}_BITS"] >= number > 1 << parameters[f"{name}_BITS"] >> 1 or number < 3
    assert parameters["LAYERS"] == len(layers) and parameters["WORDS"] == 80 and parameters["OUTSIDE"] == 1
