"""Writes ``models/keras2.npz``: layer normalizations of Keras 2 as converted, inputs, and what the interpreter makes of them.

Run it with tensorflow-cpu 2.21.0 and tf-keras 2.21.0: ``python keras2.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras.layers import Dense, Flatten, Input, LayerNormalization

HERE = Path(__file__).parent / "models"
SAMPLES = 32


def networks():
    """Normalizations of each step, of all that a sample has, of rows after others."""
    yield "steps", lambda x: LayerNormalization()(x)
    yield "plain", lambda x: LayerNormalization(center=False, scale=False)(x)
    yield "samples", lambda x: LayerNormalization(axis=[1, 2])(x)
    yield "rows", lambda x: Dense(3)(LayerNormalization()(Dense(5)(Flatten()(x))))


def converted(model, x, codes):
    """The file, of floating point or of codes throughout."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if codes:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in x)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def results(content, x):
    """What the reference kernels give, sample by sample."""
    kernels = tf.lite.experimental.OpResolverType.BUILTIN_REF
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for row in x:
        interpreter.set_tensor(source["index"], row[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(rows)


def stored():
    """Models, inputs and results by name."""
    rng = np.random.default_rng(6)
    for name, build in networks():
        source = Input((4, 6))
        model = tf_keras.Model(source, build(source))
        for weight in model.weights:
            weight.assign(rng.normal(size=weight.shape) * 0.5 + 0.2)
        x = rng.normal(size=(SAMPLES, 4, 6)).astype(np.float32)
        for kind, given in (("float32", x), ("int8", rng.integers(-128, 128, x.shape).astype(np.int8))):
            content = converted(model, x, kind == "int8")
            yield f"{name}_{kind}/model", np.frombuffer(content, np.uint8)
            yield f"{name}_{kind}/x", given
            yield f"{name}_{kind}/y", results(content, given)


if __name__ == "__main__":
    np.savez_compressed(HERE / "keras2.npz", **dict(stored()))
