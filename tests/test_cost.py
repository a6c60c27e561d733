"""Prices of weights and bits, and masks by them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
import torch

import bitsmith
from bitsmith.errors import ConfigError, InputDataError, UnsupportedError
from bitsmith.model.cost import LayerCost
from bitsmith.model.masks import Candidates, knapsack
from bitsmith.model.pricing import _Pricing
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.shares import MadeProduct
from bitsmith.passes.program import drop_dead
from tests.properties import shares

Floats = npt.NDArray[np.float64]


def _sparse(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Weights that six bits hold, about a third of which are zero."""
    values = rng.uniform(0.5, 1.0, shape) * rng.choice([-1.0, 1.0], shape)
    return np.asarray(np.round(values * 16) / 16 * (rng.random(shape) < 0.7))


def _torch_model(rng: np.random.Generator) -> torch.nn.Module:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 4, (2, 1), groups=2),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 3),
        torch.nn.Linear(3, 2),
    )
    with torch.no_grad():
        for layer in net:
            if hasattr(layer, "weight"):
                layer.weight.copy_(torch.tensor(_sparse(rng, tuple(layer.weight.shape))))
    return net.eval()


class _Named(torch.nn.Module):
    """A module whose layers have names, and whose first result is taken."""

    def __init__(self, cells: torch.nn.Module) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.cells(x)
        result: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return result


def _keras_model(rng: np.random.Generator) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((5, 4, 2)),
            keras.layers.Conv2D(3, 2, padding="same", name="conv", activation="relu"),
            keras.layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="dense"),
        ]
    )
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([_sparse(rng, value.shape) for value in layer.get_weights()])
    return model


def _dense(kernel: Floats, precision: str = "fixed<24,12>", **options: object) -> bitsmith.Model:
    model = keras.Sequential(
        [keras.Input((kernel.shape[0],)), keras.layers.Dense(kernel.shape[1], name="d", use_bias=False)]
    )
    model.layers[0].set_weights([kernel])
    config = {"Model": {"Precision": precision}, "LayerName": {"d": {"Precision": {"weight": "fixed<6,2>"}}}}
    return bitsmith.convert(model, config=config, check=False, **options)


@shares(3)
@pytest.mark.parametrize(
    "options", [{}, {"io_type": "io_stream"}, {"reuse_factor": 3}], ids=["whole", "stream", "reuse"]
)
def test_prices_lie_as_the_kernels_of_pytorch_do(share: int, options: dict[str, object]) -> None:
    rng = np.random.default_rng(share)
    net = _torch_model(rng)
    inputs = rng.normal(size=(8, 2, 7, 4)).astype(np.float32)
    prices = bitsmith.cost(bitsmith.convert(net, calibration=inputs, bits=6, check=False, **options))
    for name, layer in net.named_children():
        if name in prices:
            kernel = layer.weight.detach().numpy()
            assert prices[name].there.tolist() == (kernel != 0).tolist(), name
            assert not prices[name].weights.lut[kernel == 0].any()
            channels = 32 if name == "4" else 3 if name == "5" else (2, 4)[name == "2"]
            assert prices[name].input_bits.lut.shape == (channels,)
    assert {"0", "5"} <= set(prices)


