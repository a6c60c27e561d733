"""Ladders of inputs: numbers that have the same codes on all of them are the same to all quantizers that read the input.

Beyond whatever layers: one that says what it tells apart, and loses the ladders of its readers, has wrong codes next to ties.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from bitsmith.ir.ladders import kept_codes, stairs
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.comparing import Comparing
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.steps import BinaryTanh
from bitsmith.layers.resolution import ANY
from bitsmith.layers.told_codes import ladders_of
from tests.layers.test_traits import CLASSES, examples_of

_FRAC = 9
"""Steps of a port, of which there are a dozen between thresholds."""

PASSING = [
    (layer, shapes[0])
    for kind in CLASSES
    for layer, shapes in examples_of(kind)
    # Thresholds of trees move to the port's grid, and predictions warn of decisions that this changes.
    if len(shapes) == 1
    and (layer.resolution(ANY) is not None or layer.traits.affine)
    and not isinstance(layer, Comparing)
]


def _network(shape: Shape, *layers: Layer) -> Network:
    nodes = [NetworkNode("x", Input(shape))]
    for layer in layers:
        nodes.append(NetworkNode(f"n{len(nodes)}", layer, (nodes[-1].name,)))
    return Network(tuple(nodes), ("x",), (nodes[-1].name,))


def _check(network: Network) -> None:
    """Compare what a port rounds, and then keeps the codes of, with what comes in; rounding alone changes results."""
    shape, rng = network.shapes()["x"], np.random.default_rng(0)
    x = np.float64(np.float32(rng.normal(0.0, 3.0, (36_000 // math.prod(shape), *shape))))
    x[::4] = np.rint(16.0 * x[::4]) / 16.0
    x[1::4] = np.rint(16.0 * x[1::4]) / 16.0 * (1.0 - rng.choice([-1.0, 1.0], x[1::4].shape) * 2.0**-22)
    x[2::4] /= 32.0
    raw = np.floor(np.ldexp(x, _FRAC) + 0.5)
    kept = kept_codes(ladders_of(network, "x"), np.asarray(_FRAC), x, raw)
    wanted, rounded, found = (
        network.evaluate([each])[network.outputs[0]] for each in (x, np.ldexp(raw, -_FRAC), np.ldexp(kept, -_FRAC))
    )
    np.testing.assert_array_equal(found, wanted)
    assert np.any(rounded != wanted)


@pytest.mark.parametrize(("layer", "shape"), PASSING, ids=lambda part: type(part).__name__)
def test_no_layer_that_passes_on_what_is_told_apart_loses_ladders(layer: Layer, shape: Shape) -> None:
    """Quantizers beyond it have a grid of their own for each element."""
    if layer.resolution(None) is not None:
        _check(_network(shape, layer))
        return
    seen = layer.output_shape([shape])
    steps = np.random.default_rng(1).choice([0.25, 0.375, 0.6, 0.1], seen)
    for grid in (Quantizer.uniform(0.375, -8, 7), Quantizer.uniform(steps, -8, 7, Rounding.RND_ZERO, offset=0.5)):
        _check(_network(shape, layer, Quantize(grid)))


def _of_constants(steps: list[tuple[Layer, list[float]]], *readers: Layer) -> Network:
    """An input of three elements beside constants of single precision, one after another, before the readers."""
    nodes, last = [NetworkNode("x", Input((3,)))], "x"
    for number, (layer, values) in enumerate(steps):
        constant = Constant(as_weights(np.float64(np.float32(values))))
        nodes += [NetworkNode(f"c{number}", constant), NetworkNode(f"l{number}", layer, (last, f"c{number}"))]
        last = nodes[-1].name
    for number, layer in enumerate(readers):
        nodes.append(NetworkNode(f"r{number}", layer, (last,)))
        last = nodes[-1].name
    return Network(tuple(nodes), ("x",), (last,))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scale", [0.25, 0.75, 0.1])
@pytest.mark.parametrize(
    "steps",
    [
        [(Multiply(), [0.5])],
        [(Multiply(), [-3.0, 0.7, 0.0])],
        [(Add(), [0.1]), (Multiply(), [-0.25])],
        [(Subtract(), [0.5, 0.0, -1 / 3])],
        [(Multiply(), [1.5]), (Subtract(), [0.5]), (Multiply(), [1.25])],
    ],
)
def test_factors_and_sums_before_a_quantizer_keep_codes(
    steps: list[tuple[Layer, list[float]]], scale: float, rounding: Rounding
) -> None:
    """Ties are ties: 0.25 before an offset of 0.5 and steps of 0.75 is one."""
    grid = Quantizer.uniform(np.float64(np.float32(scale)), -9, 9, rounding, Overflow.WRAP)
    _check(_of_constants(steps, Quantize(grid)))


@pytest.mark.parametrize(
    "reader",
    [
        BinaryTanh(),
        Staircase(as_weights([-1.5, 0.0, 0.3, 0.3, 2.0]), as_weights([0.0, 1.0, 2.0, 2.0, 4.0, 3.0])),
        Staircase(as_weights([-1.5, 0.0, 0.3, np.inf]), as_weights([0.0, 1.0, 2.0, 4.0, 3.0]), above=True),
        Staircase(as_weights([[-0.5, 0.25, 1.0], [0.1, 0.2, 0.3], [-1.0, 0.0, 3.0]]), as_weights([0.0, 1.0, 2.0, 3.0])),
    ],
)
@pytest.mark.parametrize("steps", [[], [(Multiply(), [-0.3])], [(Add(), [0.75])]])
def test_staircases_keep_their_sides(reader: Layer, steps: list[tuple[Layer, list[float]]]) -> None:
    _check(_of_constants(steps, reader))


@pytest.mark.parametrize("above", [False, True])
def test_even_staircases_are_one_ladder(above: bool) -> None:
    even, uneven = (
        as_weights([[-0.75, 0.0, 0.75], [0.1, 0.2, 0.30000000000000004]]),
        as_weights([0.0, 0.1, 0.3, np.inf]),
    )
    assert [len(stairs(part, above=above)) for part in (even[:1], even, uneven)] == [1, 3, 4]
    x = np.array([-0.75, 0.0, 0.75]) + np.array([[-(2.0**-60)], [0.0], [2.0**-60]])
    (ladder,) = stairs(even[0], above=above)
    count = np.sum([x > step if above else x >= step for step in even[0]], axis=0)
    np.testing.assert_array_equal(ladder.codes(x), 2.0 - count if above else count - 1.0)


@pytest.mark.parametrize(
    ("scale", "offset"), [(Fraction(3, 4), Fraction(2, 3)), (Fraction(13421773, 1 << 27), Fraction(-1, 7)), (0.1, -3.0)]
)
@pytest.mark.parametrize("rounding", Rounding)
def test_offsets_that_are_no_numbers_of_double_precision(scale: Fraction, offset: Fraction, rounding: Rounding) -> None:
    """Normalizations have them: (x + 1/2) / (3/4) is x / (3/4) + 2/3."""
    parts = (np.array(Fraction(part), dtype=np.object_) for part in (scale, offset))
    quantizer = Quantizer.uniform(next(parts), -19, 20, rounding, offset=next(parts))
    at = (np.arange(-50, 51) / 2.0 - float(offset)) * float(scale)
    x = np.concatenate([at, np.nextafter(at, 99.0), np.nextafter(at, -99.0), np.float32(at), np.arange(-99, 99) / 8.0])
    np.testing.assert_array_equal(quantizer.ladder.codes(x.astype(np.float64)), quantizer.codes(x.astype(np.float64)))
