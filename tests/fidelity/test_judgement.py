"""Where errors become too large, on both sides of each limit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from bitsmith import FidelityWarning, convert
from bitsmith.fidelity.channels import Channel
from bitsmith.fidelity.deviation import Span
from bitsmith.fidelity.judgement import (
    AUTO_ERROR,
    CHANNEL_OWN_ERROR,
    CHANNEL_OWN_WORST,
    LEAST_ERROR,
    LEAST_SNR_DB,
    _is_astray,
    _is_useless,
)


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
    fine = Channel(0, Span(-1.0, 1.0), 2.0, 1.0, 2.0**-10, 0.5, 0.5, None, 0.5, own=0.0, own_worst=0.0)
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