@shares(2)
def test_prices_lie_as_the_kernels_of_keras_do(share: int) -> None:
    rng = np.random.default_rng(share)
    model = _keras_model(rng)
    prices = bitsmith.cost(bitsmith.convert(model, calibration=rng.normal(size=(8, 5, 4, 2)), bits=6, check=False))
    for name in ("conv", "depthwise", "dense"):
        kernel = np.asarray(model.get_layer(name).get_weights()[0])
        assert prices[name].there.tolist() == (kernel != 0).tolist(), name


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_prices_of_recurrent_layers_lie_as_the_kernels_of_pytorch_do(kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    cells = getattr(torch.nn, kind)(2, 3, batch_first=True)
    with torch.no_grad():
        for kernel in (cells.weight_ih_l0, cells.weight_hh_l0):
            kernel.copy_(torch.tensor(_sparse(rng, tuple(kernel.shape))))
    inputs = rng.normal(size=(8, 3, 2)).astype(np.float32)
    prices = bitsmith.cost(bitsmith.convert(_Named(cells).eval(), calibration=inputs, bits=6, check=False))
    assert set(prices) == {"cells", "cells.recurrent_weight"}
    for name, kernel in (("cells", cells.weight_ih_l0), ("cells.recurrent_weight", cells.weight_hh_l0)):
        there = kernel.detach().numpy() != 0
        assert prices[name].there.tolist() == there.tolist()
        assert (prices[name].weights.adder_bits > 0).sum() > 0.6 * there.sum()
        assert not prices[name].weights.lut[~there].any()
        assert prices[name].input_bits.lut.shape == (there.shape[1],)
    assert prices.whole("cells*") > prices["cells"].weights.lut.sum()


def test_prices_of_a_recurrence_sum_to_the_adders_of_all_its_steps() -> None:
    layer = keras.layers.LSTM(3, name="r")
    model = keras.Sequential([keras.Input((4, 2)), layer])
    layer.set_weights([_sparse(np.random.default_rng(1), each.shape) for each in layer.get_weights()])
    model = bitsmith.convert(model, config={"Model": {"Precision": "fixed<12,4>"}}, check=False)
    made = list[MadeProduct]()
    elaborate(drop_dead(model.program, keep_probes=False), model.directives.block_layers, products=made)
    steps = [sum(each.graph.paid(each.inputs)) * each.positions for each in made if each.step]
    prices = bitsmith.cost(model)
    assert len(steps) == 4 and steps[0] == 0
    assert prices["r.recurrent_weight"].weights.adder_bits.sum() == pytest.approx(sum(steps))
    assert prices["r"].weights.adder_bits.shape == (2, 12)


@pytest.mark.slow
@pytest.mark.ci
def test_whole_layers_take_what_is_estimated() -> None:
    block = torch.nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True)
    inputs = np.random.default_rng(0).normal(size=(8, 3, 4)).astype(np.float32)
    model = bitsmith.convert(_Named(block).eval(), calibration=inputs, bits=6, check=False)
    prices = bitsmith.cost(model)
    parts = (
        "self_attn_linear",
        "self_attn_scaled_dot_product_attention",
        "self_attn_scaled_dot_product_attention_softmax",
    )
    assert prices.whole("cells.self_attn*") > 0.8 * sum(prices.whole(f"cells.{part}*") for part in parts[:2])
    assert 0 < prices.whole(f"cells.{parts[2]}") < prices.whole(f"cells.{parts[1]}*")
    assert prices.whole("cells.dropout1") == 0
    assert prices.whole("cells*") == pytest.approx(model.estimate().size.lut, rel=0.25)
    assert prices.whole("cells*", "dsp") == model.estimate().size.dsp
    assert prices.whole("cells.norm1") > 0 and prices.whole("cells.norm2") > 0
    assert "cells.norm1" in str(prices)
    with pytest.raises(UnsupportedError, match=r"no layer of 'cells.norm'"):
        prices.whole("cells.norm")
    with pytest.raises(ConfigError, match="bram"):
        prices.whole("cells*", "LUT")


def test_prices_are_near_the_estimate() -> None:
    rng = np.random.default_rng(0)
    model = _dense(_sparse(rng, (16, 12)))
    prices = bitsmith.cost(model)
    assert prices.total("lut") == pytest.approx(model.estimate().size.lut, rel=0.15)
    assert prices.total("ff") == pytest.approx(model.estimate().size.ff, rel=0.6)


def test_exact_prices_are_what_a_removed_weight_saves() -> None:
    rng = np.random.default_rng(1)
    kernel = _sparse(rng, (5, 4))
    model = _dense(kernel)
    whole, exact = bitsmith.cost(model).total("adder_bits"), bitsmith.cost(model, exact=True)["d"].weights.adder_bits
    for place in np.argwhere(kernel != 0)[::3].tolist():
        left = kernel.copy()
        left[tuple(place)] = 0
        assert whole - bitsmith.cost(_dense(left)).total("adder_bits") == pytest.approx(exact[tuple(place)])


