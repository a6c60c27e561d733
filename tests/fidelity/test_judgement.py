"""Where errors become too large, on both sides of each limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from bitsmith import FidelityWarning, convert
from bitsmith.compiler import compile_network
from bitsmith.fidelity.channels import Channel
from bitsmith.fidelity.judgement import (
    AUTO_ERROR,
    AUTO_OWN_ERROR,
    AUTO_OWN_WORST,
    AUTO_WORST,
    CHANNEL_OWN_ERROR,
    CHANNEL_OWN_WORST,
    LEAST_ERROR,
    LEAST_SNR_DB,
    MOST_STEP,
    RIGHT_ERROR,
    RIGHT_WORST,
    WRAPPED_WORST,
    Verdict,
    _is_astray,
    _is_useless,
    judge,
)
from bitsmith.fidelity.measure import Circuit, Measured, measure
from bitsmith.layers.activation import ReLU
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode


@pytest.mark.parametrize("limit", [None, AUTO_ERROR, 2 * AUTO_ERROR])
@pytest.mark.parametrize("snr_db", [None, -math.inf, math.nextafter(LEAST_SNR_DB, 0.0), LEAST_SNR_DB, 40.0])
@pytest.mark.parametrize("error", [0.0, LEAST_ERROR, math.nextafter(LEAST_ERROR, 1.0), 0.5])
def test_noise_that_drowns_a_signal_counts_where_more_than_the_error_of_auto_is_excused(
    error: float, snr_db: float | None, limit: float | None
) -> None:
    drowned = snr_db is not None and snr_db < LEAST_SNR_DB and error in (math.nextafter(LEAST_ERROR, 1.0), 0.5)
    assert _is_useless(error, snr_db, 1e-9, limit) == (drowned and limit != AUTO_ERROR)


@pytest.mark.parametrize("varies", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("limit", [AUTO_ERROR, 0.5])
def test_errors_are_compared_as_shares_of_the_greatest_magnitude(limit: float, varies: float) -> None:
    assert not _is_useless(limit / varies, None, varies, limit)
    assert _is_useless(math.nextafter(limit, 1.0) / varies, None, varies, limit)


@pytest.mark.parametrize("allowed", [1.0, 4.0])
@pytest.mark.parametrize("factor", [0.5, 1.0, math.nextafter(1.0, 2.0), 1.5])
@pytest.mark.parametrize("name", ["own", "own_worst"])
def test_a_layer_is_blamed_for_a_channel_by_its_mean_or_its_greatest_error(
    name: str, factor: float, allowed: float
) -> None:
    limit = {"own": CHANNEL_OWN_ERROR, "own_worst": CHANNEL_OWN_WORST}[name] * allowed
    fine = Channel(0, 2.0, 1.0, 2.0**-10, 0.5, 0.5, None, 0.5, own=0.0, own_worst=0.0)
    changed: dict[str, Any] = {name: limit * factor}
    assert _is_astray(replace(fine, **changed), allowed) == (factor > 1)
    assert not _is_astray(fine, allowed) and not _is_astray(None, allowed)


@pytest.mark.parametrize("operator", ["Conv", "MaxPool"])
def test_an_output_is_judged_whose_axes_a_frontend_moves(operator: str) -> None:
    kernel = numpy_helper.from_array(np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32), "kernel")
    operands = ["x", "kernel"][: 1 + (operator == "Conv")]
    node = helper.make_node(operator, operands, ["y"], kernel_shape=[3, 3], domain="qonnx.custom_op.channels_last")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    values[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6, 6, 3])
    graph = helper.make_graph([node], "last", values[:1], values[1:], [kernel])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.channels_last", 1)]
    file = helper.make_model(graph, opset_imports=opsets)
    assert convert(file).fidelity.rows[-1].layer in convert(file).network.outputs
    coarse = {"Model": {"Precision": {"result": "fixed<3,1>"}}}
    with pytest.warns(FidelityWarning, match="output '"):
        convert(file, config=coarse, check=False)


def _measured(layer: Layer | None = None, after: Layer | None = None) -> tuple[Network, Measured]:
    """Two layers in a row, and a measurement in which nothing is wrong."""
    nodes = (
        NetworkNode("x", Input((3,))),
        NetworkNode("inside", layer or ReLU(), ("x",)),
        NetworkNode("y", after or ReLU(), ("inside",)),
    )
    network = Network(nodes, ("x",), ("y",))
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (64, 3))
    compiled = compile_network(network, [x])
    found = measure(network, Circuit(compiled.network, compiled.program), [x])
    assert not judge(compiled.network, found, calibrated=True).problems
    return compiled.network, found


def _judged(network: Network, measured: Measured, calibrated: bool = True, **changes: Mapping[str, Any]) -> Verdict:
    """The verdict once rows, or the coarsest steps, are others."""
    layers = dict(measured.layers)
    for name, changed in changes.items():
        step = changed.get("step", layers[name].step)
        row = replace(layers[name].row, **{key: value for key, value in changed.items() if key != "step"})
        layers[name] = replace(layers[name], row=row, step=step)
    return judge(network, replace(measured, layers=layers), calibrated=calibrated)


def _blamed(*of: Any, **changes: Mapping[str, Any]) -> list[str]:
    return [each.layer for each in _judged(*of, **changes).problems]


SIDES = [0.5, 0.999, 1.001, 2.0]


@pytest.mark.parametrize("factor", SIDES)
@pytest.mark.parametrize(("name", "limit"), [("error", AUTO_ERROR), ("worst", AUTO_WORST)])
def test_outputs_of_auto_are_wrong_by_their_mean_or_their_greatest_error(
    name: str, limit: float, factor: float
) -> None:
    network, measured = _measured()
    varies = measured.layers["y"].span.size / measured.layers["y"].span.largest
    verdict = _judged(network, measured, y={name: limit * factor / varies})
    assert verdict.found.startswith("output 'y' differs") == (factor > 1.0) == bool(verdict.problems)


@pytest.mark.parametrize("factor", SIDES)
@pytest.mark.parametrize("step", [0.0, MOST_STEP / 2, MOST_STEP, 0.5])
@pytest.mark.parametrize(("name", "limit"), [("own", AUTO_OWN_ERROR), ("own_worst", AUTO_OWN_WORST)])
def test_layers_are_blamed_for_their_own_errors_beyond_a_step(
    name: str, limit: float, step: float, factor: float
) -> None:
    """Where outputs do not show that all before them is right; a step of ten bits is the most that is allowed besides."""
    network, measured = _measured()
    span = measured.layers["inside"].span
    own = limit * factor * span.largest / span.size + min(step, MOST_STEP)
    inside = {name: own, "step": step}
    wrong = {"worst": 2.0 * RIGHT_WORST}
    assert _blamed(network, measured, inside=inside, y=wrong) == ["inside"] * (factor > 1.0)
    assert _blamed(network, measured, inside=inside) == []


@pytest.mark.parametrize(("name", "limit"), [("error", RIGHT_ERROR), ("worst", RIGHT_WORST)])
@pytest.mark.parametrize("factor", SIDES)
def test_outputs_that_are_right_excuse_what_is_inside(name: str, limit: float, factor: float) -> None:
    network, measured = _measured()
    blamed = _blamed(network, measured, inside={"own": 0.1}, y={name: limit * factor})
    assert blamed == ["inside"] * (factor > 1.0)


def test_outputs_excuse_nothing_before_a_layer_that_jumps() -> None:
    network, measured = _measured(after=Sign())
    assert _blamed(network, measured, inside={"own": 0.1}) == ["inside"]


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("wrapped", [0, 3])
@pytest.mark.parametrize("own_worst", [None, WRAPPED_WORST * 0.999, WRAPPED_WORST * 1.001])
def test_values_that_wrap_count_by_the_error_of_their_layer(
    calibrated: bool, wrapped: int, own_worst: float | None
) -> None:
    """In data of the user's, though outputs are right."""
    network, measured = _measured()
    blamed = _blamed(network, measured, calibrated, inside={"wrapped": wrapped, "own_worst": own_worst})
    assert blamed == ["inside"] * (calibrated and wrapped > 0 and own_worst is not None and own_worst > WRAPPED_WORST)


@pytest.mark.parametrize(("before", "named"), [(0.03, "inside"), (0.02, "inside"), (0.0199, "y"), (0.0, "y")])
def test_where_no_layer_stands_out_that_is_named_where_half_of_the_error_is_reached(before: float, named: str) -> None:
    network, measured = _measured()
    blamed = _blamed(network, measured, inside={"error": before, "own": 0.0}, y={"error": 0.04, "own": 0.0})
    assert blamed == [named]


def test_layers_that_add_a_quarter_of_what_the_worst_adds_are_named() -> None:
    network, measured = _measured()
    for own, named in ((0.0999, ["y"]), (0.1, ["inside", "y"]), (0.5, ["inside", "y"])):
        assert _blamed(network, measured, inside={"error": 0.1, "own": own}, y={"error": 0.5, "own": 0.4}) == named
