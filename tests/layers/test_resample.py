"""Padding, cropping and resizing against plain loops and numpy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Layer, Shape
from bitsmith.layers.network import Network
from bitsmith.layers.resample import Coordinates, Crop, Interpolation, NearestMode, Pad, PadMode, Resize
from bitsmith.layers.settings import Settings
from bitsmith.model import serialization
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated, rounded, stimuli
from tests.layers.lowered import INPUT, Floats, network_of

SIGNED = FixedFormat(True, 6, 3)


def results(network: Network, seed: int = 0) -> tuple[Floats, Floats, Floats, float]:
    """Inputs, the float result, the fixed-point result, which all executions agree on, and its step."""
    program = assert_exact(network, samples=2, seed=seed)
    raw = stimuli(program, 4, seed)[0]
    x = np.ldexp(raw.astype(np.float64), -int(program.input_ops()[0].frac.max()))
    kind = program.nodes[program.outputs[0].node].type
    fixed = Emulator(program).run_raw([raw])[0].astype(np.float64) * np.exp2(-kind.frac.astype(np.float64))
    real = network.evaluate([x])[network.outputs[0]]
    assert real.shape[1:] == kind.shape == network.shapes()[network.outputs[0]]
    return x, real, fixed, float(2.0 ** -kind.frac.min())


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4)


@settings(max_examples=30)
@given(SHAPES, PAIRS, st.sampled_from(PadMode), st.sampled_from([0.0, -1.5, 3.25, 0.1]))
def test_pad(shape: Shape, pairs: list[tuple[int, int]], mode: PadMode, value: float) -> None:
    padding = tuple(pairs[: len(shape)])
    x, real, fixed, _ = results(network_of(Pad(padding, mode, value), [shape], formats={0: SIGNED}))
    widths = [(0, 0), *padding, *[(0, 0)] * (len(shape) - len(padding))]
    expected = (
        np.pad(x, widths, constant_values=value) if mode is PadMode.CONSTANT else np.pad(x, widths, mode=mode.value)
    )
    np.testing.assert_array_equal(real, expected)
    np.testing.assert_allclose(fixed, expected, atol=2.0**-18)


def test_a_padding_value_takes_the_precision_of_the_result() -> None:
    result = FixedFormat(True, 6, 2, Rounding.TRN, Overflow.SAT)
    _, _, fixed, _ = results(network_of(Pad(((1, 1),), value=0.4), [(2,)], Settings({"result": result})))
    np.testing.assert_array_equal(fixed[:, [0, -1]], 0.5)
    _, _, fixed, _ = results(network_of(Pad(((1, 1),), value=100.0), [(2,)], Settings({"result": result})))
    np.testing.assert_array_equal(fixed[:, [0, -1]], 7.75)


@settings(max_examples=40)
@given(SHAPES, PAIRS)
def test_crop(shape: Shape, pairs: list[tuple[int, int]]) -> None:
    cropping = tuple((a % n, b % (n - a % n)) for n, (a, b) in zip(shape, pairs, strict=False))
    x, real, fixed, _ = results(network_of(Crop(cropping), [shape]))
    expected = x
    for axis, (before, after) in enumerate(cropping, 1):
        expected = np.take(expected, range(before, shape[axis - 1] - after), axis)
    np.testing.assert_array_equal(real, expected)
    np.testing.assert_array_equal(fixed, expected)


def place(i: int, old: int, new: int, coordinates: Coordinates) -> Fraction:
    """Where element ``i`` lies, by the formulas of the ONNX standard."""
    scale = Fraction(new, old)
    match coordinates:
        case Coordinates.HALF_PIXEL:
            return (i + Fraction(1, 2)) / scale - Fraction(1, 2)
        case Coordinates.PYTORCH_HALF_PIXEL:
            return (i + Fraction(1, 2)) / scale - Fraction(1, 2) if new > 1 else Fraction(0)
        case Coordinates.ALIGN_CORNERS:
            return i * Fraction(old - 1, new - 1) if new > 1 else Fraction(0)
        case Coordinates.ASYMMETRIC:
            return i / scale


def chosen(at: Fraction, mode: NearestMode) -> int:
    """The whole number nearest to ``at``."""
    low, high = math.floor(at), math.ceil(at)
    match mode:
        case NearestMode.FLOOR:
            return low
        case NearestMode.CEIL:
            return high
        case NearestMode.ROUND_PREFER_FLOOR:
            return high if at - low > Fraction(1, 2) else low
        case NearestMode.ROUND_PREFER_CEIL:
            return low if high - at > Fraction(1, 2) else high


def interpolated(x: Floats, sizes: Sequence[int], coordinates: Coordinates) -> list[Fraction]:
    """Exact linear interpolation of one channel between its 2**rank neighbours; row-major."""
    values = []
    for target in np.ndindex(*sizes):
        places = [
            min(max(place(i, old, new, coordinates), Fraction(0)), Fraction(old - 1))
            for i, old, new in zip(target, x.shape, sizes, strict=True)
        ]
        total = Fraction(0)
        for corner in itertools.product((0, 1), repeat=len(places)):
            share, index = Fraction(1), []
            for at, up in zip(places, corner, strict=True):
                low = math.floor(at)
                share *= at - low if up else 1 - (at - low)
                index.append(low + up)
            if share:
                total += share * Fraction(float(x[tuple(index)]))
        values.append(total)
    return values


LENGTHS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 8)), min_size=1, max_size=2)


@settings(max_examples=60)
@given(LENGTHS, st.sampled_from(Coordinates), st.sampled_from(NearestMode))
def test_nearest(lengths: list[tuple[int, int]], coordinates: Coordinates, mode: NearestMode) -> None:
    shape, sizes = (*(old for old, _ in lengths), 2), tuple(new for _, new in lengths)
    layer = Resize(sizes, Interpolation.NEAREST, coordinates, mode)
    x, real, fixed, _ = results(network_of(layer, [shape]))
    expected = x
    for axis, (old, new) in enumerate(lengths, 1):
        picks = [min(max(chosen(place(i, old, new, coordinates), mode), 0), old - 1) for i in range(new)]
        expected = np.take(expected, picks, axis)
    np.testing.assert_array_equal(real, expected)
    np.testing.assert_array_equal(fixed, expected)


@settings(max_examples=40)
@given(LENGTHS, st.sampled_from(Coordinates), st.sampled_from(list(Rounding)), st.integers(-1, 7), st.integers(0, 100))
def test_linear_is_correctly_rounded(
    lengths: list[tuple[int, int]], coordinates: Coordinates, rounding: Rounding, frac: int, seed: int
) -> None:
    shape, sizes = (*(old for old, _ in lengths), 2), tuple(new for _, new in lengths)
    result = FixedFormat(True, 16, frac, rounding, Overflow.SAT)
    layer = Resize(sizes, Interpolation.LINEAR, coordinates)
    network = network_of(layer, [shape], Settings({"result": result}), {0: SIGNED})
    x, real, fixed, _ = results(network, seed)
    for sample, channel in itertools.product(range(2), range(2)):
        exact = interpolated(x[sample, ..., channel], sizes, coordinates)
        np.testing.assert_allclose(real[sample, ..., channel].ravel(), [float(value) for value in exact], atol=1e-12)
        want = [rounded(value, result) for value in exact]
        np.testing.assert_array_equal(fixed[sample, ..., channel].ravel(), want)


@pytest.mark.parametrize("sizes", [(5, 4), (1, 7), (8, 3), (2, 2), (9, 12)])
@pytest.mark.parametrize("coordinates", [Coordinates.HALF_PIXEL, Coordinates.ALIGN_CORNERS])
def test_cubic_is_that_of_torch(sizes: tuple[int, int], coordinates: Coordinates) -> None:
    functional = pytest.importorskip("torch").nn.functional
    layer = Resize(sizes, Interpolation.CUBIC, coordinates)
    x, real, fixed, step = results(network_of(layer, [(4, 6, 2)]))
    image = functional.torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    corners = coordinates is Coordinates.ALIGN_CORNERS
    theirs = functional.interpolate(image, size=sizes, mode="bicubic", align_corners=corners).numpy()
    np.testing.assert_allclose(real, theirs.transpose(0, 2, 3, 1), atol=1e-9)
    assert np.max(np.abs(fixed - real)) <= step / 2


@pytest.mark.slow
@pytest.mark.ci
def test_cubic_weights_need_a_common_divisor() -> None:
    layer = Resize((100_003,), Interpolation.CUBIC)
    with pytest.raises(UnsupportedError, match="a common divisor of"):
        layer.reference([np.zeros((1, 2, 1))])


def test_every_possible_third() -> None:
    """Two elements of 4 bits resized to four, at thirds: all 256 inputs, in each rounding mode."""
    source = FixedFormat(True, 4, 1)
    raw = np.array(list(itertools.product(range(source.lo, source.hi + 1), repeat=2)))[..., None]
    exact = np.array([interpolated(x[:, 0], [4], Coordinates.ALIGN_CORNERS) for x in raw / 2])
    for rounding in Rounding:
        result = FixedFormat(True, 8, 1, rounding, Overflow.SAT)
        layer = Resize((4,), Interpolation.LINEAR, Coordinates.ALIGN_CORNERS)
        program = compile_network(network_of(layer, [(2, 1)], Settings({"result": result}), {0: source})).program
        fixed = Emulator(program).run_raw([raw])[0] / 2
        np.testing.assert_array_equal(fixed[..., 0], [[rounded(value, result) for value in row] for row in exact])


def test_positions_share_a_step() -> None:
    """So that what follows can treat all positions alike."""
    for layer in (Resize((6, 8), Interpolation.LINEAR), Pad(((1, 2), (1, 0)), value=3.0)):
        program = compile_network(network_of(layer, [(3, 4, 2)])).program
        assert program.nodes[program.outputs[0].node].type.frac.size == 1


def test_auto_precision() -> None:
    """Doubling is exact in a few more bits; other factors are rounded once; no range grows."""
    _, real, fixed, _ = results(network_of(Resize((6, 8), Interpolation.LINEAR), [(3, 4, 2)], formats={0: SIGNED}))
    np.testing.assert_array_equal(fixed, real)
    network = network_of(Resize((5, 7), Interpolation.LINEAR), [(3, 4, 2)])
    _, real, fixed, step = results(network)
    assert 0 < np.max(np.abs(fixed - real)) <= step / 2
    program = compile_network(network).program
    assert program.nodes[program.outputs[0].node].type.real_range()[1] <= INPUT.hi * 2.0**-INPUT.frac


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Pad(((1, 1), (0, 0))), (4,)),
        (Pad(((-1, 0),)), (4,)),
        (Pad(((0, 0),), PadMode.CONSTANT, math.inf), (4,)),
        (Pad(((1 << 40, 0),)), (4,)),
        (Crop(((2, 2),)), (4,)),
        (Crop(((-1, 0),)), (4,)),
        (Crop(((0, 0), (0, 0))), (4,)),
        (Resize((4, 4)), (4, 4)),
        (Resize((0,)), (4, 4)),
        (Resize((1 << 30,)), (4, 4)),
        (Resize((1 << 20,), Interpolation.LINEAR), (1 << 10, 1)),
    ],
    ids=str,
)
def test_impossible_layers_are_refused(layer: Layer, shape: Shape) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, [shape]).shapes()


SMALL: dict[str, tuple[Layer, Shape]] = {
    "zeros": (Pad(((1, 2), (0, 1))), (3, 2, 2)),
    "value": (Pad(((1, 0), (1, 1)), PadMode.CONSTANT, -1.25), (3, 2, 2)),
    "reflect": (Pad(((1, 2),), PadMode.REFLECT), (3, 2)),
    "crop": (Crop(((1, 0), (0, 1))), (3, 3, 2)),
    "nearest": (Resize((4, 5), Interpolation.NEAREST, Coordinates.ASYMMETRIC, NearestMode.FLOOR), (2, 3, 2)),
    "double": (Resize((4, 6), Interpolation.LINEAR), (2, 3, 2)),
    "linear": (Resize((5, 4), Interpolation.LINEAR, Coordinates.ALIGN_CORNERS), (2, 3, 2)),
    "cubic": (Resize((5, 4), Interpolation.CUBIC), (2, 3, 2)),
}


def test_layers_survive_saving(tmp_path: Path) -> None:
    """Modes are text in the file."""
    for name, (layer, shape) in SMALL.items():
        network = network_of(layer, [shape])
        program = compile_network(network).program
        text, arrays = serialization.encode(serialization.SavedModel(network, program, {}, ()))
        path = tmp_path / f"{name}.json"
        path.write_text(text, encoding="utf-8")
        np.savez(serialization.weights_path(path), **arrays)
        assert compile_network(serialization.load(path).network).program == program


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    networks = {name: network_of(layer, [shape], formats={0: SIGNED}) for name, (layer, shape) in SMALL.items()}
    assert_compiled(networks, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_simulated(name: str, tmp_path: Path) -> None:
    layer, shape = SMALL[name]
    assert_simulated(network_of(layer, [shape], formats={0: SIGNED}), tmp_path)
