"""Writes the ONNX files of this folder: small untrained Keras networks, each as a real exporter writes it.

Not part of the tests, which read the files that are here. Each way was run in a virtual environment of its own:

    KERAS_BACKEND=tensorflow python make.py tf2onnx tf2onnx_keras2    # tensorflow-cpu 2.15.1, tf2onnx 1.16.1
    KERAS_BACKEND=tensorflow python make.py tf2onnx tf2onnx_keras3    # tensorflow-cpu 2.21.0, Keras 3.15.1, tf2onnx 1.17.0
    KERAS_BACKEND=tensorflow python make.py keras keras3_tensorflow   # the same, by Model.export(format="onnx")
    KERAS_BACKEND=torch python make.py keras keras3_torch             # torch 2.13.0, Keras 3.15.1
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
from keras import layers

HERE = Path(__file__).parent


def _line(shape: tuple[int, ...], *parts: object) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *parts])


def _residual() -> keras.Model:
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.add([y, layers.Conv2D(4, 3, padding="same")(y)])
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y)))


def _two() -> keras.Model:
    a, b = keras.Input((4,)), keras.Input((3,))
    y = layers.Concatenate()([layers.Dense(4, activation="relu")(a), b])
    return keras.Model([a, b], [layers.Dense(2, activation="softmax")(y), layers.Dense(1, activation="sigmoid")(y)])


def _attention() -> keras.Model:
    x = keras.Input((5, 6))
    y = layers.LayerNormalization()(layers.add([x, layers.MultiHeadAttention(2, 3)(x, x)]))
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(y)))


def _activations() -> keras.Model:
    names = ("elu", "selu", "linear", "gelu", "swish", "hard_sigmoid", "softplus", "softsign")
    dense = [layers.Dense(8, activation=name) for name in names]
    return _line(
        (6,),
        *dense,
        layers.LeakyReLU(),
        layers.PReLU(),
        layers.Dense(4, activation="relu6"),
        layers.Dense(3, activation="sigmoid"),
    )


def _cnn() -> keras.Model:
    return _line(
        (8, 8, 1),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    )


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "mlp": lambda: _line(
        (6,),
        layers.Dense(8, activation="relu"),
        layers.Dense(4, activation="tanh"),
        layers.Dense(3, activation="softmax"),
    ),
    "mlp_acts": _activations,
    "mlp_bn": lambda: _line(
        (6,),
        layers.Dense(8, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.2),
        layers.Dense(3),
    ),
    "cnn": _cnn,
    "cnn_9": _cnn,
    "cnn_18": _cnn,
    "cnn_rgb": lambda: _line(
        (9, 9, 3),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        layers.AveragePooling2D(2, padding="same"),
        layers.Conv2D(4, 2, dilation_rate=2, activation="relu", padding="same"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3),
    ),
    "depthwise": lambda: _line(
        (8, 8, 3),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.SeparableConv2D(6, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ),
    "depth_mult": lambda: _line(
        (8, 8, 3),
        layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2),
        layers.Conv2D(4, 1),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "transpose": lambda: _line(
        (4, 4, 3),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(2, 2, strides=2),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "upsample": lambda: _line(
        (4, 4, 3),
        layers.Conv2D(4, 3, padding="same"),
        layers.UpSampling2D(2),
        layers.Conv2D(2, 3),
        layers.ZeroPadding2D(1),
        layers.Cropping2D(1),
    ),
    "conv1d": lambda: _line(
        (16, 3),
        layers.Conv1D(4, 3, padding="causal", activation="relu"),
        layers.MaxPooling1D(2),
        layers.Conv1D(4, 3, activation="relu"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2),
    ),
    "conv1d_sep": lambda: _line(
        (16, 3),
        layers.SeparableConv1D(4, 3, padding="same"),
        layers.AveragePooling1D(2),
        layers.DepthwiseConv1D(3),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "lstm": lambda: _line((7, 3), layers.LSTM(5), layers.Dense(2)),
    "lstm_seq": lambda: _line((7, 3), layers.LSTM(5, return_sequences=True), layers.LSTM(4), layers.Dense(2)),
    "bilstm": lambda: _line((7, 3), layers.Bidirectional(layers.LSTM(5)), layers.Dense(2)),
    "bilstm_seq": lambda: _line(
        (7, 3), layers.Bidirectional(layers.LSTM(5, return_sequences=True)), layers.TimeDistributed(layers.Dense(2))
    ),
    "gru": lambda: _line((7, 3), layers.GRU(5), layers.Dense(2)),
    "rnn": lambda: _line((7, 3), layers.SimpleRNN(5), layers.Dense(2)),
    "embedding": lambda: _line((7,), layers.Embedding(10, 4), layers.LSTM(5), layers.Dense(2)),
    "residual": _residual,
    "two": _two,
    "attention": _attention,
    "permute": lambda: _line(
        (4, 6),
        layers.Permute((2, 1)),
        layers.Reshape((3, 8)),
        layers.Dense(2),
        layers.Flatten(),
        layers.RepeatVector(2),
    ),
    "layernorm": lambda: _line((4, 6), layers.LayerNormalization(), layers.Dense(2)),
    "groupnorm": lambda: _line((4, 4, 6), layers.GroupNormalization(3), layers.Conv2D(2, 1)),
}
"""By the name within the file's; a number behind it is the operator set that is asked for."""


def _randomised(model: keras.Model) -> None:
    """Weights as of a trained model: no biases of 0, no variances of 1."""
    rng = np.random.default_rng(0)
    values = []
    for weight in model.weights:
        drawn = rng.normal(0.0, 0.4, weight.shape)
        positive = any(word in getattr(weight, "path", weight.name) for word in ("gamma", "variance"))
        values.append((np.abs(drawn) + 0.5 if positive else drawn).astype(np.float32))
    model.set_weights(values)


def _by_tf2onnx(model: keras.Model, path: Path, opset: int | None) -> None:
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec(x.shape, x.dtype, name=x.name) for x in model.inputs]
    if keras.__version__.startswith("2"):
        tf2onnx.convert.from_keras(model, signature, opset=opset, output_path=str(path))
        return
    # Of Keras 3's models from_keras loses the output names.
    function = tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0]), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, opset=opset, output_path=str(path))


def _by_keras(model: keras.Model, path: Path) -> None:
    x = [np.zeros((2, *entry.shape[1:]), dtype=np.float32) for entry in model.inputs]
    model(x if len(x) > 1 else x[0])
    model.export(str(path), format="onnx", verbose=False)


def main(way: str, prefix: str) -> None:
    """Write the files of ``prefix`` that are here again."""
    for path in sorted(HERE.glob(f"{prefix}_*.onnx")):
        name = path.stem.removeprefix(f"{prefix}_")
        opset = name.rpartition("_")[2]
        model = NETWORKS[name]()
        _randomised(model)
        if way == "tf2onnx":
            _by_tf2onnx(model, path, int(opset) if opset.isdigit() else None)
        else:
            _by_keras(model, path)
        proto = onnx.load(path)
        for node in proto.graph.node:
            node.doc_string = ""  # where it was made
        path.write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
