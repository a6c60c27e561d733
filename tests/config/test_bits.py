"""The budget of ``auto``: how it is said, where it holds, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import bitsmith
from bitsmith.config.building import config_from_network
from bitsmith.config.resolving import resolve
from bitsmith.errors import ConfigError, FidelityWarning
from bitsmith.layers.settings import Bits
from bitsmith.utils import config_from_keras_model
from tests.config.test_model import NETWORK
from tests.system.examples import MODELS

_OF_TYPE = {"LayerType": {"Dense": {"Bits": {"result": 10}}}}


def _wide(weights: str) -> dict[str, Any]:
    return {"LayerName": {"fc1": {"Precision": {"weight": weights}}}}


@pytest.mark.parametrize(
    ("bits", "config", "expected"),
    [
        (None, {}, {"fc1": Bits(), "out": Bits()}),
        (8, {}, {"fc1": Bits(8, 8), "out": Bits(8, 8)}),
        (np.int64(8), {}, {"fc1": Bits(8, 8)}),
        ({"weight": 6, "result": 8}, {}, {"fc1": Bits(6, 8), "x": Bits(6, 8)}),
        ({"Weight": 6}, {}, {"fc1": Bits(6, 16)}),
        ({"state": 6}, {"Model": {"Bits": {"result": 8}}}, {"fc1": Bits(16, 8, 6)}),
        ({"gate": 7}, {"Model": {"Bits": {"state": 5}}}, {"fc1": Bits(16, 16, 5, 7)}),
        ({}, {}, {"fc1": Bits()}),
        (None, {"Model": {"Bits": 8}}, {"fc1": Bits(8, 8), "bend": Bits(8, 8)}),
        (None, {"model": {"bits": {"weight": 6, "RESULT": 8}}}, {"fc1": Bits(6, 8)}),
        (None, _OF_TYPE, {"fc1": Bits(16, 10), "bn": Bits()}),
        (8, _OF_TYPE, {"fc1": Bits(8, 10), "bn": Bits(8, 8)}),
        (8, {"LayerName": {"fc1": {"Bits": {"weight": 5}}}, **_OF_TYPE}, {"fc1": Bits(5, 10)}),
        (8, {"LayerName": {"fc1": {"Bits": 12}}, **_OF_TYPE}, {"fc1": Bits(12, 12)}),
        (
            8,
            {"LayerType": {"Activation": {"Bits": 4}}},
            {"bend": Bits(4, 4), "fc1_relu": Bits(4, 4), "fc1": Bits(8, 8)},
        ),
        ({"weight": 6}, {"Model": {"Bits": {"result": 8}}}, {"fc1": Bits(6, 8)}),
        (8, {"Model": {"Bits": 8}}, {"fc1": Bits(8, 8)}),
        (8, {"Model": {"Precision": "fixed<16,6>"}}, {"fc1": Bits(8, 8)}),
        (None, _wide("fixed<20,4>"), {"x": Bits(16, 20), "fc1": Bits(16, 20), "out": Bits()}),
        (
            None,
            {"LayerName": {"bn": {"Precision": {"scale": "fixed<20,4>"}}}},
            {"x": Bits(), "fc1": Bits(), "bn": Bits(16, 20), "fc1_relu": Bits(16, 20)},
        ),
        (None, _wide("fixed<32,4>"), {"fc1": Bits(16, 24)}),
        (None, _wide("fixed<12,4>"), {"fc1": Bits(), "x": Bits()}),
        (16, _wide("fixed<20,4>"), {"fc1": Bits(), "x": Bits()}),
    ],
)
def test_each_part_of_a_budget_comes_from_the_first_level_that_mentions_it(
    bits: Any, config: dict[str, Any], expected: dict[str, Bits]
) -> None:
    resolved = resolve(NETWORK, config, bits)
    assert {name: resolved.node(name).settings.bits for name in expected} == expected


@pytest.mark.parametrize(
    ("bits", "config", "said"),
    [
        (1, {}, "bits: 1 accepted: an integer from 2 to 24, or {weight: 6, result: 8}"),
        (25, {}, "bits: 25 accepted: an integer from 2 to 24"),
        (8.0, {}, "bits: 8.0"),
        (True, {}, "bits: True"),
        ("eight", {}, "bits: 'eight'"),
        ("8.5", {}, "bits: '8.5'"),
        ([8], {}, "bits: a list"),
        ({"weight": True}, {}, "bits.weight: True accepted: an integer from 2 to 24"),
        ({"weights": 8}, {}, "did you mean 'weight'?"),
        ({"bias": 8}, {}, "accepted: weight, result, state, gate"),
        (None, {"Model": {"Bits": None}}, "Model.Bits: None"),
        (None, {"Model": {"Bits": "auto"}}, "Model.Bits: 'auto'"),
        (None, {"LayerName": {"fc1": {"Bits": {"weight": 99}}}}, "LayerName.fc1.Bits.weight: 99"),
        (None, {"LayerName": {"bend": {"Bits": {"weight": 6}}}}, "LayerName.bend.Bits: Activation has no weights"),
        (None, {"LayerName": {"bend": {"Bits": {"state": 6}}}}, "LayerName.bend.Bits: Activation has no states"),
        (None, {"LayerName": {"bend": {"Bits": {"gate": 6}}}}, "LayerName.bend.Bits: Activation has no gates"),
        (None, {"LayerType": {"Softmax": {"Bits": {"weight": 6}}}}, "LayerType.Softmax.Bits: Softmax has no weights"),
        (8, {"Model": {"Bits": {"result": 6}}}, "Model.Bits.result: 8 in the argument, 6 in the configuration"),
    ],
)
def test_refusals(bits: Any, config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(NETWORK, config, bits)
    assert said in " ".join(str(caught.value).split())


@pytest.mark.parametrize("granularity", ["model", "type", "name"])
def test_generated_configurations_carry_the_budget_that_is_asked_for(granularity: str) -> None:
    assert "Bits" not in config_from_network(NETWORK, granularity)["Model"]
    config = config_from_network(NETWORK, granularity, bits={"weight": 6})
    assert config["Model"]["Bits"] == {"weight": 6}
    assert resolve(NETWORK, config).node("fc1").settings.bits == Bits(6, 16)
    with pytest.raises(ConfigError, match="bits: 99"):
        config_from_network(NETWORK, granularity, bits=99)


@pytest.mark.parametrize("measured", [False, True])
def test_a_maximum_caps_results_and_keeps_their_range(measured: bool) -> None:
    samples = np.load(MODELS / "digits_test.npz")["inputs"]
    config = config_from_keras_model(MODELS / "digits.keras", "name", max_precision="fixed<8,4>")
    assert config["Model"]["Precision"] == {"default": "auto", "maximum": "fixed<8,4>"}  # type: ignore[index]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FidelityWarning)
        model = bitsmith.convert(MODELS / "digits.keras", config=config, calibration=samples if measured else None)
    widths = {row.name: row.result.width_max for row in model.get_layers() if row.result is not None}
    assert max(widths.values()) == 8
    reference = model.network.evaluate([samples.astype(np.float64)])
    for row in model.get_layers():
        assert row.result is not None and row.result.hi is not None and row.result.lo is not None
        if row.name != "pixels":
            assert row.result.lo <= reference[row.name].min() and reference[row.name].max() <= row.result.hi * 1.02
