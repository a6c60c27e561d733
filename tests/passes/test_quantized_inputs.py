from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.emulate import Emulator
from bitsmith.fidelity.predictions import Predictions
from bitsmith.ir.types import Overflow, Rounding, width_of
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import DEFAULT_INPUT, Constant, Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.steps import BinaryTanh, TernaryTanh
from bitsmith.layers.resample import Crop, Pad
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.settings import Settings
from bitsmith.layers.settled import decided_inputs
from bitsmith.layers.shape import Broadcast, Flatten, Gather, Identity, Permute, Reshape, Slice
from bitsmith.layers.time_distributed import TimeDistributed
from bitsmith.layers.trees import Trees
from bitsmith.passes.network.quantized_inputs import _covering, _joint, quantized_inputs

_SHAPE = (2, 3, 4)


def _network(*readers: tuple[tuple[Layer, ...], Quantizer]) -> Network:
    """An input that each quantizer reads after views of it."""
    nodes = [NetworkNode("x", Input(_SHAPE))]
    outputs = []
    for number, (views, quantizer) in enumerate(readers):
        last = "x"
        for layer in (*views, Quantize(quantizer)):
            nodes.append(NetworkNode(f"n{len(nodes)}", layer, (last,)))
            last = nodes[-1].name
        assert number == len(outputs)
        outputs.append(last)
    return Network(tuple(nodes), ("x",), tuple(outputs))


def _chained(shape: tuple[int, ...], *layers: Layer) -> Network:
    """An input that goes through all of the layers."""
    nodes = [NetworkNode("x", Input(shape))]
    for layer in layers:
        nodes.append(NetworkNode(f"n{len(nodes)}", layer, (nodes[-1].name,)))
    return Network(tuple(nodes), ("x",), (nodes[-1].name,))


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], rounding: Rounding, overflow: Overflow) -> Quantizer:
    """Formats of elements, some of which have no bits."""
    sign, integer, frac = rng.integers(0, 2, shape), rng.integers(-1, 4, shape), rng.integers(-1, 5, shape)
    return Quantizer.fixed(sign, integer, frac, rounding, overflow)


_WAYS: tuple[tuple[tuple[Layer, ...], tuple[int, ...]], ...] = (
    ((), _SHAPE),
    ((), (4,)),
    ((Flatten(),), (24,)),
    ((Permute((2, 0, 1)),), (4, 2, 3)),
    ((Permute((1, 0, 2)), Reshape((6, 4))), (6, 1)),
    ((Gather((2, 0, 0), 1),), (2, 3, 4)),
    ((Slice((0, 1, 3), (2, 3, -1), (1, 1, -2)), Flatten()), (8,)),
    ((Pad(((0, 0), (1, 0))), Crop(((0, 0), (0, 2)))), (2, 2, 4)),
    ((Reshape((2, 3, 4, 1)), Broadcast((2, 3, 4, 3))), (2, 3, 4, 3)),
    ((Gather((2, 0, 0, 1, 1), 2), Permute((2, 0, 1))), (5, 2, 3)),
)


@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SAT, Overflow.SAT_SYM])
@pytest.mark.parametrize("seed", range(16))
def test_any_input_gives_what_each_quantizer_gives(seed: int, overflow: Overflow) -> None:
    rng = np.random.default_rng(seed)
    ways = [_WAYS[k] for k in rng.integers(0, len(_WAYS), rng.integers(1, 5))]
    roundings = (Rounding.TRN, Rounding.RND)
    network = _network(*((views, _drawn(rng, shape, roundings[rng.integers(2)], overflow)) for views, shape in ways))
    x = rng.normal(0.0, 6.0, (50, *_SHAPE))
    x[::2] = np.round(x[::2] * 64.0) / 64.0
    x[::3] += rng.choice([-(2.0**-15), 2.0**-15], x[::3].shape)
    expected = network.evaluate([x])
    compiled = compile_network(network)
    assert not any("No calibration data" in note for note in compiled.notes)
    for result, name in zip(Emulator(compiled.program).run([x]), network.outputs, strict=True):
        np.testing.assert_array_equal(result, expected[name])


@pytest.mark.parametrize("rounding", Rounding)
def test_inputs_on_the_finest_grid_give_what_each_quantizer_gives(rounding: Rounding) -> None:
    rng = np.random.default_rng(0)
    modes = (Overflow.SAT, Overflow.SAT_SYM)
    widest = Quantizer.fixed(1, 4, 4, Rounding.RND, Overflow.SAT)
    network = _network(((), widest), *(((), _drawn(rng, _SHAPE, rounding, overflow)) for overflow in modes))
    x = rng.integers(-512, 511, (100, *_SHAPE)) / 32.0
    expected = network.evaluate([x])
    for result, name in zip(Emulator(compile_network(network).program).run([x]), network.outputs, strict=True):
        np.testing.assert_array_equal(result, expected[name])


