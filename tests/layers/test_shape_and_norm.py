"""Wiring layers and normalization, and folding the latter."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import AUTO_BITS, spread_exponents
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Settings, Weights
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape
from bitsmith.passes.network.fold_batchnorm import fold_batchnorm
from bitsmith.report.summary import held_constant, rows
from tests.layers.lowered import network_of, run


@pytest.mark.parametrize(
    "layer", [Flatten(), Identity(), Reshape((4, -1)), Reshape((3, 2, 2)), Permute((1, 0))], ids=str
)
def test_wiring_is_exact(layer: Layer) -> None:
    outcome = run(network_of(layer, [(3, 4)]))
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize("layer", [Reshape((5, -1)), Reshape((-1, -1)), Permute((0, 2))], ids=str)
def test_impossible_wiring_is_refused(layer: Layer) -> None:
    with pytest.raises(UnsupportedError):
        network_of(layer, [(3, 4)]).shapes()


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_batch_normalisation_along_any_axis(axis: int) -> None:
    size = (3, 4)[axis]
    rng = np.random.default_rng(0)
    layer = BatchNormalization(as_weights(rng.uniform(0.5, 2, size)), as_weights(rng.standard_normal(size)), axis)
    outcome = run(network_of(layer, [(3, 4)]))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 3 * outcome.step


def chain(settings: Settings | None = None) -> Network:
    rng = np.random.default_rng(1)
    network = network_of(Dense(as_weights(rng.standard_normal((4, 3))), as_weights(rng.standard_normal(3))), [(4,)])
    dense = network.nodes[-1]
    norm = BatchNormalization(as_weights(rng.uniform(0.5, 2, 3)), as_weights(rng.standard_normal(3)))
    nodes = (network.nodes[0], NetworkNode("layer", dense.layer, ("x0",), settings=settings or Settings()))
    return Network((*nodes, NetworkNode("norm", norm, ("layer",))), network.inputs, ("norm",))


def test_folding_keeps_the_function() -> None:
    folded = fold_batchnorm(chain())
    assert [node.layer.kind for node in folded.nodes] == ["Input", "Dense", "Identity"]
    x = [np.random.default_rng(2).standard_normal((9, 4))]
    np.testing.assert_allclose(folded.evaluate(x)["norm"], chain().evaluate(x)["norm"], rtol=1e-12)
    probes = [probe.name for probe in run(folded).program.probes]
    assert probes == ["x0", "norm"]


def test_a_normalisation_along_positions_is_not_folded() -> None:
    """Not even where there are as many positions as channels."""
    rng = np.random.default_rng(1)
    network = network_of(Dense(as_weights(rng.standard_normal((4, 3)))), [(3, 4)])
    norm = BatchNormalization(as_weights(rng.uniform(0.5, 2, 3)), as_weights(rng.standard_normal(3)), axis=0)
    nodes = (*network.nodes, NetworkNode("norm", norm, ("layer",)))
    folded = fold_batchnorm(Network(nodes, network.inputs, ("norm",)))
    assert [node.layer.kind for node in folded.nodes] == ["Input", "Dense", "BatchNormalization"]


def test_a_given_result_precision_prevents_folding() -> None:
    network = chain(Settings({"result": FixedFormat(True, 16, 10)}))
    assert fold_batchnorm(network) == network


def test_a_second_consumer_prevents_folding() -> None:
    network = chain()
    both = Network(network.nodes, network.inputs, ("norm", "layer"))
    assert fold_batchnorm(both) == both


def scaled_input(*more: NetworkNode, settings: Settings | None = None) -> Network:
    """``x -> scale -> offset -> as_is -> dense -> more``, as a scaler in front of a network."""
    rng = np.random.default_rng(3)
    ones, zeros = as_weights(np.ones(4)), as_weights(np.zeros(4))
    nodes = (
        network_of(Identity(), [(4,)]).nodes[0],
        NetworkNode("scale", BatchNormalization(as_weights([1e-3, 0.3, 20, -400]), zeros), ("x0",)),
        NetworkNode("offset", BatchNormalization(ones, as_weights(rng.standard_normal(4))), ("scale",)),
        NetworkNode("as_is", Identity(), ("offset",)),
        NetworkNode(
            "dense", Dense(as_weights(rng.standard_normal((4, 3)))), ("as_is",), settings=settings or Settings()
        ),
        *more,
    )
    return Network(nodes, ("x0",), (nodes[-1].name,))


def test_folding_into_the_layer_behind_keeps_the_function_and_each_row_its_bits() -> None:
    network = scaled_input()
    folded = fold_batchnorm(network)
    assert [node.layer.kind for node in folded.nodes] == ["Input", *["Identity"] * 3, "Dense"]
    x = [np.random.default_rng(2).standard_normal((9, 4))]
    np.testing.assert_allclose(folded.evaluate(x)["dense"], network.evaluate(x)["dense"], rtol=1e-12)
    assert [probe.name for probe in run(folded).program.probes] == ["x0", "dense"]
    dense = folded.node("dense")
    held = held_constant(dense, "weight", dense.layer.weights()["weight"])
    error = np.abs(held.values / dense.layer.weights()["weight"] - 1)
    assert float(np.max(error)) < 2.0**-10
    (row,) = [row for row in rows(folded, run(folded).program) if row.name == "dense"]
    assert [constant.format for constant in row.constants] == ["fixed<16,-7..11>", "fixed<16,5>"]


@pytest.mark.parametrize(
    "settings", [Settings({"weight": FixedFormat(True, 16, 10)}), Settings(weights=Weights.RELOADABLE)]
)
def test_weights_that_are_not_auto_s_own_prevent_folding_into_them(settings: Settings) -> None:
    network = scaled_input(settings=settings)
    assert fold_batchnorm(network) == network


def test_a_second_consumer_prevents_folding_into_the_layer_behind() -> None:
    network = scaled_input(NetworkNode("other", Flatten(), ("as_is",)))
    both = Network(network.nodes, network.inputs, ("dense", "other"))
    assert [node.layer.kind for node in fold_batchnorm(both).nodes] == [node.layer.kind for node in network.nodes]


def test_scales_far_apart_keep_their_bits() -> None:
    values = as_weights([1.1e-4, 0.37, 1300.1, 0.0])
    node = NetworkNode("norm", BatchNormalization(values, values), ("x",))
    held = held_constant(node, "scale", values)
    np.testing.assert_allclose(held.values, values, rtol=2.0**-15)
    (_, like) = spread_exponents(values, AUTO_BITS), spread_exponents(as_weights([0.1, 0.37, 2.1]), AUTO_BITS)
    assert like is None and held_constant(node, "bias", values).formats == (FixedFormat(False, 15, 4),)
    outcome = run(network_of(BatchNormalization(values, values), [(4,)]))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < outcome.step


def test_a_tensor_returned_twice_gets_two_output_names() -> None:
    network = chain()
    twice = Network(network.nodes, network.inputs, ("norm", "layer", "norm"))
    assert [output.name for output in run(twice).program.outputs] == ["norm", "layer", "norm_1"]
