"""Keras's attention layers against Keras itself, from files of all kinds and in fixed point; what they refuse."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.src.ops.nn import DotProductAttention
from keras_jsons import functional, layer, source, write_model
from keras_samples import assert_fixed_point, assert_same, randomised, save, save_keras2
from tests.properties import judged

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.keras.read import read_keras

Build = Callable[[Any, Any], Any]
"""Attention of sequences of 5 positions with 4 channels and 3 positions with 6 channels."""

RNG = np.random.default_rng(11)
MASK = RNG.integers(0, 2, (1, 5, 3)).astype(bool)
MASK[..., 0] |= ~MASK.any(axis=-1)

# Keras on jax fails for value_dim other than key_dim unless there is dropout, which takes another path.
HEADS: dict[str, Build] = {
    "self": lambda x, y: layers.MultiHeadAttention(2, 3)(x, x),
    "cross": lambda x, y: layers.MultiHeadAttention(3, 2, value_dim=4, output_shape=7, use_bias=False, dropout=0.1)(
        x, y
    ),
    "key": lambda x, y: layers.MultiHeadAttention(2, 4)(x, y, y[..., :2]),
    "by name": lambda x, y: layers.MultiHeadAttention(1, 3)(query=y, value=x, key=x),
    "causal": lambda x, y: layers.MultiHeadAttention(2, 3, dropout=0.2)(x, x, use_causal_mask=True),
    "causal cross": lambda x, y: layers.MultiHeadAttention(2, 3)(x, y, use_causal_mask=True),
    "masked": lambda x, y: layers.MultiHeadAttention(2, 3)(x, y, attention_mask=MASK),
    "masked twice": lambda x, y: layers.MultiHeadAttention(2, 3)(
        x, x, attention_mask=np.ones((5, 5), dtype=bool), use_causal_mask=True
    ),
    "mask per head": lambda x, y: layers.MultiHeadAttention(2, 3)(
        x, y, attention_mask=np.stack([MASK, MASK[:, ::-1]], 1)
    ),
    "gate": lambda x, y: layers.MultiHeadAttention(2, 3, value_dim=2, use_gate=True, dropout=0.1)(x, y),
    "window": lambda x, y: layers.MultiHeadAttention(2, 3, sliding_window=2)(x, x),
    "several outputs": lambda x, y: layers.MultiHeadAttention(2, 3, output_shape=(2, 3))(x, y),
    "scores": lambda x, y: layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True),
    "all axes": lambda x, y: layers.MultiHeadAttention(2, 3, output_shape=(2, 2))(x[:, :, None], y[:, None, :]),
    "second axis": lambda x, y: layers.MultiHeadAttention(2, 3, attention_axes=2)(
        layers.Reshape((2, 3, 3))(y), layers.Reshape((2, 9, 1))(y)
    ),
    "first axis with scores": lambda x, y: layers.MultiHeadAttention(2, 3, attention_axes=1)(
        layers.Reshape((2, 3, 3))(y), layers.Reshape((2, 3, 3))(y), return_attention_scores=True
    ),
    "two of three axes": lambda x, y: layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(
        layers.Reshape((2, 3, 3, 1))(y), layers.Reshape((2, 3, 3, 1))(y)
    ),
    "groups": lambda x, y: layers.GroupQueryAttention(3, 4, 2)(x, x, return_attention_scores=True),
    "gated groups": lambda x, y: layers.GroupQueryAttention(3, 4, 1, use_gate=True)(x, y[..., :4], y[..., 4:]),
    "causal groups": lambda x, y: layers.GroupQueryAttention(2, 4, 2, use_bias=False, sliding_window=3)(
        x, x, use_causal_mask=True
    ),
}

DENSE: dict[str, Build] = {
    "dot": lambda x, y: layers.Attention()([x, y[..., :4]]),
    "scaled": lambda x, y: layers.Attention(use_scale=True)([x, y, y[..., 1:5]]),
    "causal": lambda x, y: layers.Attention(dropout=0.1)([x, x], use_causal_mask=True),
    "scores": lambda x, y: layers.Attention()([x, x], return_attention_scores=True),
    "concat": lambda x, y: layers.Attention(score_mode="concat")([x, y[..., :4]]),
    "concat scaled": lambda x, y: layers.Attention(score_mode="concat", use_scale=True)([x, x], use_causal_mask=True),
    "additive": lambda x, y: layers.AdditiveAttention()([x, y, y[..., :4]]),
    "additive plain": lambda x, y: layers.AdditiveAttention(use_scale=False)([x, x], use_causal_mask=True),
}


def _model(builds: dict[str, Build]) -> Any:
    x, y = keras.Input((5, 4), name="x"), keras.Input((3, 6), name="y")
    return randomised(keras.Model([x, y], [build(x, y) for build in builds.values()]))


@pytest.mark.parametrize(
    "names",
    [
        ["cross", "causal", "two of three axes"],
        ["groups", "gated groups", "causal groups"],
        judged(list(HEADS)),
        list(DENSE),
    ],
    ids=len,
)
def test_attention_is_keras_own(names: list[str], tmp_path: Path) -> None:
    """All of a kind in one model: Keras takes a second for each."""
    model = _model({name: (DENSE if names == list(DENSE) else HEADS)[name] for name in names})
    assert_same(read_keras(model), model)
    for name in ("m.keras", "m.h5"):
        assert_same(read_keras(save(model, tmp_path / name)), model)
    assert_fixed_point(read_keras(model), relative=2.0**-9)


BIAS = RNG.normal(size=(1, 2, 5, 3)).astype("float32")
PRODUCTS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "plain": ops.dot_product_attention,
    "causal": lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True, scale=0.3),
    "masked": lambda q, k, v: ops.dot_product_attention(q, k, v, mask=MASK[None]),
    "computed mask": lambda q, k, v: ops.dot_product_attention(
        q, k, v, mask=ops.transpose(q[..., :1], (0, 2, 1, 3)) > 0.0
    ),
    "bias": lambda q, k, v: ops.dot_product_attention(q, k, v, BIAS),
    "computed bias": lambda q, k, v: ops.dot_product_attention(q, k, v, ops.einsum("bthc,bshc->bhts", q, k)),
    "heads of keys": lambda q, k, v: ops.dot_product_attention(q, k[:, :, :1], v[:, :, :1]),
}


def test_the_operation_of_attention_is_keras_own(tmp_path: Path) -> None:
    """Of queries, keys and values with an axis for two heads; a query without keys weighs all values alike."""
    q, k, v = keras.Input((5, 2, 4)), keras.Input((3, 2, 4)), keras.Input((3, 2, 4))
    model = keras.Model([q, k, v], [build(q, k, v) for build in PRODUCTS.values()])
    assert_same(read_keras(model), model)
    assert_same(read_keras(save(model, tmp_path / "m.keras")), model)
    capped = keras.Model([q, k, v], DotProductAttention(attn_logits_soft_cap=2.0)(q, k, v))
    with pytest.raises(UnsupportedError, match="attn_logits_soft_cap"):
        read_keras(capped)


def test_steps_have_the_users_name() -> None:
    x = keras.Input((5, 4), name="x")
    network = read_keras(keras.Model(x, layers.MultiHeadAttention(2, 3, name="mha")(x, x)))
    assert [(node.name, node.inputs) for node in network.nodes] == [
        ("x", ()),
        ("mha_query", ("x",)),
        ("mha_key", ("x",)),
        ("mha_value", ("x",)),
        ("mha_scores", ("mha_query", "mha_key")),
        ("mha_softmax", ("mha_scores",)),
        ("mha_context", ("mha_softmax", "mha_value")),
        ("mha", ("mha_context",)),
    ]


def test_masked_positions_are_exactly_without_effect() -> None:
    """The first position attends to itself alone: what comes later cannot change a bit of it."""
    x = keras.Input((5, 4), name="x")
    model = randomised(keras.Model(x, layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)))
    emulator = Emulator(compile_network(read_keras(model)).program)
    raw = RNG.integers(-4000, 4000, (6, 5, 4))
    raw[:, 0] = raw[0, 0]
    (first,) = emulator.run_raw([raw])
    np.testing.assert_array_equal(first[:, 0], first[:1, 0].repeat(6, axis=0))
    assert (first[:, 1] != first[0, 1]).any()


def test_a_transformer_block_with_positions(tmp_path: Path) -> None:
    """Nested model, residual sums, positional constants; weights from every layout."""
    x = keras.Input((4, 6), name="x")
    inner_x = keras.Input((4, 6), name="inner_x")
    attended = layers.MultiHeadAttention(2, 3, name="attention")(inner_x, inner_x)
    inner = keras.Model(inner_x, layers.Add()([inner_x, attended]), name="block")
    model = randomised(keras.Model(x, layers.Dense(3, name="head")(inner(layers.Add()([x, x])))))
    for name in ("m.keras", "m.h5"):
        network = read_keras(save(model, tmp_path / name))
        assert_same(network, model)
    assert_fixed_point(network)


def _saved_by_keras2(folder: Path, **arguments: Any) -> tuple[Path, Any]:
    """A file of Keras 2 whose attention is called with the given arguments, and the model without them."""
    x = keras.Input((5, 4), name="x")
    model = randomised(keras.Model(x, layers.MultiHeadAttention(2, 3, name="mha")(x, x)))
    text, _ = save_keras2(model, folder)
    saved = json.loads(text.read_text())
    saved["config"]["layers"][1]["inbound_nodes"] = [[["x", 0, 0, arguments]]]
    text.write_text(json.dumps(saved))
    return text, model


def test_files_of_keras_2(tmp_path: Path) -> None:
    """There a value is a keyword argument, and weights have names like ``mha/query/kernel:0``."""
    text, model = _saved_by_keras2(tmp_path, value=["x", 0, 0], training=False)
    assert_same(read_keras(text), model)


def test_private_names_of_sub_layers(tmp_path: Path) -> None:
    """Early files have ``_query_dense`` where later ones have ``query_dense``."""
    x = keras.Input((5, 4), name="x")
    model = randomised(keras.Model(x, layers.MultiHeadAttention(2, 3, name="mha")(x, x)))
    path = save(model, tmp_path / "m.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = io.BytesIO(members["model.weights.h5"])
    with h5py.File(data, "a") as file:
        group = file["layers/multi_head_attention"]
        for name in ("query_dense", "key_dense", "value_dense", "output_dense"):
            group.move(name, f"_{name}")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"model.weights.h5": data.getvalue()}).items():
            archive.writestr(name, content)
    assert_same(read_keras(path), model)


def test_attention_of_absurd_size_is_refused(tmp_path: Path) -> None:
    attention = layer("Attention", "it", "x")
    attention["inbound_nodes"] = [[["x", 0, 0, {"use_causal_mask": True}], ["x", 0, 0, {}]]]
    model = functional(source("x", 1 << 20, 1), attention, outputs=("it",))
    with pytest.raises(BitsmithError, match="at most 16777216 elements"):
        read_keras(write_model(tmp_path, model))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "computed mask": ({"value": ["x", 0, 0], "query_mask": ["x", 0, 0]}, "query_mask"),
    "nothing to attend to": ({"value": ["x", 0, 0], "attention_mask": [[[0] * 5] * 5]}, "a softmax of nothing"),
    "mask of another shape": ({"value": ["x", 0, 0], "attention_mask": [[[1] * 4] * 5]}, "a mask of shape"),
    "mask of several samples": (
        {"value": ["x", 0, 0], "attention_mask": [[[1] * 5] * 5] * 2},
        "differs between samples",
    ),
    "ragged mask": ({"value": ["x", 0, 0], "attention_mask": [[1], [1, 1]]}, "the argument"),
    "mask of words": ({"value": ["x", 0, 0], "attention_mask": "no"}, "the argument"),
    "no value": ({}, "a query and a value"),
    "mask of keys": ({"value": ["x", 0, 0], "key_mask": [1, 1, 1, 1, 1]}, "argument key_mask"),
    "odd switch": ({"value": ["x", 0, 0], "use_causal_mask": 3}, "use_causal_mask is 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    kwargs, message = REFUSED[name]
    with pytest.raises(BitsmithError, match=message):
        read_keras(_saved_by_keras2(tmp_path, **kwargs)[0])


def test_masks_along_several_axes_are_refused() -> None:
    x = keras.Input((2, 3, 4))
    with pytest.raises(UnsupportedError, match="a mask on attention along several axes"):
        read_keras(keras.Model(x, layers.MultiHeadAttention(2, 3, sliding_window=2)(x, x)))


@pytest.mark.slow
@pytest.mark.ci
def test_projections_that_keras_has_quantized_are_refused() -> None:
    x = keras.Input((4, 8))
    attention = layers.MultiHeadAttention(2, 4)
    model = keras.Model(x, attention(x, x))
    attention.query_dense.quantize("int8")
    with pytest.raises(ModelFileError, match="quantize adds some to layers inside: give the model as it was before"):
        read_keras(model)