def test_one_quantizer_is_that_of_the_input() -> None:
    one = Quantizer.fixed(1, 2, 3, Rounding.RND_CONV, Overflow.WRAP)
    network = quantized_inputs(_network(((), one), ((Flatten(),), one)))
    found = network.node("x").layer
    assert isinstance(found, Input) and found.quantizer is not None and found.quantizer.is_same(one)
    assert not any(isinstance(node.layer, Quantize) for node in network.nodes)


def test_elements_have_the_bits_of_their_own_copies() -> None:
    """Formats of 2 copies of 3 elements: the finest step and the longest range of each element's, and none of no reader's."""
    integer, frac = np.array([[0, 1, 3], [2, 0, 3]]), np.array([[4, 0, -3], [1, 2, -3]])
    own = Quantizer.fixed(0, integer, frac, Rounding.TRN, Overflow.WRAP)
    copies = Gather((3, 0, 1, 3, 0, 1), 0), Reshape((2, 3))
    layer = quantized_inputs(_chained((4,), *copies, Quantize(own))).node("x").layer
    assert isinstance(layer, Input) and layer.quantizer is not None
    assert np.broadcast_to(layer.quantizer.bits, (4,)).tolist() == [1 + 2, 0, 0, 2 + 4]


@pytest.mark.parametrize("copied", [False, True])
def test_elements_that_all_tables_ignore_have_no_bits(copied: bool) -> None:
    grid = Quantizer.fixed(1, np.array([0, 1, 2]), np.array([2, 1, -2]), Rounding.TRN, Overflow.WRAP)
    rows = np.array([[0.0] * 8, [0, 1, 2, 3, 4, 5, 6, 7], [0.5] * 8])
    views = (Reshape((3, 1)), Broadcast((3, 2)), Reshape((2, 3))) if copied else ()
    table = Lookup(as_weights([2, 1, -2]), -4, as_weights(rows))
    network = _chained((3,), *views, Quantize(grid), table)
    layer = quantized_inputs(network).node("x").layer
    assert isinstance(layer, Input) and layer.quantizer is not None
    bits = np.broadcast_to(layer.quantizer.bits, (3,)).tolist()
    assert bits == ([3, 0, 3] if copied else [0, 3, 0])
    x = np.random.default_rng(0).normal(0.0, 4.0, (50, 3))
    (found,) = Emulator(compile_network(network).program).run([x])
    np.testing.assert_array_equal(found, network.evaluate([x])[network.outputs[0]])


def test_other_readers_keep_inputs_as_they_are() -> None:
    saturating = Quantizer.fixed(1, 2, 2, Rounding.RND, Overflow.SAT)
    for network in (
        _network(((ReLU(threshold=1.0),), saturating)),
        _network(((Dense(as_weights(np.eye(4))),), saturating)),
    ):
        node = quantized_inputs(network).node("x")
        assert isinstance(node.layer, Input) and node.layer.quantizer is None and not node.settings.precision


@pytest.mark.parametrize("scale", [0.3, 6.0, 300.0])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("roundings", [(Rounding.TRN, Rounding.RND), (Rounding.TRN_ZERO, Rounding.RND_INF)])
def test_inputs_that_some_wrap_and_some_saturate_are_right_far_beyond_both_ranges(
    seed: int, scale: float, roundings: tuple[Rounding, ...]
) -> None:
    rng = np.random.default_rng(seed)
    overflows = [Overflow.WRAP, [Overflow.SAT, Overflow.SAT_SYM][seed % 2]]
    ways = [_WAYS[k] for k in rng.integers(0, len(_WAYS), 2)]
    readers = zip(ways, overflows, strict=True)
    network = _network(
        *((views, _drawn(rng, shape, roundings[rng.integers(2)], way)) for (views, shape), way in readers)
    )
    x = rng.normal(0.0, scale, (50, *_SHAPE))
    x[::2] = np.round(x[::2] * 64.0) / 64.0
    expected = network.evaluate([x])
    compiled = compile_network(network)
    assert not any("No calibration data" in note for note in compiled.notes)
    for result, name in zip(Emulator(compiled.program).run([x]), network.outputs, strict=True):
        np.testing.assert_array_equal(result, expected[name])


