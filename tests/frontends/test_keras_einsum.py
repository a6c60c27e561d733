"""Keras's products of tensors against Keras itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_samples import assert_fixed_point, assert_same, randomised, save, save_keras2

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.read import read_keras

KERAS_WARNS = pytest.mark.filterwarnings("ignore:NotImplemented should not be used:DeprecationWarning")
"""Keras's tensordot with a list of axes does."""

RNG = np.random.default_rng(3)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


DENSE: dict[str, Any] = {
    "dense": layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d"),
    "ellipsis": layers.EinsumDense("...x,xy->...y", output_shape=5, bias_axes="y", activation="relu"),
    "trailing ellipsis": layers.EinsumDense("ab...,bc->ac...", output_shape=(5,), bias_axes="c"),
    "two out": layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"),
    "two in": layers.EinsumDense("abc,bcd->ad", output_shape=3, bias_axes="d"),
    "per position": layers.EinsumDense("abc,bcd->abd", output_shape=(6, 3), bias_axes="bd"),
    "scaled": layers.EinsumDense("abc,c->abc", output_shape=(None, 4)),
    "moved": layers.EinsumDense("abc,bd->acd", output_shape=(4, 3), bias_axes="c"),
    "summed": layers.EinsumDense("abc,bd->ad", output_shape=3),
}

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "scores": lambda x, y: ops.einsum("bik,bjk->bij", x, y),
    "ellipses": lambda x, y: ops.einsum("...ik,...jk->...ij", x, y),
    "outer": lambda x, y: ops.einsum("bik,bjl->bijkl", x, y),
    "implied": lambda x, y: ops.einsum("aik,ajk->aij", x, y),
    "numbers": lambda x, y: ops.einsum("bij->b", x),
    "numbers of two": lambda x, y: ops.einsum("bij,bkj->b", x, y),
    "one operand": lambda x, y: ops.einsum("bij->bj", x),
    "transposed": lambda x, y: ops.einsum("bij->bji", x),
    "constant": lambda x, y: ops.einsum("bij,jk->bik", x, numbers(4, 3)),
    "constant first": lambda x, y: ops.einsum("kj,bij->bki", numbers(3, 4), x),
    "constant summed": lambda x, y: ops.einsum("bij,jk->bi", x, numbers(4, 3)),
    "diagonal": lambda x, y: ops.einsum("bii->bi", x[:, :4]),
    "traces": lambda x, y: ops.einsum("bii,bjj->bj", x[:, :4], y[:, :4]),
    "three": lambda x, y: ops.einsum("bij,bkj,bkl->bil", x, y, y),
    "constant groups": lambda x, y: ops.einsum("bij,ijk->bik", x, numbers(6, 4, 2)),
    "matmul": lambda x, y: ops.matmul(x, ops.transpose(y, (0, 2, 1))),
    "matmul constant": lambda x, y: x @ numbers(4, 3),
    "matmul constant stack": lambda x, y: ops.matmul(x, numbers(1, 4, 3)),
    "matmul constant first": lambda x, y: ops.matmul(numbers(3, 6), x),
    "matmul vector": lambda x, y: ops.matmul(x, numbers(4)),
    "matmul flat": lambda x, y: ops.matmul(layers.Flatten()(x), numbers(24, 3)),
    "dot": lambda x, y: ops.dot(x, numbers(4, 3)),
    "dot matrices": lambda x, y: ops.dot(x, numbers(2, 4, 3)),
    "tensordot": lambda x, y: ops.tensordot(x, numbers(4, 3), axes=1),
    "tensordot two": lambda x, y: ops.tensordot(x, numbers(4, 6, 2), axes=[[2, 1], [0, 1]]),
}


def test_einsum_dense(tmp_path: Path) -> None:
    x = keras.Input((6, 4), name="x")
    model = randomised(keras.Model(x, [layer(x) for layer in DENSE.values()]))
    for path in (tmp_path / "m.keras", tmp_path / "m.h5"):
        assert_same(read_keras(save(model, path)), model)
    for path in save_keras2(model, tmp_path):
        assert_same(read_keras(path), model)
    assert_fixed_point(read_keras(model))


@KERAS_WARNS
def test_operations() -> None:
    x, y = keras.Input((6, 4), name="x"), keras.Input((5, 4), name="y")
    model = keras.Model([x, y], [build(x, y) for build in OPERATIONS.values()])
    network = read_keras(model)
    assert_same(network, model)
    assert_fixed_point(network)


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "mixed samples": (lambda x, y: ops.einsum("bik,cjk->bcij", x, y), "would mix samples"),
    "summed samples": (lambda x, y: ops.einsum("bik,bjk->ij", x, y), "would mix samples"),
    "moved batch": (lambda x, y: ops.einsum("bij->jbi", x), "whose batch is axis 1"),
    "dot of samples": (lambda x, y: ops.dot(x, ops.transpose(y, (0, 2, 1))), "would mix samples"),
    "tensordot of samples": (lambda x, y: ops.tensordot(x, y, axes=[[2], [2]]), "would mix samples"),
    "constant first": (lambda x, y: ops.dot(numbers(3, 6), x), "whose batch is axis 1"),
}


@KERAS_WARNS
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    build, message = REFUSED[name]
    x, y = keras.Input((6, 4), name="x"), keras.Input((5, 4), name="y")
    with pytest.raises(UnsupportedError, match=message):
        read_keras(keras.Model([x, y], build(x, y)))


def test_bias_of_the_batch_is_refused() -> None:
    x = keras.Input((6, 4), batch_size=3)
    dense = layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="ad")
    with pytest.raises(UnsupportedError, match="a bias along the axes"):
        read_keras(keras.Model(x, dense(x)))
