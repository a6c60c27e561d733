"""Quantized models in the notes, the certificate and the warnings: what their quantizers do is not a loss."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith import compiler
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.fidelity.certificate import certify
from bitsmith.fidelity.words import named
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import Settings
from bitsmith.layers.softmax import Softmax
from bitsmith.model import Model
from bitsmith.passes.network.quantized_inputs import quantized_inputs
from tests.properties import few

SAMPLES = np.ldexp(np.random.default_rng(3).integers(-(1 << 15), 1 << 15, (200, 3)).astype(np.float64), -10)


def network(scale: float, rounding: Rounding = Rounding.RND, overflow: Overflow = Overflow.SAT) -> Network:
    """Two dense layers between quantizers that saturate, or wrap, nearly always; two that read the input differ."""
    scale = float(np.float32(scale))
    weights, acts = Quantizer.uniform(scale, -7, 7), Quantizer.uniform(scale, -8, 7, rounding, overflow)
    kernel = as_weights(weights.applied(np.linspace(-1, 1, 9).reshape(3, 3)))
    nodes = (
        NetworkNode("x", Input((3,))),
        NetworkNode("q", Quantize(acts), ("x",)),
        NetworkNode("d", Dense(kernel, as_weights([0.5, -0.125, 0.25])), ("q",), quantizers={"weight": weights}),
        NetworkNode(
            "n", BatchNormalization(as_weights([0.3083, 1.7112, 0.9361]), as_weights([0.1093, 0.2177, 0.3131])), ("d",)
        ),
        NetworkNode("a", ReLU(), ("n",)),
        NetworkNode("r", Quantize(Quantizer.uniform(scale, 0, 7, rounding, overflow)), ("a",)),
        NetworkNode("e", Dense(kernel), ("r",), quantizers={"weight": weights}),
        NetworkNode("other", Quantize(Quantizer.uniform(scale * 2, -8, 7, rounding, overflow)), ("x",)),
    )
    return Network(nodes, ("x",), ("e", "other"))


def converted(given: Network, calibration: list[Floats] | None = None) -> Model:
    compiled = compile_network(given, calibration)
    certificate = certify(given, compiled.network, compiled.program, calibration)
    target = Target(Path(), "net", "LFE5U-85F-6BG381C", 10.0, 0.125)
    return Model(compiled.network, compiled.program, target, compiled.notes, certificate)


@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
@pytest.mark.parametrize("scale", [0.07, 0.125])
@pytest.mark.parametrize("calibrated", [False, True])
def test_what_quantizers_limit_is_not_lost(scale: float, overflow: Overflow, calibrated: bool) -> None:
    given = network(scale, overflow=overflow)
    model = converted(given, [SAMPLES] if calibrated else None)
    assert model.fidelity.message == ""
    # Before a quantizer that wraps, the normalization is rounded as ``auto`` says.
    assert ("e exact" if overflow is Overflow.SAT else "e equal") in model.fidelity.summary
    assert all(not row.saturated and not row.wrapped and not row.zeroed for row in model.fidelity.rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            model.predict(SAMPLES)
    assert len(model.losses(SAMPLES)) == 0


@few("scale", [0.07, 0.125, 0.33], 2, judged=True)
@pytest.mark.parametrize("rounding", list(Rounding))
def test_all_results_are_those_of_the_model(scale: float, rounding: Rounding) -> None:
    """Also where scales wait for the next quantizer."""
    given = network(scale, rounding)
    _, found = converted(given).trace(SAMPLES)
    wanted = quantized_inputs(given).evaluate([SAMPLES])
    unmoved = given.evaluate([SAMPLES])
    assert all(np.array_equal(wanted[name], unmoved[name]) for name in given.outputs)
    assert {"q", "d", "r", "e", "other"} <= found.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("rounding", [Rounding.RND, Rounding.RND_CONV, Rounding.TRN])
@pytest.mark.parametrize(("scale", "factor", "offset"), [(0.3, 1.5, 0.15), (0.3, 0.25, 0.15), (0.1, 0.7, 0.35)])
def test_ties_that_double_precision_decides_are_not_defects(
    scale: float, factor: float, offset: float, rounding: Rounding
) -> None:
    """Decimals, whose products and sums the float model rounds, and the circuit does not."""
    normalization = BatchNormalization(as_weights([factor] * 3), as_weights([offset] * 3))
    nodes = (
        NetworkNode("x", Input((3,)), settings=Settings({"result": FixedFormat(True, 12, 4)})),
        NetworkNode("q", Quantize(Quantizer.uniform(scale * 2, -100, 100, rounding)), ("x",)),
        NetworkNode("n", normalization, ("q",)),
        NetworkNode("r", Quantize(Quantizer.uniform(scale, -128, 127, rounding)), ("n",)),
    )
    certificate = converted(Network(nodes, ("x",), ("r",)), [np.rint(SAMPLES * 16) / 16]).fidelity
    assert certificate.message == ""
    assert "r exact" in certificate.summary


def test_outputs_after_layers_that_round_are_equal_and_not_exact() -> None:
    grid = Quantize(Quantizer.uniform(0.25, -4, 3))
    nodes = [
        NetworkNode("x", Input((3,))),
        NetworkNode("f", Dense(as_weights(np.eye(3) / 3)), ("x",)),
        NetworkNode("q", grid, ("f",)),
    ]
    found = converted(Network(tuple(nodes), ("x",), ("q",)), [SAMPLES]).fidelity
    assert found.rows[-1].error == 0.0 and found.rows[1].error
    behind = "codes may be the next ones behind 'f', where auto rounds"
    assert found.summary == f"fidelity: q equal, on 64 calibration samples; {behind}"
    assert found.of_document(found.document(), "here").summary == found.summary


def test_codes_of_numbers_between_generated_ones_may_be_others() -> None:
    grid = Quantize(Quantizer.uniform(0.25, -4, 3))
    nodes = [NetworkNode("x", Input((3,))), NetworkNode("f", Multiply(), ("x", "x")), NetworkNode("q", grid, ("f",))]
    product = Network(tuple(nodes), ("x",), ("q",))
    between = "numbers of input 'x' between the circuit's steps may have other codes"
    assert converted(product).fidelity.summary == f"fidelity: q exact, on 64 generated samples; {between}"
    assert between not in converted(product, [SAMPLES]).fidelity.summary
    alone = Network((nodes[0], replace(nodes[2], inputs=("x",))), ("x",), ("q",))
    assert converted(alone).fidelity.summary == "fidelity: q exact, on 64 generated samples"


def test_float_layers_are_named() -> None:
    grid = Quantizer.uniform(0.125, -7, 7)
    kernel = as_weights(grid.applied(np.eye(3)))
    nodes = (
        NetworkNode("x", Input((3,)), settings=Settings({"result": FixedFormat(True, 10, 6)})),
        NetworkNode("half", Constant(as_weights([0.5, 0.5, 0.5]))),
        NetworkNode("halved", Multiply(), ("x", "half")),
        NetworkNode("q", Quantize(Quantizer.uniform(0.11, -8, 7)), ("halved",)),
        NetworkNode("d", Dense(kernel), ("q",), quantizers={"weight": grid}),
        NetworkNode("f", Dense(as_weights(np.eye(3) / 3)), ("d",)),
        NetworkNode("s", Softmax(), ("f",)),
    )
    said = "Not decided by the quantizers of the model, and so by the rules of auto: 'f', 's'."
    assert compile_network(Network(nodes, ("x",), ("s",))).notes == (said,)
    assert compile_network(Network(nodes[:-2], ("x",), ("d",))).notes == ()
    plain = (nodes[0], NetworkNode("f", Dense(as_weights(np.eye(3) / 3)), ("x",)))
    assert compile_network(Network(plain, ("x",), ("f",))).notes == ()


@pytest.mark.parametrize("reduction", [Reduction.NORM, Reduction.DEVIATION, Reduction.LOG_SUM_EXP])
def test_reductions_by_tables_are_not_exact(reduction: Reduction) -> None:
    nodes = (
        NetworkNode("x", Input((3,))),
        NetworkNode("q", Quantize(Quantizer.uniform(0.25, -128, 127)), ("x",)),
        NetworkNode("n", Reduce(reduction, (0,), keepdims=True), ("q",)),
    )
    given = Network(nodes, ("x",), ("n",))
    found = converted(given, [SAMPLES])
    assert "Not decided by the quantizers of the model, and so by the rules of auto: 'n'." in found.notes
    assert "exact" not in found.fidelity.summary
    chosen = resolve(given, {"LayerName": {"n": {"Precision": "fixed<16,6>"}}}).node("n").settings.precision
    assert chosen["result"] == FixedFormat(True, 16, 10)


def test_many_float_layers_are_counted() -> None:
    start = NetworkNode("x", Input((3,)), settings=Settings({"result": FixedFormat(True, 10, 6)}))
    nodes = [start, NetworkNode("q", Quantize(Quantizer.uniform(0.25, -8, 7)), ("x",))]
    for number in range(8):
        nodes.append(NetworkNode(f"f{number}", Dense(as_weights(np.eye(3) / 3)), (nodes[-1].name,)))
    (note,) = compile_network(Network(tuple(nodes), ("x",), ("f7",))).notes
    assert note.endswith("'f5' and 2 more layers.")


@pytest.mark.parametrize("count", [1, 5, 6, 7, 9])
def test_notes_name_a_few_layers_and_count_the_others(count: int) -> None:
    names = [f"n{number}" for number in range(count)]
    wanted = ", ".join(map(repr, names[:6])) + (f" and {count - 6} more layers" if count > 6 else "")
    assert named(names) == wanted


@pytest.mark.parametrize(("frac", "wanted"), [(0, "1"), (1, "2**-1"), (10, "2**-10")])
def test_notes_say_how_large_steps_are(frac: int, wanted: str) -> None:
    assert compiler._step(FixedFormat(True, 16, frac)) == wanted