@pytest.mark.parametrize("rounding", [Rounding.RND_CONV, Rounding.RND_ZERO, Rounding.RND_MIN_INF])
def test_readers_of_other_steps_and_ties_have_the_codes_of_any_number(rounding: Rounding) -> None:
    one, third = Quantizer.fixed(1, 2, 3, rounding, Overflow.WRAP), Quantizer.uniform(1 / 3, -4, 3)
    network = _network(((), one), ((), third), ((Flatten(),), Quantizer.fixed(1, 2, 4, Rounding.RND, Overflow.WRAP)))
    x = np.random.default_rng(0).normal(0.0, 40.0, (200, *_SHAPE))
    x[::2] = np.round(x[::2] * 16.0) / 16.0 + np.random.default_rng(1).choice([-(2.0**-20), 2.0**-20], x[::2].shape)
    expected = network.evaluate([x])
    for result, name in zip(Emulator(compile_network(network).program).run([x]), network.outputs, strict=True):
        np.testing.assert_array_equal(result, expected[name])


@pytest.mark.parametrize("rounding", [Rounding.RND_CONV, Rounding.RND_ZERO, Rounding.RND_MIN_INF])
@pytest.mark.parametrize("width", [None, 23, 24])
def test_predictions_next_to_ties_are_right_and_warned_of_in_formats_of_the_users(
    rounding: Rounding, width: int | None
) -> None:
    """One of 24 bits has to be as accurate as that of ``auto``."""
    network = _network(
        ((), Quantizer.fixed(1, 2, 3, rounding, Overflow.WRAP)), ((), Quantizer.fixed(1, 2, 3, rounding, Overflow.SAT))
    )
    rng = np.random.default_rng(0)
    x = rng.integers(-32, 32, (100, *_SHAPE)) / 16.0 + rng.choice([-(2.0**-15), 2.0**-15], (100, *_SHAPE))
    compiled = compile_network(network)
    if width is not None:
        chosen = compiled.network.node("x").settings.precision["result"]
        held = {"result": replace(chosen, width=width)}
        nodes = [replace(node, settings=Settings(held)) if node.name == "x" else node for node in network.nodes]
        compiled = compile_network(network.with_nodes(nodes))
    assert compiled.network.node("x").is_given == (width is not None)
    emulator = Emulator(compiled.program)
    predictions = Predictions(compiled.network, calibrated=True)
    found = predictions.look([x], emulator.run([x]))
    assert (found is None) == (width != 24)
    if found is not None:
        told = predictions.told(*found, emulator)
        assert "The steps of input 'x'" in told and told.endswith("input 'x' a precision")


_RISING = as_weights([-3.0, -0.5, 1.25, 1.5])
_LEVELS = as_weights([0.0, 1.0, 1.0, 2.0, 5.0])
_EVEN, _THIRD = Quantizer.fixed(1, 2, 3, Rounding.RND_CONV, Overflow.SAT), Quantizer.uniform(1 / 3, -40, 30)
_OF_CHANNELS = Quantizer.uniform([0.1, 0.25, 0.7, 1.3], -8, 7, Rounding.RND_ZERO, offset=[0.0, 2.0, 0.0, -1.0])


