"""Convolutions over their whole argument space: against the float sum within half a step, and all executions bit for bit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator, linear
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.types import FixedFormat
from bitsmith.layers import conv as conv_layers
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Settings
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import AddSub, live_words
from bitsmith.passes.network.fold_batchnorm import fold_batchnorm
from bitsmith.passes.program import drop_dead
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

SMALL = FixedFormat(True, 4, 2)


def weights(rng: np.random.Generator, *shape: int) -> Any:
    """Few bits, a third of them zeros."""
    return as_weights(rng.integers(-7, 8, shape) * (rng.random(shape) < 0.7) / 4.0)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Layer, Shape]:
    """A convolution or transposed convolution of any arguments, and an input's shape that fits it."""
    rank = draw(st.integers(1, 3))
    limit = (6, 3, 2)[rank - 1]

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(rank))

    size, strides, dilation = each(1, limit), each(1, 3), each(1, 2)
    groups = draw(st.integers(1, 3))
    n_in, n_out = draw(st.integers(1, 2)), draw(st.integers(1, 2)) * groups
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    kernel = weights(rng, *size, n_in, n_out)
    bias = weights(rng, n_out) if draw(st.booleans()) else None
    spans = [rate * (taps - 1) + 1 for taps, rate in zip(size, dilation, strict=True)]
    if draw(st.booleans()):
        shape = each(1, limit)
        full = [(n - 1) * stride + span for n, stride, span in zip(shape, strides, spans, strict=True)]
        crop = tuple(draw(st.integers(0, n - 1)) for n in full)
        output = tuple(draw(st.integers(1, n - start + 2)) for n, start in zip(full, crop, strict=True))
        return ConvTranspose(kernel, bias, strides, dilation, crop, output, groups), (*shape, n_in * groups)
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    shape = tuple(
        max(span - sum(pair), 1) + more for span, pair, more in zip(spans, padding, each(0, limit - 1), strict=True)
    )
    return Conv(kernel, bias, strides, dilation, padding, groups), (*shape, n_in * groups)


@settings(max_examples=20)
@given(cases(), st.integers(0, 99))
def test_exact_weights_give_the_float_sum_and_all_executions_agree(case: tuple[Layer, Shape], seed: int) -> None:
    layer, shape = case
    network = network_of(layer, [shape], formats={0: SMALL})
    outcome = run(network, seed, samples=3)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert_exact(network, samples=3, seed=seed)


def conv(kernel: Any, *, groups: int = 1, padding: int = 0, bias: Any = None, stride: int = 1) -> Conv:
    rank = kernel.ndim - 2
    return Conv(kernel, bias, (stride,) * rank, (1,) * rank, ((padding, padding),) * rank, groups)


