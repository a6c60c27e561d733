"""Pooling against plain loops over windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.merge import Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.pooling import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, MaxPool
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import Settings
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated, rounded, stimuli
from tests.layers.lowered import Floats, network_of

Spans: TypeAlias = Sequence[Sequence[range]]
"""Per axis, the elements of each window; those outside the axis are padding."""

OfWindow: TypeAlias = Callable[[list[float], tuple[range, ...]], float]
"""Of the elements of a window that are no padding, and the window."""

SIGNED, UNSIGNED = FixedFormat(True, 6, 3), FixedFormat(False, 5, 2)


def pooled(x: Floats, spans: Spans, reduce: OfWindow) -> Floats:
    """``reduce`` of the elements of each window that are no padding."""
    result = np.empty((len(x), *map(len, spans), x.shape[-1]))
    for place in np.ndindex(*result.shape):
        sample, *position, channel = place
        windows = tuple(spans[axis][p] for axis, p in enumerate(position))
        inside = ([k for k in window if 0 <= k < n] for window, n in zip(windows, x.shape[1:], strict=False))
        result[place] = reduce([float(x[(sample, *tap, channel)]) for tap in itertools.product(*inside)], windows)
    return result


def spans_of(layer: MaxPool | AveragePool, shape: Shape) -> list[list[range]]:
    """Windows by the definition: every ``stride`` elements, as long as they fit, or by the rule of ceil mode start."""
    spans = []
    for axis, (n, size, stride) in enumerate(zip(shape, layer.size, layer.strides, strict=False)):
        before, after = layer.padding[axis] if layer.padding else (0, 0)
        dilation = layer.dilation[axis] if layer.dilation else 1
        windows, start = [], -before
        while True:
            window = range(start, start + dilation * (size - 1) + 1, dilation)
            fits = window[-1] < n + after
            elements_left_over = window[-1] - stride < n + after - 1
            if not fits and not (layer.ceil_mode and start < n and elements_left_over):
                break
            windows.append(window)
            start += stride
            if not fits:
                break
        spans.append(windows)
    return spans


@st.composite
def windows(draw: st.DrawFn) -> tuple[Shape, dict[str, Any]]:
    rank = draw(st.integers(1, 3))
    most = {1: 9, 2: 6, 3: 4}[rank]
    shape, size, strides, dilation, padding = [], [], [], [], []
    for _ in range(rank):
        k, d = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        reach = d * (k - 1) + 1
        n = draw(st.integers(1, most))
        half = draw(st.integers(0, reach // 2)), draw(st.integers(0, reach // 2))
        for name, value in zip(
            (shape, size, strides, dilation, padding), (n, k, draw(st.integers(1, 3)), d, half), strict=True
        ):
            name.append(value)
    shape.append(draw(st.integers(1, 2)))
    arguments = {"size": tuple(size), "strides": tuple(strides), "padding": tuple(padding), "dilation": tuple(dilation)}
    return tuple(shape), {**arguments, "ceil_mode": draw(st.booleans())}


def fits(layer: Layer, shape: Shape) -> bool:
    try:
        layer.output_shape([shape])
    except UnsupportedError:
        return False
    return True


def results(network: Network, samples: int = 4, seed: int = 0) -> tuple[Floats, Floats, Floats, float]:
    """Inputs, the float result, the fixed-point result, which all executions agree on, and its step."""
    program = assert_exact(network, samples=2, seed=seed)
    raw = stimuli(program, samples, seed)[0]
    x = np.ldexp(raw.astype(np.float64), -int(program.input_ops()[0].frac.max()))
    kind = program.nodes[program.outputs[0].node].type
    fixed = Emulator(program).run_raw([raw])[0].astype(np.float64) * np.exp2(-kind.frac.astype(np.float64))
    real = network.evaluate([x])[network.outputs[0]]
    assert real.shape[1:] == kind.shape == network.shapes()[network.outputs[0]]
    return x, real, fixed, float(2.0 ** -kind.frac.min())


IN_PADDING = (2, 1), {"size": (2,), "strides": (2,), "padding": ((0, 1),), "dilation": (1,), "ceil_mode": True}
"""Its second window would begin in the padding."""


@settings(max_examples=60)
@given(windows(), st.booleans(), st.integers(0, 100))
@example(IN_PADDING, True, 0)
def test_max_pool(drawn: tuple[Shape, dict[str, Any]], signed: bool, seed: int) -> None:
    shape, arguments = drawn
    layer = MaxPool(**arguments)
    spans = spans_of(layer, shape)
    # Refused exactly if there is no window, or one that holds padding only.
    held = [any(0 <= k < n for k in window) for along, n in zip(spans, shape, strict=False) for window in along]
    assert fits(layer, shape) == (all(spans) and all(held))
    if fits(layer, shape):
        x, real, fixed, _ = results(network_of(layer, [shape], formats={0: SIGNED if signed else UNSIGNED}), seed=seed)
        expected = pooled(x, spans, lambda values, _: max(values))
        np.testing.assert_array_equal(real, expected)
        np.testing.assert_array_equal(fixed, expected)


def mean(fmt: FixedFormat, padded: Callable[[tuple[range, ...]], int] | None) -> OfWindow:
    """The exact mean, rounded to ``fmt``; ``padded`` says what is counted if that is not only what is no padding."""

    def reduce(values: list[float], spans: tuple[range, ...]) -> float:
        total = sum(map(Fraction, values), Fraction(0))
        return rounded(total / (padded(spans) if padded else len(values)), fmt)

    return reduce


@settings(max_examples=30)
@given(
    windows(), st.booleans(), st.booleans(), st.sampled_from(list(Rounding)), st.integers(-1, 7), st.integers(0, 100)
)
def test_average_pool_is_correctly_rounded(
    drawn: tuple[Shape, dict[str, Any]], signed: bool, include: bool, rounding: Rounding, frac: int, seed: int
) -> None:
    shape, arguments = drawn
    layer = AveragePool(**arguments, count_include_pad=include)
    if not fits(layer, shape):
        return
    result = FixedFormat(True, 14, frac, rounding, Overflow.SAT)
    given_formats = {0: SIGNED if signed else UNSIGNED}
    x, real, fixed, _ = results(network_of(layer, [shape], Settings({"result": result}), given_formats), seed=seed)
    spans = spans_of(layer, shape)

    def counted(windows: tuple[range, ...]) -> int:
        ends = [n + after for n, (_, after) in zip(shape, layer.padding, strict=False)]
        return math.prod(sum(k < end for k in window) for window, end in zip(windows, ends, strict=True))

    np.testing.assert_array_equal(fixed, pooled(x, spans, mean(result, counted if include else None)))
    exact = mean(FixedFormat(True, 60, 40), counted if include else None)
    np.testing.assert_allclose(real, pooled(x, spans, exact), atol=1e-9)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("signed", [True, False])
def test_every_possible_average_of_a_border(rounding: Rounding, signed: bool) -> None:
    """All inputs of 3 elements of 3 bits under windows of 3 with padding: means of 2 and of 3 elements."""
    source, result = FixedFormat(signed, 3, 1), FixedFormat(True, 8, 2, rounding, Overflow.SAT)
    layer = AveragePool((3,), (1,), ((1, 1),))
    network = network_of(layer, [(3, 1)], Settings({"result": result}), {0: source})
    program = compile_network(network).program
    raw = np.array(list(itertools.product(range(source.lo, source.hi + 1), repeat=3)))[..., None]
    fixed = Emulator(program).run_raw([raw])[0] * 2.0 ** -program.nodes[program.outputs[0].node].type.frac.max()
    np.testing.assert_array_equal(fixed, pooled(raw / 2, spans_of(layer, (3, 1)), mean(result, None)))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.booleans(), st.booleans(), st.integers(0, 100))
def test_global_pools(sizes: list[int], keepdims: bool, signed: bool, seed: int) -> None:
    shape, formats = (*sizes, 2), {0: SIGNED if signed else UNSIGNED}
    spans, axes = [[range(n)] for n in sizes], tuple(range(len(sizes)))
    x, real, fixed, _ = results(network_of(Reduce(Reduction.MAX, axes, keepdims), [shape], formats=formats), seed=seed)
    expected = pooled(x, spans, lambda values, _: max(values))
    for found in (real, fixed):
        np.testing.assert_array_equal(found, expected if keepdims else expected.reshape(len(x), 2))
    result = FixedFormat(True, 12, 5, Rounding.RND_CONV, Overflow.SAT)
    network = network_of(Reduce(Reduction.MEAN, axes, keepdims), [shape], Settings({"result": result}), formats)
    x, real, fixed, _ = results(network, seed=seed)
    assert fixed.shape == ((len(x), *(1,) * len(sizes), 2) if keepdims else (len(x), 2))
    np.testing.assert_array_equal(fixed.reshape(len(x), 2), pooled(x, spans, mean(result, None)).reshape(len(x), 2))
    assert np.max(np.abs(real - fixed)) <= 2.0**-6


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 7)), min_size=1, max_size=2), st.booleans(), st.integers(0, 99)
)
def test_adaptive_pools(sizes: list[tuple[int, int]], signed: bool, seed: int) -> None:
    shape, output = (*(n for n, _ in sizes), 2), tuple(count for _, count in sizes)
    spans = [
        [range(math.floor(Fraction(i * n, count)), math.ceil(Fraction((i + 1) * n, count))) for i in range(count)]
        for n, count in sizes
    ]
    formats = {0: SIGNED if signed else UNSIGNED}
    x, real, fixed, _ = results(network_of(AdaptiveMaxPool(output), [shape], formats=formats), seed=seed)
    expected = pooled(x, spans, lambda values, _: max(values))
    np.testing.assert_array_equal(real, expected)
    np.testing.assert_array_equal(fixed, expected)
    result = FixedFormat(True, 14, 6, Rounding.RND, Overflow.SAT)
    network = network_of(AdaptiveAveragePool(output), [shape], Settings({"result": result}), formats)
    x, real, fixed, _ = results(network, seed=seed)
    np.testing.assert_array_equal(fixed, pooled(x, spans, mean(result, None)))
    assert np.max(np.abs(real - fixed)) <= 2.0**-7


def test_auto_precision_rounds_once() -> None:
    layers: list[Layer] = [
        AveragePool((3, 3), (2, 2), ((1, 1), (1, 1))),
        Reduce(Reduction.MEAN, (0, 1)),
        AdaptiveAveragePool((3, 2)),
    ]
    for layer in layers:
        _, real, fixed, step = results(network_of(layer, [(5, 7, 3)]))
        assert np.max(np.abs(fixed - real)) <= step / 2


def test_a_mean_has_the_range_of_its_elements() -> None:
    """Zeros around the input widen nothing, and a maximum takes no bit more than its input."""
    padded = AveragePool((3, 3), (1, 1), ((1, 1), (1, 1)))
    program = compile_network(network_of(padded, [(4, 4, 2)], Settings({"result": FixedFormat(True, 12, 3)}))).program
    assert program.nodes[program.outputs[0].node].type.max_width <= 8
    greatest = MaxPool((3, 3), (1, 1), ((1, 1), (1, 1)))
    program = compile_network(network_of(greatest, [(4, 4, 2)], formats={0: SIGNED})).program
    assert program.nodes[program.outputs[0].node].type.max_width == SIGNED.width
    assert all(node.type.max_width <= SIGNED.width for node in program.nodes)


def test_positions_share_a_step() -> None:
    """So that what follows can treat all positions alike, though means of 4, 2 and 1 elements need different ones."""
    for layer in (AveragePool((2, 2), (2, 2), ((0, 1), (0, 1))), AdaptiveAveragePool((2, 3))):
        program = compile_network(network_of(layer, [(3, 5, 2)])).program
        assert program.nodes[program.outputs[0].node].type.frac.size == 1


def test_the_accumulator_can_be_cut() -> None:
    accum = FixedFormat(True, 8, 2, Rounding.TRN, Overflow.SAT)
    network = network_of(AveragePool((3,), (1,)), [(6, 1)], Settings({"accum": accum}), {0: SIGNED})
    x, _, fixed, step = results(network)
    total = np.floor((x[:, :-2] + x[:, 1:-1] + x[:, 2:]) * 4) / 4
    assert np.max(np.abs(fixed - np.clip(total, -32.0, 31.75) / 3)) <= step / 2


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (MaxPool((2, 2), (2, 2)), (4, 3)),
        (MaxPool((2,), (0,)), (4, 3)),
        (MaxPool((2,), (1,), ((-1, 0),)), (4, 3)),
        (MaxPool((2,), (1,), ((2, 0),)), (4, 3)),
        (AveragePool((5,), (1,)), (4, 3)),
        (AveragePool((1 << 12,), (1,)), (1 << 14, 1)),
        (MaxPool((1 << 12,) * 2, (1, 1), ((0, (1 << 12) - 1),) * 2), (4, 4, 1 << 4)),
        (AdaptiveMaxPool((2,)), (4, 4, 1)),
        (AdaptiveMaxPool((0,)), (4, 1)),
        (AdaptiveAveragePool((1 << 40,)), (4, 1)),
        (AdaptiveAveragePool((1 << 13,)), ((1 << 26) - 1, 1)),
    ],
    ids=str,
)
def test_impossible_pools_are_refused(layer: Layer, shape: Shape) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, [shape]).shapes()


def test_an_image_of_32_channels_is_fast() -> None:
    same = ((0, 1), (0, 1))
    layers: list[Layer] = [
        MaxPool((3, 3), (2, 2), same),
        AveragePool((3, 3), (2, 2), same),
        AdaptiveAveragePool((5, 5)),
    ]
    for layer in layers:
        program = compile_network(network_of(layer, [(32, 32, 32)])).program
        emulator = Emulator(program)
        x = np.zeros((64, 32, 32, 32), dtype=np.int64)
        start = perf_counter()
        emulator.run_raw([x])
        assert perf_counter() - start < 10.0


SMALL: dict[str, tuple[Layer, Shape]] = {
    "max": (MaxPool((3, 2), (2, 1), ((1, 1), (1, 0)), (1, 2)), (5, 4, 2)),
    "average": (AveragePool((3, 3), (2, 2), ((1, 1), (1, 1))), (4, 5, 2)),
    "ceil": (AveragePool((2,), (2,), ((0, 1),), (1,), True, True), (6, 2)),
    "global max": (Reduce(Reduction.MAX, (0, 1)), (3, 2, 2)),
    "global average": (Reduce(Reduction.MEAN, (0, 1), True), (3, 2, 2)),
    "adaptive max": (AdaptiveMaxPool((2, 3)), (5, 4, 2)),
    "adaptive average": (AdaptiveAveragePool((2, 3)), (5, 4, 2)),
}


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    networks = {
        name.replace(" ", "_"): network_of(layer, [shape], formats={0: SIGNED})
        for name, (layer, shape) in SMALL.items()
    }
    assert_compiled(networks, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_simulated(name: str, tmp_path: Path) -> None:
    layer, shape = SMALL[name]
    assert_simulated(network_of(layer, [shape], formats={0: SIGNED}), tmp_path)


def test_padding_is_never_the_greatest_of_channels_of_unlike_signs() -> None:
    """A channel that is never negative, beside one that is never positive."""
    x = NetworkNode("x", Input((5, 2)), settings=Settings({"result": SIGNED}))
    signs = NetworkNode("signs", Constant(as_weights([[1.0, -1.0]])))
    network = Network(
        (
            x,
            NetworkNode("relu", ReLU(), ("x",)),
            signs,
            NetworkNode("mixed", Multiply(), ("relu", "signs")),
            NetworkNode("pool", MaxPool((3,), (2,), ((2, 1),)), ("mixed",)),
        ),
        ("x",),
        ("pool",),
    )
    assert_exact(network)
    values = np.random.default_rng(0).integers(-16, 16, (8, 5, 2)) / 8
    mixed = np.maximum(values, 0.0) * [1.0, -1.0]
    wanted = pooled(mixed, [[range(k - 2, k + 1) for k in (0, 2, 4)]], lambda found, _: max(found))
    np.testing.assert_array_equal(Emulator(compile_network(network).program).run([values])[0], wanted)