@pytest.mark.parametrize(
    "chains",
    [
        [[Staircase(as_weights([0.0]), as_weights([-1.0, 1.0]))]],
        [[Staircase(_RISING, _LEVELS)]],
        [[Flatten(), Staircase(_RISING, _LEVELS)], [BinaryTanh()]],
        [[Staircase(_RISING, _LEVELS, above=True)]],
        [[Staircase(as_weights(_RISING * 40), _LEVELS)], [Staircase(as_weights(_RISING / 3), _LEVELS, above=True)]],
        [[TernaryTanh()]],
        [[ReLU(negative_slope=0.25), Quantize(_EVEN)]],
        [[ReLU(negative_slope=0.25), Quantize(_EVEN)], [ReLU(max_value=2.5), Quantize(_THIRD)]],
        [[ReLU(negative_slope=4.0), Quantize(_THIRD)], [Permute((2, 0, 1)), Quantize(_EVEN)]],
        [[HardActivation(-0.25, 0.5, 0.0, 1.0), Quantize(_EVEN)]],
        [[Flatten(), ReLU(), Reshape(_SHAPE), Quantize(_THIRD)]],
        [[ReLU(max_value=2.5), Quantize(_EVEN)], [HardActivation(1.0, 0.0, -0.3, 0.7), Quantize(_THIRD)]],
        [[TimeDistributed(Quantize(_THIRD))]],
        [[Quantize(_EVEN)], [Quantize(_THIRD)]],
        [[Quantize(_OF_CHANNELS)], [Flatten(), Quantize(_THIRD)]],
    ],
)
def test_readers_that_tell_little_apart_decide_of_an_input(chains: list[list[Layer]]) -> None:
    """Its range and its steps: results are those of the float model, next to thresholds, too."""
    nodes, outputs = [NetworkNode("x", Input(_SHAPE))], []
    for layers in chains:
        last = "x"
        for layer in layers:
            nodes.append(NetworkNode(f"n{len(nodes)}", layer, (last,)))
            last = nodes[-1].name
        outputs.append(last)
    network = Network(tuple(nodes), ("x",), tuple(outputs))
    assert decided_inputs(network) == {"x"}
    assert not resolve(network, {"Model": {"Precision": "fixed<1,0>"}}).node("x").settings.precision
    compiled = compile_network(network)
    assert not any("No calibration data" in note for note in compiled.notes)
    rng = np.random.default_rng(0)
    for scale in (0.1, 3.0, 200.0):
        x = rng.normal(0.0, scale, (400, *_SHAPE))
        x[::3] = np.round(x[::3] * 16.0) / 16.0 + rng.choice([-(2.0**-20), 0.0, 2.0**-20], x[::3].shape)
        expected = network.evaluate([x])
        for result, name in zip(Emulator(compiled.program).run([x]), outputs, strict=True):
            np.testing.assert_array_equal(result, expected[name])
    assert max(int(op.hi.max() - op.lo.min()).bit_length() for op in compiled.program.input_ops()) <= 24


def _scaled(factor: float, offset: list[float], reader: Layer) -> Network:
    """An input times a factor, minus the offsets of the elements of its last axis, before a reader."""
    nodes = [
        *(NetworkNode("x", Input(_SHAPE)), NetworkNode("factor", Constant(as_weights([factor])))),
        *(NetworkNode("product", Multiply(), ("factor", "x")), NetworkNode("offset", Constant(as_weights(offset)))),
        *(NetworkNode("difference", Subtract(), ("product", "offset")), NetworkNode("y", reader, ("difference",))),
    ]
    return Network(tuple(nodes), ("x",), ("y",))


@pytest.mark.parametrize(
    ("factor", "offset", "reader", "bits"),
    [
        (2.0, [1.0], Staircase(as_weights([0.0]), as_weights([-1.0, 1.0])), 1),
        (2.0, [1.0], BinaryTanh(), 1),
        (0.25, [1.0, -0.5, 0.75, 0.0], Staircase(as_weights([0.0]), as_weights([-1.0, 1.0])), 4),
        (0.5, [0.0], Staircase(_RISING, _LEVELS), 5),
        (2.0, [1.0], Staircase(as_weights([0.0]), as_weights([-1.0, 1.0]), above=True), 10),
        (2.0, [1.0], Quantize(Quantizer.uniform(1.0, -1, 1, Rounding.RND_CONV, Overflow.SAT)), 10),
    ],
)
def test_scales_before_a_quantizer_move_what_it_tells_apart(
    factor: float, offset: list[float], reader: Layer, bits: int
) -> None:
    """Powers of two with offsets do: the port has the bits of comparisons, and of roundings those that outputs show."""
    network = _scaled(factor, offset, reader)
    compiled = compile_network(network)
    assert decided_inputs(network) == {"x"}
    (op,) = compiled.program.input_ops()
    assert width_of(int(op.lo.min()), int(op.hi.max())) == bits
    rng = np.random.default_rng(0)
    for scale in (0.1, 3.0, 200.0):
        x = np.concatenate([rng.normal(0.0, scale, (400, *_SHAPE)), rng.integers(-64, 64, (400, *_SHAPE)) / 16])
        (result,) = Emulator(compiled.program).run([x])
        np.testing.assert_array_equal(result, network.evaluate([x])["y"])


@pytest.mark.parametrize("factor", [3.0, -2.0, 0.0])
def test_other_scales_before_a_quantizer_decide_of_no_input(factor: float) -> None:
    assert decided_inputs(_scaled(factor, [1.0], BinaryTanh())) == set()


