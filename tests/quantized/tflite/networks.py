"""Small networks that TensorFlow's own converter quantizes, for ``make.py``."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

layers = tf.keras.layers


def _mlp():
    return tf.keras.Sequential([
        tf.keras.Input((16,)), layers.Dense(12, activation="relu"), layers.Dense(8, activation="tanh"), layers.Dense(5),
        layers.Softmax(),
    ])  # fmt: skip


def _cnn():
    return tf.keras.Sequential([
        tf.keras.Input((8, 8, 3)), layers.Conv2D(6, 3, padding="same", use_bias=False), layers.BatchNormalization(),
        layers.ReLU(6.0), layers.DepthwiseConv2D(3, strides=2, padding="same"), layers.ReLU(), layers.Conv2D(8, 1),
        layers.LeakyReLU(), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(10), layers.Softmax(),
    ])  # fmt: skip


def _residual():
    x = tf.keras.Input((8, 8, 4))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(4, 3, padding="same")(y)
    z = layers.ReLU()(layers.Add()([x, y]))
    left, right = layers.Conv2D(3, 1)(z), layers.Conv2D(3, 1, activation="sigmoid")(z)
    z = layers.Concatenate()([layers.Multiply()([left, right]), layers.AveragePooling2D(1)(left)])
    z = layers.Conv2DTranspose(2, 2, strides=2)(layers.ZeroPadding2D(1)(z))
    return tf.keras.Model(x, layers.GlobalAveragePooling2D()(z))


def _sequence():
    x = tf.keras.Input((12, 4))
    y = layers.Conv1D(6, 3, padding="same", activation="relu")(x)
    y = layers.AveragePooling1D(2)(y)
    y = layers.Permute((2, 1))(y)
    y = layers.Reshape((36,))(y)
    return tf.keras.Model(x, [layers.Dense(3, activation="sigmoid")(y), layers.Dense(2)(y)])


NETWORKS = {"mlp": _mlp, "cnn": _cnn, "residual": _residual, "sequence": _sequence}


def converted(name: str, kind: str, outside: str) -> bytes:
    """A network with codes of ``kind``, whose inputs and outputs are codes of the same, or floating point."""
    tf.keras.utils.set_random_seed(5)
    model = NETWORKS[name]()
    rng = np.random.default_rng(2)
    shape = model.inputs[0].shape[1:]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.normal(size=(1, *shape)).astype("float32")] for _ in range(50))
    ops = tf.lite.OpsSet
    wide = ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide if kind == "int16" else ops.TFLITE_BUILTINS_INT8]
    if outside == "codes":
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(kind)
    return converter.convert()
