"""Writes ``models/batches.npz``: models that compute with the number of samples, and what the interpreter gives for several.

Run it with ``pip install ai-edge-litert==2.3.0 tensorflow-cpu==2.20.0``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

COUNTS = (1, 7, 20)
rng = np.random.default_rng(7)


def weights(*shape):
    return rng.normal(size=shape).astype("float32")


def count(x):
    return tf.shape(x)[0]


def as_float(x):
    return tf.cast(x, tf.float32)


def heads(x):
    y = tf.transpose(tf.reshape(x, [count(x), 4, 2, 4]), [0, 2, 1, 3])
    y = tf.reshape(y, [count(x) * 2, 4, 4])
    y = tf.nn.softmax(y @ tf.transpose(y, [0, 2, 1])) @ y
    return tf.reshape(tf.transpose(tf.reshape(y, [count(x), 2, 4, 4]), [0, 2, 1, 3]), [count(x), 32])


MODELS = {
    "reshaped": lambda x: tf.reshape(x, [count(x), 32]) @ weights(32, 3),
    "rows": lambda x: tf.reshape(tf.reshape(x, [count(x) * 4, 8]) @ weights(8, 3), [count(x), 12]),
    "heads": heads,
    "filled": lambda x: tf.concat([x, tf.fill([count(x), 1, 8], 3.0)], 1),
    "zeros": lambda x: tf.concat([x, tf.zeros([count(x), 4, 1])], 2),
    "broadcast": lambda x: x + tf.broadcast_to(weights(1, 4, 8), [count(x), 4, 8]),
    "tiled": lambda x: tf.concat([x, tf.tile(weights(1, 1, 8), [count(x), 1, 1])], 1),
    "one_row": lambda x: tf.reshape(tf.reshape(x, [1, -1]), [-1, 32]) @ weights(32, 3),
    "transposed": lambda x: tf.nn.conv1d_transpose(x, weights(3, 5, 8), tf.stack([count(x), 8, 5]), 2),
    "part": lambda x: tf.slice(x, [0, 1, 0], [-1, 2, 8]),
    "channels": lambda x: x * as_float(tf.shape(x)[2]),
    "times_count": lambda x: x * as_float(count(x)),
    "least": lambda x: x * as_float(tf.minimum(count(x), 2)),
    "equal": lambda x: x * as_float(tf.equal(count(x), 3)),
    "numbered": lambda x: x + as_float(tf.range(count(x)))[:, None, None],
    "ones": lambda x: x * tf.reduce_sum(tf.exp(tf.zeros_like(x)), 0),
    "chosen": lambda x: tf.where(count(x) > 3, x, -x),
    "first": lambda x: x - x[:1],
    "first_row": lambda x: x - tf.slice(x, [0, 0, 0], [1, 4, 8]),
}


def main():
    stored = {}
    for name, function in MODELS.items():
        traced = tf.function(function, input_signature=[tf.TensorSpec((None, 4, 8), tf.float32)])
        content = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()]).convert()
        stored[f"{name}/model"] = np.frombuffer(content, np.uint8)
        for samples in COUNTS:
            interpreter = Interpreter(model_content=content)
            (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
            interpreter.resize_tensor_input(entry["index"], [samples, 4, 8])
            interpreter.allocate_tensors()
            stored[f"{name}/x{samples}"] = x = weights(samples, 4, 8)
            interpreter.set_tensor(entry["index"], x)
            interpreter.invoke()
            stored[f"{name}/y{samples}"] = interpreter.get_tensor(result["index"])
    np.savez_compressed(Path(__file__).parent / "models" / "batches.npz", **stored)


if __name__ == "__main__":
    main()