def transposed(kernel: Any, *, groups: int = 1) -> ConvTranspose:
    """On 3x4 positions, stride 2, cropped by one at each end."""
    return ConvTranspose(kernel, None, (2, 2), (1, 1), (1, 1), (4, 6), groups)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_float_weights_keep_sixteen_bits(groups: int) -> None:
    rng = np.random.default_rng(groups)
    layer = conv(as_weights(rng.standard_normal((3, 3, 4 // groups, 8))), groups=groups, bias=as_weights(np.ones(8)))
    outcome = run(network_of(layer, [(5, 6, 4)]))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 36 * 8 * 2.0**-14


def test_given_formats_are_honoured_to_the_bit() -> None:
    """The kernel's 0.3 becomes 0.25, sums wrap in the accumulator's format, and the result is cut to halves."""
    formats = {"weight": FixedFormat(True, 4, 2), "accum": FixedFormat(True, 5, 2), "result": FixedFormat(True, 4, 1)}
    layer = conv(as_weights([[[0.3]], [[-0.8]]]), bias=as_weights([0.5]))
    outcome = run(network_of(layer, [(5, 1)], Settings(formats), {0: SMALL}))
    exact = run(network_of(conv(as_weights([[[0.25]], [[-0.75]]]), bias=as_weights([0.5])), [(5, 1)], None, {0: SMALL}))
    wrapped = (np.floor(exact.real * 4) + 16) % 32 - 16
    np.testing.assert_array_equal(outcome.fixed, (np.floor(wrapped / 2) + 8) % 16 / 2 - 4)


def padded_network() -> Network:
    """A convolution of two channels of 1.0 to 1.875 and of 1.0 to 1.21875, padded by two zeros on each side."""
    unsigned = Settings({"result": FixedFormat(False, 3, 3)})
    shifted = BatchNormalization(as_weights([1.0, 0.25]), as_weights([1.0, 1.0]))
    nodes = (
        NetworkNode("x", Input((3, 3, 2)), settings=unsigned),
        NetworkNode("shifted", shifted, ("x",)),
        NetworkNode("layer", conv(as_weights(np.ones((3, 3, 2, 1)) / 2), padding=2), ("shifted",)),
    )
    return Network(nodes, ("x",), ("layer",))


def test_padding_is_zeros_where_zero_is_no_value_of_the_input() -> None:
    network = padded_network()
    outcome = run(network, samples=4)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert float(outcome.fixed[0, 0, 0, 0]) == 1.0  # one pixel of 1.0 in each channel, the other eight are padding
    kind = next(n for n in outcome.program.nodes if isinstance(n.op, ops.Window)).type
    assert kind.real_range() == (0.0, 1.875) and len(set(kind.frac.ravel())) == 2
    assert_exact(network, samples=4)


def test_the_emulator_writes_out_some_windows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    monkeypatch.setattr(linear, "ROWS_BYTES", 1)
    assert_exact(network_of(conv(weights(rng, 3, 3, 2, 2), padding=1, stride=2), [(7, 5, 2)]), netlist=False)
    monkeypatch.undo()
    program = compile_network(network_of(conv(weights(rng, 5, 5, 16, 2), padding=2), [(64, 64, 16)])).program
    emulator, x = Emulator(program), np.zeros((16, 64, 64, 16))
    tracemalloc.start()
    emulator.run([x])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # all windows of 16 samples are 105 MB


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("outer", [1, 2])
def test_channels_apart_are_computed_some_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch, stride: int, outer: int
) -> None:
    rng = np.random.default_rng(6)
    bias = weights(rng, 4 * outer)
    layer = conv(weights(rng, 3, 2, 1, 4 * outer), bias=bias, padding=1, stride=stride, groups=4)
    x = rng.standard_normal((3, 9, 7, 4))
    whole = layer.reference([x])
    padded, sums = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), np.zeros_like(whole)
    for row, column in np.ndindex(3, 2):
        there = padded[:, row:, column:][:, ::stride, ::stride][:, : whole.shape[1], : whole.shape[2]]
        sums += np.repeat(there, outer, axis=-1) * layer.kernel[row, column, 0]
    np.testing.assert_array_equal(whole, sums + bias)
    monkeypatch.setattr(conv_layers, "_AT_ONCE", 2 * whole[:, 0].size)
    np.testing.assert_array_equal(layer.reference([x]), whole)


def test_many_groups_are_computed_in_blocks() -> None:
    rng = np.random.default_rng(6)
    network = network_of(conv(weights(rng, 2, 2, 38), groups=19), [(3, 38)], formats={0: SMALL})
    outcome = run(network, samples=3)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert [node.op.weights.shape for node in outcome.program.nodes if isinstance(node.op, ops.Linear)] == [
        (32, 16),
        (32, 16),
        (12, 6),
    ]
    assert_exact(network, samples=3)


def adders(layer: Layer, shape: Shape) -> int:
    """Additions in the netlist that something needs."""
    network = network_of(layer, [shape], formats={0: SMALL})
    netlist = elaborate(drop_dead(compile_network(network).program, keep_probes=False))
    return sum(isinstance(netlist.words[index].cell, AddSub) for index in live_words(netlist))


def test_zero_weights_and_dead_channels_cost_nothing() -> None:
    rng = np.random.default_rng(0)
    kernel = np.asarray(rng.choice([-0.75, 0.75, 1.25], (3, 3, 2, 3)))
    whole = adders(conv(as_weights(kernel)), (4, 4, 2))
    assert adders(conv(as_weights(kernel * 0)), (4, 4, 2)) == 0
    kernel[..., 1, :] = 0.0
    alone = adders(conv(as_weights(kernel[..., :1, :])), (4, 4, 1))
    assert adders(conv(as_weights(kernel)), (4, 4, 2)) == alone < whole
    depthwise = np.ones((3, 1, 4)) * 0.75
    depthwise[:, :, 2:] = 0.0
    alone = adders(conv(as_weights(depthwise[..., :1])), (5, 1))
    assert adders(conv(as_weights(depthwise), groups=4), (5, 4)) == 2 * alone


def test_a_transposed_convolution_adds_only_products_of_inputs() -> None:
    """With the stride of the kernel's size every output is one product; no zeros that were put in between take part."""
    layer = ConvTranspose(as_weights(np.ones((2, 2, 1, 1))), None, (2, 2), (1, 1), (0, 0), (6, 6))
    assert adders(layer, (3, 3, 1)) == 0


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_a_transposed_convolution_is_cropped_anywhere(stride: int, dilation: int) -> None:
    kernel = as_weights(np.random.default_rng(stride).integers(-8, 8, (3, 1, 2)) / 4)
    full = 3 * stride + 2 * dilation + 1
    for crop in range(full):
        layer = ConvTranspose(kernel, None, (stride,), (dilation,), (crop,), (full - crop + crop % 2,))
        outcome = run(network_of(layer, [(4, 1)], formats={0: SMALL}), samples=3)
        np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [conv, transposed])
def test_batch_normalisation_folds_into_it(kind: Callable[..., Layer], groups: int) -> None:
    rng = np.random.default_rng(7)
    network = network_of(kind(as_weights(rng.standard_normal((2, 2, 2 // groups, 4))), groups=groups), [(3, 4, 2)])
    norm = BatchNormalization(as_weights(rng.uniform(0.5, 2, 4)), as_weights(rng.standard_normal(4)))
    whole = Network((*network.nodes, NetworkNode("norm", norm, ("layer",))), network.inputs, ("norm",))
    folded = fold_batchnorm(whole)
    assert folded.nodes[-1].layer.kind == "Identity"
    x = [rng.standard_normal((5, 3, 4, 2))]
    np.testing.assert_allclose(folded.evaluate(x)["norm"], whole.evaluate(x)["norm"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (conv(as_weights(np.ones((3, 2, 2)))), (5, 3), "inputs of 1 spatial axes and 2 channels"),
        (conv(as_weights(np.ones((3, 2, 2)))), (5, 5, 2), "inputs of 1 spatial axes and 2 channels"),
        (conv(as_weights(np.ones((3, 1, 3))), groups=2), (5, 2), "in 2 groups"),
        (conv(as_weights(np.ones((3, 2, 2)))), (2, 2), "kernels no larger"),
        (conv(as_weights(np.ones((3, 2, 2))), padding=1 << 60), (2, 2), "padded to"),
        (
            ConvTranspose(as_weights(np.ones((3, 1, 1))), None, (1 << 50,), (1,), (0,), (3,)),
            (3, 1),
            "before it is cropped",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(layer: Layer, shape: Shape, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        network_of(layer, [shape]).shapes()


@pytest.mark.slow
@pytest.mark.ci
def test_compiled_code_agrees(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    twos = (2, 2)
    networks = {
        "line": (Conv(weights(rng, 3, 2, 3), weights(rng, 3), (2,), (1,), ((2, 0),)), (7, 2)),
        "groups": (Conv(weights(rng, 2, 2, 2, 4), None, (1, 2), twos, ((1, 2), (0, 1)), 2), (4, 5, 4)),
        "depthwise": (Conv(weights(rng, 3, 3, 1, 6), weights(rng, 6), twos, (1, 1), ((1, 1), (0, 1)), 3), (5, 4, 3)),
        "volume": (
            Conv(weights(rng, 2, 2, 1, 2, 2), None, (1, 1, 2), (1, 1, 1), ((0, 1), (0, 0), (1, 0))),
            (3, 3, 3, 2),
        ),
        "transposed": (
            ConvTranspose(weights(rng, 3, 2, 2, 3), weights(rng, 3), twos, (1, 1), (1, 0), (5, 4)),
            (3, 2, 2),
        ),
    }
    built = {name: network_of(layer, [shape]) for name, (layer, shape) in networks.items()}
    assert_compiled({**built, "padded": padded_network()}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ordinary", "depthwise", "transposed"])
def test_circuits_agree(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(4)
    layer: Layer = {
        "ordinary": conv(weights(rng, 3, 3, 2, 2), padding=1, stride=2, bias=weights(rng, 2)),
        "depthwise": conv(weights(rng, 2, 2, 1, 4), groups=2),
        "transposed": ConvTranspose(weights(rng, 3, 3, 2, 2), None, (2, 2), (1, 1), (0, 1), (6, 5)),
    }[kind]
    assert_simulated(network_of(layer, [(4, 4, 2)], formats={0: SMALL}), tmp_path)
