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


def _recurrent():
    x = tf.keras.Input(batch_shape=(1, 4, 3))
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True, unroll=True))(x)
    y = layers.GRU(5, unroll=True)(y)
    return tf.keras.Model(x, layers.Dense(3)(y))


def _attention():
    x = tf.keras.Input((6, 8))
    y = layers.LayerNormalization()(x)
    y = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    y = layers.Dense(8, activation="gelu")(layers.LayerNormalization()(y))
    return tf.keras.Model(x, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(y)))


def _image():
    x = tf.keras.Input((6, 6, 3))
    y = layers.UpSampling2D(2, interpolation="bilinear")(layers.SeparableConv2D(8, 3, activation="elu")(x))
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="swish")(y)
    y = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(6, 3, strides=2, dilation_rate=1, padding="same")(y))
    y = layers.UpSampling2D(2)(layers.Cropping2D(1)(layers.ZeroPadding2D(((0, 1), (2, 1)))(y)))
    return tf.keras.Model(x, layers.Dense(5, activation="softplus")(layers.GlobalMaxPooling2D()(y)))


def _embedding():
    x = tf.keras.Input((6,))
    y = layers.Conv1D(8, 3, dilation_rate=2, padding="causal", activation="relu")(layers.Embedding(11, 6)(x))
    y = layers.Reshape((4, 10))(layers.MaxPooling1D(2)(layers.Concatenate(axis=1)([y, y])[:, 2:, :])[:, :, ::-1])
    y = tf.keras.ops.rsqrt(tf.keras.ops.square(y) + 0.5) - tf.keras.ops.minimum(y, 0.25)
    return tf.keras.Model(x, layers.Dense(3)(layers.Flatten()(y)))


def _wide():
    """Of less than 1,024 elements the converter quantizes no weights."""
    x = tf.keras.Input((6, 6, 12))
    y = layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(16, 3, activation="relu")(x))
    return tf.keras.Model(x, layers.Dense(4)(layers.Dense(20, activation="tanh")(layers.Flatten()(y))))


def _words():
    x = tf.keras.Input((5,))
    y = layers.Dense(32, activation="relu")(layers.Embedding(40, 36)(x))
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 20)(y, y))
    return tf.keras.Model(x, layers.Dense(3)(layers.GlobalMaxPooling1D()(y)))


FLOATING = {**NETWORKS, "recurrent": _recurrent, "attention": _attention, "image": _image, "embedding": _embedding}
LARGE = {"wide": _wide, "words": _words}


def floating(name: str, kind: str) -> bytes:
    """A network whose activations are floating point, with weights of the same, of float16, or ``dynamic``: of 8 bits."""
    tf.keras.utils.set_random_seed(7)
    model = (FLOATING | LARGE)[name]()
    for weights in model.weights:
        if "bias" in weights.name or "gamma" in weights.name or "beta" in weights.name:
            weights.assign(weights + tf.random.normal(weights.shape, stddev=0.1))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


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