def test_prices_of_bits_tell_what_bits_take() -> None:
    rng = np.random.default_rng(2)
    net = torch.nn.Sequential(torch.nn.Linear(24, 16, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(rng.normal(size=(16, 24))))

    def adders(weight: int, result: int) -> bitsmith.model.cost.Cost:
        given = {"Precision": {"weight": f"fixed<{weight},3>"}}
        config = {"LayerName": {"0": given, "input": {"Precision": f"fixed<{result},4>"}}}
        return bitsmith.cost(bitsmith.convert(net, config=config, input_shape=(24,), check=False))

    now = adders(6, 8)
    assert adders(7, 8).total("adder_bits") - now.total("adder_bits") == pytest.approx(
        now["0"].weight_bits.adder_bits.sum(), rel=0.3
    )
    assert adders(6, 9).total("adder_bits") - now.total("adder_bits") == pytest.approx(
        now["0"].input_bits.adder_bits.sum(), rel=0.25
    )


@pytest.mark.parametrize(("precision", "shared"), [("fixed<24,12>", False), ("fixed<12,8>", True)])
def test_multipliers_serve_several_weights(precision: str, shared: bool) -> None:
    """Blocks do so for one column, or, of short numbers, for two."""
    rng = np.random.default_rng(3)
    kernel = _sparse(rng, (8, 6))
    options: dict[str, object] = {"strategy": "resource", "reuse_factor": 4, "part": "xc7a35ticsg324-1L"}
    model = _dense(kernel, precision, **options)
    prices = bitsmith.cost(model)
    found = prices["d"]
    assert found.multiplier is not None
    assert found.multiplier.max() == (5 if shared else 11)
    assert prices.total("dsp") == pytest.approx(model.estimate().size.dsp)
    masks = prices.masks({"d": np.abs(kernel)}, {"dsp": 0.5}, "pattern")
    for number in range(12):
        assert len(set(masks["d"][found.multiplier == number].tolist())) <= 1
    assert found.weights.dsp[masks["d"]].sum() <= prices.total("dsp") / 2 + 1e-9
    left = _dense(kernel * masks["d"], precision, **options)
    assert left.estimate().size.dsp == round(prices.total("dsp") / 2) == round(bitsmith.cost(left).total("dsp"))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.tools
@pytest.mark.parametrize("part", ["xc7a35ticsg324-1L", "LFE5U-25F"])
def test_multipliers_without_weights_are_in_no_circuit(part: str, tmp_path: Path) -> None:
    """Synthesis counts the blocks that the estimate does, and simulation finds the same results."""
    rng = np.random.default_rng(6)
    kernel = np.where(rng.random((8, 6)) < 0.5, 0.75, -0.5)
    options: dict[str, object] = {"strategy": "resource", "reuse_factor": 4, "part": part}
    whole = _dense(kernel, "fixed<12,8>", **options)
    prices = bitsmith.cost(whole)
    masks = prices.masks({"d": rng.random((8, 6))}, {"dsp": 0.5}, "pattern")
    model = _dense(kernel * masks["d"], "fixed<12,8>", **options)
    model.target = replace(model.target, output_dir=tmp_path)
    report = model.build(inputs=rng.normal(size=(20, 8)), synth=True)
    assert report.section("Verification")["Mismatches"] == 0
    assert report.section("Resources")["DSP"] == model.estimate().size.dsp < whole.estimate().size.dsp


@pytest.mark.parametrize("structure", ["weight", "unstructured", "channel", "structured", "block"])
def test_masks_are_within_budgets_and_keep_what_is_important(structure: str) -> None:
    rng = np.random.default_rng(4)
    model = _keras_model(rng)
    prices = bitsmith.cost(bitsmith.convert(model, calibration=rng.normal(size=(8, 5, 4, 2)), bits=6, check=False))
    importance = {name: np.abs(model.get_layer(name).get_weights()[0]) for name in ("conv", "dense")}
    masks = prices.masks(importance, {"lut": 0.6, "ff": 0.7}, structure, block=(2, 3))
    for resource, share in (("lut", 0.6), ("ff", 0.7)):
        total = sum(float(getattr(prices[name].weights, resource).sum()) for name in masks)
        kept = sum(float(getattr(prices[name].weights, resource)[mask].sum()) for name, mask in masks.items())
        assert kept <= share * total * (1 + 1e-9)
        assert kept > 0.2 * total
    for name, mask in masks.items():
        assert mask.shape == importance[name].shape
        if structure in ("weight", "unstructured"):
            assert not mask[importance[name] == 0].any()
        if structure in ("channel", "structured"):
            flat = mask.reshape(-1, mask.shape[-1])
            assert np.array_equal(flat.all(axis=0), flat.any(axis=0))


def test_greedy_choice_takes_the_best_for_its_price() -> None:
    prices = np.array([4.0, 1.0, 1.0, 3.0])
    worth, there = np.array([4.0, 2.0, 0.5, 2.9]), np.array([True, True, True, True])
    layer = Candidates(np.arange(4), worth, [prices], there)
    assert knapsack({"a": layer}, [5.0])["a"].tolist() == [True, True, False, False]
    assert knapsack({"a": layer}, [4.5])["a"].tolist() == [False, True, False, True]
    assert knapsack({"a": layer, "b": layer}, [100.0])["b"].all()
    free = Candidates(np.arange(4), worth, [prices, np.array([0.0, 0.0, 1.0, 0.0])], there)
    assert knapsack({"a": free}, [100.0, 0.0])["a"].tolist() == [True, True, False, True], (
        "of what is free there is enough"
    )


def test_layers_without_prices_say_why() -> None:
    layers = [keras.layers.Conv1DTranspose(3, 2, name="up"), keras.layers.Flatten(), keras.layers.Dense(2, name="d")]
    prices = bitsmith.cost(
        bitsmith.convert(
            keras.Sequential([keras.Input((4, 2)), *layers]),
            calibration=np.random.default_rng(5).normal(size=(8, 4, 2)),
            check=False,
        )
    )
    assert list(prices) == ["d"]
    with pytest.raises(UnsupportedError, match=r"up.*Conv1DTranspose"):
        prices["up"]
    with pytest.raises(UnsupportedError, match=r"(?s)no such layer.*'d'"):
        prices["nothing"]
    model = keras.Sequential(
        [keras.Input((16,)), *(keras.layers.Dense(16, name=f"d{k}", activation="relu") for k in range(2))]
    )
    prices = bitsmith.cost(bitsmith.convert(model, strategy="shared", reuse_factor=256, check=False))
    assert list(prices) == []
    assert "engine" in str(prices)
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3, name="r")])
    prices = bitsmith.cost(bitsmith.convert(model, bits=6, check=False, io_type="io_stream"))
    with pytest.raises(UnsupportedError, match="take turns"):
        prices["r.recurrent_weight"]


