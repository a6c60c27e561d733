"""Activations against their float definitions over the whole range of the input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.errors import RangeError
from bitsmith.fidelity.losses import LossyCasts
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.functions import FUNCTIONS, erf
from bitsmith.layers.layer import as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.settings import Binning, Settings
from bitsmith.layers.tables import Function, tabulated
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from tests.ir.oracle import evaluate
from tests.layers.lowered import network_of, run

NARROW = {0: FixedFormat(True, 9, 5)}
WIDE = {0: FixedFormat(True, 22, 17)}
RESULT = FixedFormat(True, 24, 12, Rounding.RND_CONV, Overflow.SAT)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_narrow_inputs_give_correctly_rounded_results(name: str) -> None:
    outcome = run(network_of(Activation(name), [(8,)], Settings({"result": RESULT}), NARROW), samples=64)
    extra = 2.0**-11 * np.abs(outcome.real) if FUNCTIONS[name].right not in (0.0, 1.0) else 0.0
    assert np.all(
        np.abs(outcome.fixed - np.clip(outcome.real, -2048, 2048 - 2.0**-12)) <= 2.0**-13 * (1 + 1e-9) + extra
    )


@pytest.mark.parametrize(
    "name", sorted(set(FUNCTIONS) - {"exponential", "exp2", "expm1", "sinh", "cosh", "hard_shrink", "soft_shrink"})
)
def test_wide_inputs_are_interpolated_to_about_a_step(name: str) -> None:
    outcome = run(network_of(Activation(name), [(8,)], Settings({"result": RESULT}), WIDE), samples=40)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-11 + 2.0**-13


@pytest.mark.parametrize("binning", [None, *Binning])
@pytest.mark.parametrize(
    ("name", "ends"), [("elu", [-1.0]), ("sigmoid", [0.0, 1.0]), ("tanh", [-1.0, 1.0]), ("silu", [0.0])]
)
def test_far_out_only_the_linear_part_is_left(name: str, ends: list[float], binning: Binning | None) -> None:
    result = FixedFormat(True, 20, 3, Rounding.TRN, Overflow.SAT)
    network = network_of(
        Activation(name), [(32,)], Settings({"result": result}, binning=binning), {0: FixedFormat(True, 18, 12)}
    )
    outcome = run(network, samples=40)
    far = (outcome.real > 16.0) | np.any([np.abs(outcome.real - end) < 1e-5 for end in ends], axis=0)
    expected = np.floor(np.rint(outcome.real * 2.0**12) / 2.0**9) / 8.0
    np.testing.assert_array_equal(outcome.fixed[far], expected[far])


def test_the_error_function_is_that_of_the_standard_library() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 2, 10_000), rng.uniform(-7, 7, 10_000), np.ldexp(1.0, np.arange(-1070, 4))])
    wanted = np.array([math.erf(value) for value in x])
    assert np.all(np.abs(erf(x) - wanted) <= 4 * np.spacing(np.abs(wanted)))
    assert np.all(erf(-x) == -erf(x)) and np.signbit(erf(np.array(-0.0)))
    assert erf(np.array([np.inf, -np.inf])).tolist() == [1.0, -1.0] and np.isnan(erf(np.array(np.nan)))


@pytest.mark.parametrize("name", ["silu", "softplus", "gelu", "tanh", "elu"])
def test_range_far_beyond_where_the_function_bends(name: str) -> None:
    """Provable ranges grow with each layer, values hardly do."""
    wide = FixedFormat(True, 48, 20)
    network = network_of(Activation(name), [(1,)], Settings({"result": RESULT}), {0: wide})
    program = lower(network, calibrate(network, None))
    x = np.linspace(-6.0, 6.0, 241)
    raws = np.rint(x * 2.0**20).astype(np.int64)
    fixed = [float(evaluate(program, [np.array([raw], dtype=np.object_)])[0][0]) * 2.0**-12 for raw in raws]
    assert np.max(np.abs(fixed - np.asarray(FUNCTIONS[name].evaluate(raws * 2.0**-20)))) < 2.0**-10


@pytest.mark.parametrize("bounds", [(None, 1.5), (-0.75, None), (None, None)])
def test_clipping_on_one_side(bounds: tuple[float | None, float | None]) -> None:
    outcome = run(network_of(HardActivation(1.0, 0.0, *bounds), [(8,)]), samples=16)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize("integer_bits", [7, 12])
def test_exponential_of_a_huge_range_is_refused(integer_bits: int) -> None:
    wide = FixedFormat(True, integer_bits + 10, 10)
    with pytest.raises(RangeError, match="within the proven range"):
        run(network_of(Activation("exponential"), [(2,)], formats={0: wide}))
    run(network_of(Activation("exponential"), [(2,)], Settings(table_range=(-8.0, 8.0)), {0: wide}))


def test_exponential_of_numbers_far_below_0() -> None:
    network = network_of(
        Activation("exponential"), [(8,)], Settings({"result": RESULT}), {0: FixedFormat(True, 30, 10)}
    )
    *inputs, layer = network.nodes
    clipped = NetworkNode("clipped", HardActivation(1.0, 0.0, None, 3.0), layer.inputs)
    outcome = run(replace(network, nodes=(*inputs, clipped, replace(layer, inputs=("clipped",)))), samples=30)
    np.testing.assert_allclose(outcome.fixed, outcome.real, atol=2.0**-12)


def test_exponential_keeps_its_relative_error() -> None:
    outcome = run(network_of(Activation("exponential"), [(8,)], formats={0: FixedFormat(True, 16, 12)}), samples=40)
    assert np.max(np.abs(outcome.fixed - outcome.real) - 2.0**-4 * outcome.step) < 1e-4 * outcome.real.max()


@pytest.mark.parametrize("binning", list(Binning))
def test_table_size_and_binning_are_honoured(binning: Binning) -> None:
    table = Settings(table_size=64, table_range=(-4.0, 4.0), binning=binning)
    outcome = run(network_of(Activation("tanh"), [(16,)], table), samples=16)
    bins = 2.0**-3
    bound = {Binning.FLOOR: bins, Binning.CENTER: bins / 2, Binning.LINEAR: bins**2 / 8}[binning]
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= bound + 1e-3
    sizes = [node.op.values.shape[-1] for node in outcome.program.nodes if hasattr(node.op, "values")]
    assert sizes and max(sizes) <= 64


@pytest.mark.parametrize(("name", "size"), [("tanh", 64), ("sigmoid", 64), ("erf", 16), ("softsign", 32)])
def test_bins_with_values_of_their_centers_end_where_errors_are_least(name: str, size: int) -> None:
    """Those around 0 of any width, with the values that are best at and beyond their ends, have no smaller worst error."""
    table, wide = Settings({"result": RESULT}, table_size=size, binning=Binning.CENTER), FixedFormat(True, 14, 8)
    outcome = run(network_of(Activation(name), [(64,)], table, {0: wide}), samples=200)
    raws, errors = np.arange(-(2**13), 2**13), []
    wanted = FUNCTIONS[name].evaluate(raws / 2.0**8)
    for bits in range(15):
        index = np.clip(raws >> bits, -size // 2, size // 2 - 1)
        middle = FUNCTIONS[name].evaluate((index + 0.5) * 2.0 ** (bits - 8))
        for end in (index.min(), index.max()):
            beyond = wanted[index == end]
            middle[index == end] = (beyond.min() + beyond.max()) / 2.0
        errors.append(np.max(np.abs(wanted - middle)))
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= min(errors) + 2.0**-11
    assert max(node.op.values.shape[-1] for node in outcome.program.nodes if hasattr(node.op, "values")) <= size


def test_table_format_is_honoured() -> None:
    table = Settings({"table": FixedFormat(True, 6, 4)}, table_size=1024)
    outcome = run(network_of(Activation("sigmoid"), [(8,)], table), samples=16)
    assert np.all(outcome.fixed * 16 == np.rint(outcome.fixed * 16))


@settings(max_examples=25)
@given(
    st.one_of(st.none(), st.sampled_from([0.5, 2.0, 6.0])),
    st.sampled_from([0.0, 0.25, 0.3, 1.5]),
    st.sampled_from([0.0, -1.0, 0.5]),
)
def test_relu_with_all_arguments(max_value: float | None, slope: float, threshold: float) -> None:
    outcome = run(network_of(ReLU(max_value, slope, threshold), [(8,)]), samples=16)
    tolerance = outcome.step / 2 + 8 * abs(slope - np.rint(slope * 2**15) / 2**15) + 2.0**-14 * (slope == 0.3)
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= tolerance


def test_plain_relu_is_exact() -> None:
    outcome = run(network_of(ReLU(), [(3, 5)]))
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize("shape", [(4,), (1,), (3, 4), (3, 1)])
def test_prelu_broadcasts_its_slopes(shape: tuple[int, ...]) -> None:
    slopes = as_weights(np.random.default_rng(0).integers(-8, 8, shape) / 16)
    outcome = run(network_of(PReLU(slopes), [(3, 4)]))
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= outcome.step / 2


@pytest.mark.parametrize("slope,shift,low,high", [(0.2, 0.5, 0.0, 1.0), (1 / 6, 0.5, 0.0, 1.0), (1.0, 0.0, -1.0, 1.0)])
def test_hard_activations(slope: float, shift: float, low: float, high: float) -> None:
    outcome = run(network_of(HardActivation(slope, shift, low, high), [(8,)]), samples=16)
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= outcome.step / 2 + 8 * 2.0**-17


@pytest.mark.parametrize("integer", [14, 22])
def test_softsigns_of_wide_inputs_have_a_range_from_minus_1_to_1(integer: int) -> None:
    network = network_of(Activation("softsign"), [(1,)], None, {0: FixedFormat(True, integer + 13, 12)})
    program = lower(network, calibrate(network, None))
    kind = program.nodes[program.outputs[0].node].type
    assert [float(bound) * 2.0 ** -int(kind.frac.max()) for bound in (kind.lo.min(), kind.hi.max())] == [-1.0, 1.0]


@pytest.mark.parametrize("integer", [1, 4, 5, 6, 8, 14, 22])
@pytest.mark.parametrize("frac", [12, 18])
@pytest.mark.parametrize(
    "name", ["softsign", "squareplus", "hard_shrink", "atan", "asinh", "sinh", "cosh", "exponential", "exp2", "expm1"]
)
def test_functions_are_accurate_in_any_range(name: str, frac: int, integer: int) -> None:
    """Near 0, where they bend or jump, as far out, where they have slow tails or saturate."""
    x = np.append(np.arange(-40, 41) / 16, np.ldexp(1.0, integer) * np.arange(-8, 8) / 9)
    x = np.append(x, [0.5 + 2.0**-frac, -0.5 - 2.0**-frac])
    raws = np.clip(np.rint(np.ldexp(x, frac)), -(1 << integer + frac), (1 << integer + frac) - 1).astype(np.int64)
    network = network_of(
        Activation(name), [(1,)], Settings({"result": RESULT}), {0: FixedFormat(True, integer + 1 + frac, frac)}
    )
    (fixed,) = Emulator(lower(network, calibrate(network, None))).run_raw([raws[:, None]])
    real = FUNCTIONS[name].evaluate(np.ldexp(raws.astype(np.float64), -frac)[:, None])
    assert np.max(np.abs(fixed * 2.0**-12 - np.clip(real, -2048, 2048 - 2.0**-12))) <= 2.0**-12


@pytest.mark.parametrize("name", ["sinh", "cosh", "exponential", "exp2", "expm1"])
def test_results_that_saturate_are_counted(name: str) -> None:
    """Also where the operand is cut off, as its powers would have too many bits."""
    x = np.ldexp(np.arange(-200, 200), -4)[:, None]
    network = network_of(Activation(name), [(1,)], Settings({"result": RESULT}), {0: FixedFormat(True, 20, 12)})
    lossy = LossyCasts.of(lower(network, calibrate(network, None)), network)
    (loss,) = lossy.run(Emulator(lossy.program), [x])
    real = np.ldexp(FUNCTIONS[name].evaluate(x), RESULT.frac)
    assert loss.format == RESULT
    assert loss.count == np.count_nonzero((real >= RESULT.hi + 0.5) | (real < RESULT.lo - 0.5)) > 0


@pytest.mark.parametrize("frac", [0, 3, 7, 12])
@pytest.mark.parametrize(("left", "right"), [(0.0, 0.0), (0.0, 1.0), (-1.0, 1.0)])
def test_tables_of_all_numbers_have_the_bits_that_are_asked_for(frac: int, left: float, right: float) -> None:
    """Each entry is the nearest one; what is linear beside the table has no error."""
    function = Function(
        "odd", lambda x: np.sin(x) + left * np.minimum(x, 0) + right * np.maximum(x, 0), (), left, right
    )
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(True, 5, 2, Rounding.TRN, Overflow.SAT))
    y = tabulated(Lowering("y", builder, Settings(), ObservedRange(-1.0, 1.0), (), ()), x, function, frac)
    numbers = np.arange(-16, 16)[:, None] / 4
    (found,) = Emulator(builder.program([("y", y)])).run([numbers])
    linear = left * np.minimum(numbers, 0) + right * np.maximum(numbers, 0)
    np.testing.assert_array_equal(found - linear, np.rint(np.sin(numbers) * 2**frac) / 2**frac)
