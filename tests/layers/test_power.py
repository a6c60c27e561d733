"""Powers, quotients and logarithms against their definitions over whole ranges."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir.ops import Neg
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.network import Network
from bitsmith.layers.power import Divide, Logarithm, Power, VariablePower
from bitsmith.layers.settings import Settings
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

EXPONENTS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, -1.0, -2.0, -3.0, 0.5, -0.5, 1.5, 0.25, 1 / 3, -2 / 3, 2.7, -0.3])
SIGNED = st.builds(FixedFormat, st.just(True), st.integers(3, 11), st.integers(-2, 10))
UNSIGNED = st.builds(FixedFormat, st.just(False), st.integers(3, 12), st.integers(-2, 14))
NARROW = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
POSITIVE = FixedFormat(False, 6, 4, Rounding.RND, Overflow.SAT)


def every(fmt: FixedFormat) -> Floats:
    """All values of a format."""
    return np.ldexp(np.arange(fmt.lo, fmt.hi + 1).astype(np.float64), -fmt.frac)


def emulated(program: Program, *values: Floats) -> tuple[Floats, float]:
    """The program's result of real values, which its inputs have exactly; and the coarsest step of the result."""
    raws = [
        np.rint(np.ldexp(x, int(op.frac.max()))).astype(np.int64)
        for x, op in zip(values, program.input_ops(), strict=True)
    ]
    (raw,) = Emulator(program).run_raw(raws)
    frac = program.nodes[program.outputs[0].node].type.frac
    return raw.astype(np.float64) * np.exp2(-frac.astype(np.float64)), float(2.0 ** -frac.min())


@settings(max_examples=10)
@given(EXPONENTS, st.one_of(SIGNED, UNSIGNED))
@example(2.7, FixedFormat(True, 9, 1))  # results of more bits than tables of normalized operands give
@example(-2 / 3, FixedFormat(False, 12, 14))
def test_powers_of_all_values(exponent: float, source: FixedFormat) -> None:
    layer = Power(exponent)
    x = every(source)
    fixed, step = emulated(run(network_of(layer, [(1,)], formats={0: source})).program, x[:, None])
    real = layer.reference([x[:, None]])
    defined = np.isfinite(real)
    assert np.all(np.abs(fixed - real)[defined] < step)
    if not exponent.is_integer():
        outside = fixed[x < 0]
        assert np.all(outside == fixed[x == 0])
        assert exponent < 0 or not outside.any()


@settings(max_examples=10)
@given(EXPONENTS, st.integers(14, 22), st.integers(0, 12), st.integers(0, 100))
def test_powers_of_wide_operands(exponent: float, width: int, frac: int, seed: int) -> None:
    source = FixedFormat(exponent.is_integer(), width, frac)
    outcome = run(network_of(Power(exponent), [(8,)], formats={0: source}), seed, samples=40)
    defined = np.isfinite(outcome.real)
    # Results beyond 24 bits of relative accuracy: the limit of tables.
    bound = outcome.step + 2.0**-22 * np.abs(outcome.real)
    assert np.all((np.abs(outcome.fixed - outcome.real) < bound)[defined])


@pytest.mark.parametrize("divisor", [FixedFormat(True, 7, 3), FixedFormat(False, 6, 6)])
def test_quotients_of_all_values(divisor: FixedFormat) -> None:
    numerator = FixedFormat(True, 6, 2)
    x, y = (values.ravel()[:, None] for values in np.meshgrid(every(numerator), every(divisor)))
    network = network_of(Divide(), [(1,), (1,)], formats={0: numerator, 1: divisor})
    fixed, step = emulated(run(network).program, x, y)
    whole = y != 0.0
    assert np.all(np.abs(fixed[whole] - x[whole] / y[whole]) < step)
    np.testing.assert_allclose(fixed[~whole], x[~whole] * 2.0**divisor.frac, atol=step)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("layer", [Divide(), Power(-1.0), Power(-3.0)], ids=str)
def test_signs_are_looked_at_where_there_are_negative_divisors(layer: Layer, signed: bool) -> None:
    source = FixedFormat(signed, 6, 2)
    shapes = [(1,)] * (2 if isinstance(layer, Divide) else 1)
    program = run(network_of(layer, shapes, formats=dict.fromkeys(range(2), source))).program
    assert any(isinstance(node.op, Neg) for node in program.nodes) == signed