def test_products_of_other_shapes_have_no_prices() -> None:
    """Those that passes have joined with another layer's, or replaced."""
    model = bitsmith.convert(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), bits=6, check=False)
    made = list[MadeProduct]()
    elaborate(drop_dead(model.program, keep_probes=False), model.directives.block_layers, products=made)
    (node,) = (node for node in model.network.nodes if "weight" in node.layer.weights())
    pricing = _Pricing(model.target.known_part.family, 0.0, exact=False)
    assert isinstance(pricing.layer(node, "weight", made, []), LayerCost)
    others = [replace(each, weights=each.weights[:-1]) for each in made]
    assert "joined or replaced" in str(pricing.layer(node, "weight", others, []))


def test_wrong_arguments_of_masks_are_told() -> None:
    prices = bitsmith.cost(_dense(np.ones((4, 3)) * 0.75))
    good = {"d": np.ones((4, 3))}
    for arguments, error, words in (
        (({"d": np.ones(3)}, {"lut": 0.5}), InputDataError, r"\(4, 3\)"),
        (({"d": -np.ones((4, 3))}, {"lut": 0.5}), InputDataError, "0 or more"),
        ((good, {"luts": 0.5}), ConfigError, "adder_bits"),
        ((good, {"lut": 0}), ConfigError, "positive"),
        ((good, {"lut": 0.5}, "rows"), ConfigError, "pattern"),
        ((good, {"lut": 0.5}, "pattern"), ConfigError, "ReuseFactor"),
        (({}, {"lut": 0.5}), ConfigError, "0 layers"),
    ):
        with pytest.raises(error, match=words):
            prices.masks(*arguments)
