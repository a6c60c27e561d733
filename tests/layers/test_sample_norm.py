"""Normalisations by statistics of each sample against their definitions, at ordinary, tiny and large magnitudes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.text import to_text
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.settings import Binning, Settings
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

NARROW = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
ONE, ZERO = as_weights(1.0), as_weights(0.0)


def _weights(rng: np.random.Generator, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Multiples of 1/8, which every automatic format holds exactly."""
    return as_weights(rng.integers(-12, 13, shape) / 8), as_weights(rng.integers(-12, 13, shape) / 8)


@st.composite
def normalisations(draw: st.DrawFn) -> tuple[Layer, Shape]:
    """Any normalization with a shape that it fits."""
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank)))
    axes = tuple(draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True)))
    axes = tuple(axis - rank * draw(st.integers(0, 1)) for axis in axes)
    epsilon = draw(st.sampled_from([0.0, 1e-12, 1e-7, 1e-5, 1e-3, 0.1]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    spread = tuple(size if draw(st.booleans()) else 1 for size in shape)
    gamma, beta = _weights(rng, spread)
    match draw(st.integers(0, 3)):
        case 0:
            return LayerNormalization(axes, gamma, beta, epsilon), shape
        case 1:
            return RMSNormalization(axes, gamma, epsilon), shape
        case 2:
            axis = axes[0]
            channels = shape[axis]
            groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
            return GroupNormalization(groups, axis, *_weights(rng, (channels,)), epsilon), shape
        case _:
            return UnitNormalization(axes, draw(st.sampled_from([1e-12, 1e-3, 0.5]))), shape


@settings(max_examples=12)
@given(
    normalisations(),
    st.sampled_from(
        [
            FixedFormat(True, 12, 8),
            FixedFormat(True, 16, 15),
            FixedFormat(False, 9, 3),
            FixedFormat(True, 20, 4),
            NARROW,
        ]
    ),
)
def test_error_is_below_a_step(drawn: tuple[Layer, Shape], source: FixedFormat) -> None:
    layer, shape = drawn
    network = network_of(layer, [shape], formats={0: source})
    with np.errstate(divide="ignore", invalid="ignore"):  # no epsilon
        outcome = run(network, samples=20)
    defined = np.isfinite(outcome.real)
    assert np.all(np.abs(outcome.fixed - outcome.real)[defined] < outcome.step)
    assert np.all(np.isfinite(outcome.fixed))


@pytest.mark.parametrize("layer", [LayerNormalization((-1,), ONE, ZERO, 0.5), RMSNormalization((-1,), ONE, 0.5)])
def test_large_epsilons_are_added_to_the_mean(layer: Layer) -> None:
    outcome = run(network_of(layer, [(6,)], formats={0: FixedFormat(True, 12, 11)}), samples=20)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < outcome.step


@settings(max_examples=8)
@given(normalisations())
def test_oracle_emulator_and_netlist_agree(drawn: tuple[Layer, Shape]) -> None:
    layer, shape = drawn
    with np.errstate(divide="ignore", invalid="ignore"):
        assert_exact(network_of(layer, [shape], formats={0: NARROW}), samples=4, netlist=math.prod(shape) <= 12)


def test_epsilons_that_no_length_is_below_change_nothing() -> None:
    """The least length above 0 is the step of the inputs, 1/8."""
    source = FixedFormat(True, 6, 3)
    networks = [
        network_of(UnitNormalization((-1,), epsilon), [(3,)], formats={0: source}) for epsilon in (0.0, 0.1, 0.2)
    ]
    none, least, more = (to_text(run(network).program) for network in networks)
    assert none == least != more


@pytest.mark.parametrize("scale", [0, 6, 12])
def test_tiny_variances_beside_a_large_range(scale: int) -> None:
    """Samples that hardly vary, within a type of 24 bits: epsilon decides, and nothing is lost."""
    layer = LayerNormalization((-1,), ONE, ZERO, 1e-6)
    source = FixedFormat(True, 24, 16)
    network = network_of(layer, [(8,)], formats={0: source})
    outcome = run(network)
    raw = np.random.default_rng(scale).integers(0, 2 << scale, (50, 8)) + (5 << 19)
    (fixed,) = Emulator(outcome.program).run_raw([raw])
    real = layer.reference([raw / 2.0**16])
    assert np.max(np.abs(fixed * outcome.step - real)) < outcome.step


@pytest.mark.parametrize("width", [16, 24])
def test_given_result_formats(width: int) -> None:
    result = FixedFormat(True, width, width - 4, Rounding.RND, Overflow.SAT)
    layer = LayerNormalization((-1,), ONE, ZERO, 1e-3)
    outcome = run(network_of(layer, [(7,)], Settings({"result": result})), samples=40)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < outcome.step


def test_given_formats_of_mean_variance_and_table() -> None:
    coarse = FixedFormat(True, 10, 3, Rounding.RND, Overflow.SAT)
    layer = LayerNormalization((-1,), ONE, ZERO, 1e-3)
    rng = np.random.default_rng(0)
    x = rng.integers(-1024, 1024, (20, 5)) / 256
    for variables, bound in (("mean", 0.15), ("variance", 0.1), ("table", 0.5)):
        network = network_of(layer, [(5,)], Settings({variables: coarse}))
        outcome = run(network, samples=20)
        deviation = np.abs(outcome.fixed - outcome.real)[2:]  # without the constant samples
        assert outcome.step < np.max(deviation) < bound
    mean = np.floor(x.mean(-1, keepdims=True) * 8 + 0.5) / 8
    by_hand = (x - mean) / np.sqrt(np.mean((x - mean) ** 2, axis=-1, keepdims=True) + 1e-3)
    program = run(network_of(layer, [(5,)], Settings({"mean": coarse}))).program
    (fixed,) = Emulator(program).run_raw([np.rint(x * 256).astype(np.int64)])
    step = 2.0 ** -int(program.nodes[program.outputs[0].node].type.frac.max())
    assert np.max(np.abs(fixed * step - by_hand)) < step


def test_constant_samples_are_zero() -> None:
    layer = LayerNormalization((-1,), ONE, ZERO, 1e-12)
    outcome = run(network_of(layer, [(4,)]), samples=2)  # the extremes: all elements alike
    assert not outcome.fixed.any()


@pytest.mark.parametrize(
    "layer",
    [
        LayerNormalization((2,), ONE, ZERO, 1e-3),
        LayerNormalization((0, -2), ONE, ZERO, 1e-3),
        LayerNormalization((), ONE, ZERO, 1e-3),
        LayerNormalization((0,), as_weights(np.ones(3)), ZERO, 1e-3),
        GroupNormalization(3, 1, as_weights(np.ones(4)), as_weights(np.ones(4)), 1e-3),
        GroupNormalization(2, 1, as_weights(np.ones(2)), as_weights(np.ones(4)), 1e-3),
        UnitNormalization((3,)),
    ],
    ids=lambda layer: layer.kind,
)
def test_refused(layer: Layer) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, [(2, 4)]).shapes()


def _networks() -> dict[str, Network]:
    gamma, beta = _weights(np.random.default_rng(3), (4,))
    layers: dict[str, tuple[Layer, Shape]] = {
        "layer": (LayerNormalization((-1,), gamma, beta, 1e-3), (2, 4)),
        "rms": (RMSNormalization((-1,), gamma, 1e-6), (4,)),
        "group": (GroupNormalization(2, -1, gamma, beta, 1e-3), (3, 4)),
        "unit": (UnitNormalization((-1,)), (3,)),
    }
    return {name: network_of(layer, [shape], formats={0: NARROW}) for name, (layer, shape) in layers.items()}


@pytest.mark.parametrize(
    "layer",
    [
        LayerNormalization((-1,), ONE, ZERO, 1e-3),
        RMSNormalization((-1,), ONE, 1e-3),
        GroupNormalization(2, -1, as_weights(np.ones(8)), as_weights(np.zeros(8)), 1e-3),
    ],
)
def test_a_coarse_table_has_the_variances_that_calibration_shows(layer: Layer) -> None:
    """Without a search for the leading one; a variance beyond counts as the one at the end."""
    rng = np.random.default_rng(4)
    few = Settings(table_size=256, binning=Binning.CENTER, headroom=1.0)
    x = rng.standard_normal((400, 8)) * np.exp2(rng.uniform(-1.0, 0.5, (400, 1)))
    x = x[np.all([x[:, part].var(axis=-1) > 0.15 for part in (slice(4), slice(4, 8))], axis=0)]
    networks = [network_of(layer, [(8,)], settings) for settings in (few, Settings())]
    seen, sought = (compile_network(network, [x]).program for network in networks)
    assert any(isinstance(node.op, ops.Select) for node in sought.nodes)
    assert not any(isinstance(node.op, ops.Select) for node in seen.nodes)
    wanted = networks[0].evaluate([x])["layer"]
    (found,) = Emulator(seen).run([x])
    np.testing.assert_allclose(found, wanted, rtol=0.06, atol=0.01)
    (ends,) = Emulator(seen).run([0.01 * x])
    assert 0.0 < np.max(np.abs(ends)) < 0.2 * np.max(np.abs(wanted))


def test_a_table_that_would_be_too_coarse_is_of_the_normalized_variance() -> None:
    coarse = Settings(table_size=32, binning=Binning.CENTER)
    x = np.random.default_rng(5).standard_normal((400, 4)) * np.exp2(np.linspace(-3.0, 2.0, 400))[:, None]
    x = np.rint(256.0 * x) / 256.0
    network = network_of(LayerNormalization((-1,), ONE, ZERO, 1e-3), [(4,)], coarse)
    (found,) = Emulator(compile_network(network, [x]).program).run([x])
    np.testing.assert_allclose(found, network.evaluate([x])["layer"], atol=0.1)


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_networks(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(_networks()))
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_networks()[name], tmp_path)