@pytest.mark.parametrize("step", [0.003, 0.0371, 0.25, 0.7, 1.3, 3.0])
@pytest.mark.parametrize(("lo", "hi"), [(0, 1), (0, 15), (-8, 7), (-1, 0), (-128, 127), (3, 90)])
def test_formats_that_cover_quantizers_hold_all_that_they_tell_apart(
    step: float, lo: int, hi: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a 256th of the least step or finer, with no bit in front that is not needed; whatever the resolution is."""
    seen = Resolution(lo * step, hi * step, step, None, None, ())
    monkeypatch.setattr("bitsmith.passes.network.quantized_inputs.resolution_of", lambda network, name: seen)
    network = Network((NetworkNode("x", Input((3,))),), ("x",), ("x",))
    found = _covering(network, "x", None)
    assert found is not None and found.rounding is Rounding.RND and found.overflow is Overflow.SAT
    (least, most), unit = (np.ravel(end).astype(float)[0] for end in found.bounds), float(np.ravel(found.scale)[0])
    assert least <= lo * step and hi * step < most + unit and step / 512 <= unit <= step / 256
    assert least == 0.0 or least > 2.0 * min(lo * step, -hi * step)
    assert most <= 2.0 * max(hi * step, -lo * step)


@pytest.mark.parametrize(
    ("frac", "rounding", "fracs"), [(None, "RND", 10), (3, "TRN", 3), (10, "TRN", 10), (11, "RND", 10)]
)
def test_formats_that_cover_steps_of_powers_of_two_truncate(
    frac: int | None, rounding: str, fracs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless more fractional bits than a 256th of a step would be needed."""
    seen = Resolution(-2.0, 1.5, 0.25, frac, None, ())
    monkeypatch.setattr("bitsmith.passes.network.quantized_inputs.resolution_of", lambda network, name: seen)
    network = Network((NetworkNode("x", Input((3,))),), ("x",), ("x",))
    found = _covering(network, "x", None)
    assert found is not None and found.rounding.value == rounding
    assert float(np.ravel(found.scale)[0]) == 2.0**-fracs


@pytest.mark.parametrize("end", [1, 2, 3, 4, 6, 7, 8, 12])
@pytest.mark.parametrize("signed", [False, True])
def test_ranges_that_wrap_around_are_joined_if_they_are_powers_of_two(end: int, signed: bool) -> None:
    """Of a single bit, too."""
    one = Quantizer.uniform(
        0.5, -end if signed else 0, end - 1 if signed or end > 1 else 1, Rounding.TRN, Overflow.WRAP
    )
    found = _joint([one])
    size = end if signed or end > 1 else 2
    assert (found is not None) == (size & (size - 1) == 0)
    if found is not None:
        assert (found.scale, found.lo, found.hi) == (one.scale, one.lo, one.hi) and found.overflow is Overflow.WRAP


@pytest.mark.parametrize("between", [(), (Identity(),)])
@pytest.mark.parametrize("away", [-1.0, 1.0])
def test_data_next_to_a_threshold_of_trees_stay_on_their_side(between: tuple[Layer, ...], away: float) -> None:
    """Though no format tells them from it; what follows an export's scaler is as it is, too."""
    bound = np.float64(1 / 3)
    ends = (as_weights([[bound]]), np.array([[-1, -2]]), np.array([0]), as_weights([[0.0], [1.0]]), as_weights([0.0]))
    network = _chained((1,), *between, Trees(1, np.array([0]), *ends))
    x = np.array([[0.1], [np.nextafter(bound, 2.0 * away)], [0.9]])
    compiled = compile_network(network, [x])
    assert compiled.program.input_ops()[0].frac.max() <= 20
    (found,) = Emulator(compiled.program).run([x])
    np.testing.assert_array_equal(found, [[0.0], [float(away > 0)], [1.0]])


def test_the_note_on_an_unknown_input_has_the_steps_that_quantizers_need() -> None:
    """Another reader takes the numbers as they are, so that neither their range nor their steps follow from the quantizer."""
    fine = Quantizer.uniform(Fraction(1, 3000), -128, 127, Rounding.RND_CONV, Overflow.SAT)
    codes, same = (
        NetworkNode("codes", Quantize(fine), ("x",)),
        NetworkNode("same", Dense(as_weights(np.eye(4))), ("x",)),
    )
    compiled = compile_network(Network((NetworkNode("x", Input((4,))), codes, same), ("x",), ("codes", "same")))
    (read,) = compiled.program.input_ops()
    (note,) = (note for note in compiled.notes if "No calibration data" in note)
    assert read.frac.max() > DEFAULT_INPUT.frac
    assert f"steps below 2**-{read.frac.max()} are lost" in note
