"""Wiring layers and normalisation, and folding the latter."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape
from bitsmith.passes.fold_batchnorm import fold_batchnorm
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


def test_a_given_result_precision_prevents_folding() -> None:
    network = chain(Settings({"result": FixedFormat(True, 16, 10)}))
    assert fold_batchnorm(network) == network


def test_a_second_consumer_prevents_folding() -> None:
    network = chain()
    both = Network(network.nodes, network.inputs, ("norm", "layer"))
    assert fold_batchnorm(both) == both


def test_a_tensor_returned_twice_gets_two_output_names() -> None:
    network = chain()
    twice = Network(network.nodes, network.inputs, ("norm", "layer", "norm"))
    assert [output.name for output in run(twice).program.outputs] == ["norm", "layer", "norm_1"]
