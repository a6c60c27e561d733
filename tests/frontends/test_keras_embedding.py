"""Keras layers that take indices, against Keras itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_samples import randomised, save, save_keras2

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.read import read_keras
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.elementwise import Whole, WholeNumber
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.passes.network.lower import exact_nodes


def _indices(shape: tuple[int, ...], below: int) -> Any:
    return np.random.default_rng(0).integers(0, below, (20, *shape))


def _agrees(model: Any, x: Any) -> None:
    network = read_keras(model)
    expected = np.asarray(model(x), dtype=np.float64)
    np.testing.assert_allclose(network.evaluate([x.astype(np.float64)])[network.outputs[0]], expected, atol=1e-5)
    program = compile_network(network).program
    (raw,) = Emulator(program).run_raw([x])
    step = np.exp2(-program.nodes[program.outputs[0].node].type.frac.astype(np.float64))
    assert np.all(np.abs(raw * step - expected) <= 2 * step.max())


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_embedding(dtype: str) -> None:
    x = keras.Input((6,), dtype=dtype, name="x")
    y = layers.Dense(2)(layers.Flatten()(layers.Embedding(11, 3)(x)))
    model = randomised(keras.Model(x, y))
    _agrees(model, _indices((6,), 11))
    (op,) = compile_network(read_keras(model)).program.input_ops()
    assert (int(op.lo), int(op.hi), int(op.frac)) == (0, 15, 0)
    assert not compile_network(read_keras(model)).notes


def test_calibration_data_without_the_last_index() -> None:
    x = keras.Input((2, 3), dtype="int32", name="x")
    model = randomised(keras.Model(x, layers.Embedding(200, 4)(x)))
    data = _indices((2, 3), 5).astype(np.float64)
    (op,) = compile_network(read_keras(model), [data]).program.input_ops()
    assert int(op.hi) == 255


COMPUTED = {
    "embedding": lambda x: layers.Embedding(12, 3)(layers.Dense(4, "relu")(x)),
    "one-hot": lambda x: ops.one_hot(layers.Dense(4, "sigmoid")(x) * 8.0, 9),
    "count": lambda x: layers.CategoryEncoding(9, output_mode="count")(layers.Dense(4, "sigmoid")(x) * 8.0),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_indices_are_not_rounded_before_their_fractions_go(name: str) -> None:
    """The layer that cuts them off jumps, and passes know it; nothing else rounds what it reads."""
    x = keras.Input((6,), name="x")
    network = read_keras(randomised(keras.Model(x, COMPUTED[name](x))))
    (reader,) = (node for node in network.nodes if isinstance(node.layer, Embedding | OneHot))
    whole = network.node(reader.inputs[0])
    assert isinstance(whole.layer, WholeNumber)
    assert whole.layer.way is Whole.TRUNC
    assert whole.inputs[0] in exact_nodes(network)


@pytest.mark.parametrize(
    "moved", [lambda x: x, layers.Flatten(), lambda x: x[:, :1], lambda x: ops.transpose(x, (0, 2, 1))]
)
def test_indices_of_an_input_stay_its_elements(moved: Any) -> None:
    x = keras.Input((2, 3), name="x")
    model = randomised(keras.Model(x, layers.Embedding(11, 2)(moved(x))))
    assert not any(isinstance(node.layer, WholeNumber) for node in read_keras(model).nodes)
    (op,) = compile_network(read_keras(model)).program.input_ops()
    assert (int(op.lo), int(op.hi), int(op.frac)) == (0, 15, 0)


def test_indices_outside_saturate() -> None:
    x = keras.Input((1,), dtype="int32", name="x")
    model = randomised(keras.Model(x, layers.Embedding(5, 2)(x)))
    program = compile_network(read_keras(model)).program
    (raw,) = Emulator(program).run_raw([np.array([[4], [5], [7]])])
    assert (raw[0] == raw[1]).all() and (raw[0] == raw[2]).all()


def test_an_input_that_is_read_as_a_number_too() -> None:
    x = keras.Input((4,), name="x")
    joined = layers.Concatenate()([layers.Flatten()(layers.Embedding(9, 2)(x)), x])
    model = randomised(keras.Model(x, joined))
    program = compile_network(read_keras(model)).program
    (op,) = program.input_ops()
    assert int(op.frac) == 10
    (raw,) = Emulator(program).run_raw([_indices((4,), 9) << 10])
    assert raw.shape == (20, 12)


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("size", [1, 4])
def test_category_encoding(mode: str, size: int) -> None:
    x = keras.Input((size,), dtype="int32", name="x")
    _agrees(keras.Model(x, layers.CategoryEncoding(7, output_mode=mode)(x)), _indices((size,), 7))


def test_files(tmp_path: Path) -> None:
    x = keras.Input((3,), dtype="int32", name="x")
    model = randomised(keras.Model(x, layers.Embedding(8, 2, name="rows")(x)))
    values = _indices((3,), 8).astype(np.float64)
    expected = np.asarray(model(values), dtype=np.float64)
    for path in (save(model, tmp_path / "model.keras"), *save_keras2(model, tmp_path)):
        np.testing.assert_allclose(read_keras(path).evaluate([values])["rows"], expected, atol=1e-6)


def test_whole_numbers_without_a_known_format_are_16_bits() -> None:
    x = keras.Input((4,), dtype="int32", name="x")
    compiled = compile_network(read_keras(randomised(keras.Model(x, layers.Rescaling(1 / 255)(x)))))
    assert "fixed<16,16,RND,SAT>" in compiled.notes[0] and "steps below 1 are lost" in compiled.notes[0]
    (op,) = compiled.program.input_ops()
    assert FixedFormat(True, 16, int(op.frac), Rounding.RND, Overflow.SAT).lo == int(op.lo)


@pytest.mark.parametrize("build,message", [(lambda: layers.Embedding(1 << 17, 1), "at most 65536")])
def test_refused(build: Any, message: str) -> None:
    x = keras.Input((3,), dtype="int32", name="x")
    with pytest.raises(UnsupportedError, match=message):
        read_keras(keras.Model(x, build()(x)))


@pytest.mark.parametrize("mode", ["multi_hot", "count"])
def test_refused_codes(mode: str) -> None:
    x = keras.Input((3, 2), dtype="int32", name="x")
    with pytest.raises(UnsupportedError, match="inputs with one axis"):
        read_keras(keras.Model(x, layers.CategoryEncoding(7, output_mode=mode)(x)))