@pytest.mark.parametrize("base", [math.e, 2.0, 10.0])
@pytest.mark.parametrize("offset", [0, 1])
def test_logarithms_of_all_values(base: float, offset: int) -> None:
    source = FixedFormat(True, 13, 7)
    layer = Logarithm(base, offset)
    x = every(source)[:, None]
    fixed, step = emulated(run(network_of(layer, [(1,)], formats={0: source})).program, x)
    real = layer.reference([x])
    defined = np.isfinite(real)
    assert np.all(np.abs(fixed - real)[defined] < step)
    assert np.all(np.abs(fixed[~defined] - math.log(2.0**-7) / math.log(base)) < step)


def test_powers_of_two_operands() -> None:
    base, exponent = FixedFormat(False, 8, 4), FixedFormat(True, 6, 3)
    x, y = (values.ravel()[:, None] for values in np.meshgrid(every(base), every(exponent)))
    network = network_of(VariablePower(), [(1,), (1,)], formats={0: base, 1: exponent})
    fixed, step = emulated(run(network).program, x, y)
    real = VariablePower().reference([x, y])
    defined = (real < np.inf).ravel()
    assert np.all(np.abs(fixed - real)[defined] < step + 2.0**-20 * real[defined])
    with pytest.raises(UnsupportedError, match=r"(?s)base may be negative.*ReLU, abs"):
        run(network_of(VariablePower(), [(1,), (1,)], formats={0: exponent, 1: exponent}))


@pytest.mark.parametrize("most", [0.75, 1.0, 1.5, 2.0, 5.0])
def test_powers_beyond_what_was_observed_saturate(most: float) -> None:
    """What is cut off before the exponential has saturated at the greatest number of the result."""
    base, exponent = FixedFormat(False, 8, 4), FixedFormat(True, 6, 2)
    x, y = (values.ravel()[:, None] for values in np.meshgrid(every(base), every(exponent)))
    network = network_of(VariablePower(), [(1,), (1,)], formats={0: base, 1: exponent})
    program = lower(network, calibrate(network, [np.linspace(0.5, most, 64)[:, None], np.ones((64, 1))]))
    fixed, step = emulated(program, x, y)
    greatest = program.nodes[program.outputs[0].node].type.real_range()[1]
    assert most <= greatest <= 8 * most
    real = np.minimum(VariablePower().reference([x, y]), greatest)
    defined = x.ravel() > 0
    assert np.all(np.abs(fixed - real)[defined] < step + 2.0**-20 * real[defined])


def test_given_formats() -> None:
    result = FixedFormat(True, 24, 14, Rounding.RND, Overflow.SAT)
    for layer in (Power(0.5), Power(-0.5), Power(-1.0), Logarithm()):
        outcome = run(
            network_of(layer, [(8,)], Settings({"result": result}), {0: FixedFormat(False, 14, 10)}), samples=40
        )
        defined = np.isfinite(outcome.real)
        assert np.max(np.abs(outcome.fixed - outcome.real)[defined]) < outcome.step
    coarse = Settings({"table": FixedFormat(False, 6, 5)})
    outcome = run(network_of(Power(0.5), [(8,)], coarse, {0: FixedFormat(False, 12, 10)}), samples=40)
    assert 2.0**-7 < np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-5


@pytest.mark.parametrize("layer", [Power(65.0), Power(math.nan), Logarithm(1.0)], ids=str)
def test_refused(layer: Layer) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, [(2,)]).shapes()


def _networks() -> dict[str, Network]:
    networks = {
        f"power{k}": network_of(Power(exponent), [(2,)], formats={0: NARROW if exponent.is_integer() else POSITIVE})
        for k, exponent in enumerate((3.0, -1.0, -2.0, 0.5, -0.5, 0.3))
    }
    networks["quotient"] = network_of(Divide(), [(2,), (2,)], formats={0: NARROW, 1: NARROW})
    networks["raised"] = network_of(VariablePower(), [(2,), (2,)], formats={0: POSITIVE, 1: NARROW})
    networks["logarithm"] = network_of(Logarithm(), [(2,)], formats={0: POSITIVE})
    return networks


@pytest.mark.parametrize("name", sorted(_networks()))
def test_oracle_emulator_and_netlist_agree(name: str) -> None:
    assert_exact(_networks()[name])


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_networks(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quotient", "power4", "power5", "logarithm"])
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_networks()[name], tmp_path)