def test_around_a_rounded_mean_values_reach_further() -> None:
    """Two numbers around their mean are at most 1 in normalized units; around a mean in steps of 4 they are not."""
    coarse = FixedFormat(True, 6, -2, Rounding.RND, Overflow.SAT)
    network = network_of(LayerNormalization((-1,), ONE, ZERO, 1e-3), [(2,)], Settings({"mean": coarse}))
    x = np.array([[3.0, 1.0], [5.0, 2.5], [-7.0, -3.5], [1.0, 0.5]])
    mean = np.floor(x.mean(-1, keepdims=True) / 4 + 0.5) * 4
    by_hand = (x - mean) / np.sqrt(np.mean((x - mean) ** 2, axis=-1, keepdims=True) + 1e-3)
    assert np.max(np.abs(by_hand)) > 1.3
    np.testing.assert_allclose(Emulator(run(network).program).run([x])[0], by_hand, atol=2.0**-7)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_mean_squares_are_torchs(count: int) -> None:
    """For few elements a count that is off by one shows most."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(count).integers(-512, 512, (30, count)) / 128
    wanted = torch.nn.functional.rms_norm(torch.tensor(x), (count,), eps=1e-3).numpy()
    network = network_of(RMSNormalization((-1,), as_weights(np.ones(count)), 1e-3), [(count,)])
    np.testing.assert_allclose(network.evaluate([x])["layer"], wanted, rtol=1e-12)
    np.testing.assert_allclose(Emulator(run(network).program).run([x])[0], wanted, atol=2.0**-7)
