"""A layer on each time step: the same as the layer on each slice, in all executions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import Activation, PReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.recurrent import LSTM
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Flatten, Permute, Reshape
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.time_distributed import TimeDistributed, over_time
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

RNG = np.random.default_rng(0)
NARROW = FixedFormat(True, 6, 4)


def weights(*shape: int) -> np.ndarray:
    return as_weights(RNG.integers(-8, 9, shape) / 8.0)


ALIKE: dict[str, tuple[Layer, Shape]] = {
    "dense": (Dense(weights(3, 2), weights(2)), (3,)),
    "activation": (Activation("tanh"), (2, 3)),
    "slopes": (PReLU(weights(3)), (2, 3)),
    "norm": (BatchNormalization(weights(2), weights(2), 0), (2, 3)),
    "norm of the last axis": (BatchNormalization(weights(3), weights(3)), (2, 3)),
    "softmax": (Softmax(0), (3, 2)),
    "flatten": (Flatten(), (2, 3)),
    "reshape": (Reshape((3, -1)), (2, 3)),
    "permute": (Permute((1, 0)), (2, 3)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_layers_that_act_alike_everywhere_are_taken_as_they_are(name: str) -> None:
    layer, shape = ALIKE[name]
    direct = over_time(layer, [shape], 4)
    assert not isinstance(direct, TimeDistributed)
    x = [RNG.normal(0, 1, (5, 4, *shape))]
    wrapped = TimeDistributed(layer)
    assert direct.output_shape([(4, *shape)]) == wrapped.output_shape([(4, *shape)])
    np.testing.assert_allclose(direct.reference(x), wrapped.reference(x), rtol=1e-12)
    np.testing.assert_allclose(wrapped.reference(x)[:, 2], layer.reference([x[0][:, 2]]), rtol=1e-12)


INNER: dict[str, tuple[Layer, list[Shape]]] = {
    "recurrent": (LSTM(weights(2, 4), weights(1, 4)), [(2, 3, 2)]),
    "softmax": (Softmax(), [(3, 2)]),
    "dense": (Dense(weights(2, 2), weights(2)), [(3, 2)]),
    "sum": (Add(), [(3, 2), (3, 2)]),
}


@pytest.mark.parametrize("name", INNER)
def test_any_layer_is_exact(name: str) -> None:
    layer, shapes = INNER[name]
    network = network_of(TimeDistributed(layer), shapes, formats=dict.fromkeys(range(2), NARROW))
    outcome = run(network, samples=4)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-9
    assert any(isinstance(node.op, ops.Scan) and node.op.states == 0 for node in outcome.program.nodes)
    assert_exact(network, samples=4)


def test_precision_is_that_of_the_inner_layer() -> None:
    layer = TimeDistributed(Dense(as_weights([[0.3]]), as_weights([0.2])))
    assert layer.variables() == Dense.precisions
    outcome = run(network_of(layer, [(2, 1)], Settings({"weight": FixedFormat(True, 3, 1)})))
    expected = run(network_of(TimeDistributed(Dense(as_weights([[0.5]]), as_weights([0.2]))), [(2, 1)]))
    np.testing.assert_allclose(outcome.fixed, expected.fixed, atol=2.0**-11)


def test_operands_of_different_length_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="equally many time steps"):
        network_of(TimeDistributed(Add()), [(3, 2), (2, 2)]).shapes()


@pytest.mark.slow
def test_compiled_and_simulated(tmp_path: Path) -> None:
    networks = {
        name: network_of(TimeDistributed(layer), shapes, formats=dict.fromkeys(range(2), NARROW))
        for name, (layer, shapes) in INNER.items()
    }
    assert_compiled(networks, tmp_path / "hls")
    assert_simulated(networks["dense"], tmp_path / "rtl")
