"""Writes a file with two graphs that can be called, as TensorFlow's converter makes one of a module with two signatures.

In an environment of its own: pip install tensorflow-cpu==2.21.0 && python signatures.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf


class _Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def scaled(self, x):
        return {"y": tf.nn.relu(x * 0.5)}

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def shifted(self, x):
        return {"y": tf.nn.relu(x + 0.25)}


def main() -> None:
    """Write the file."""
    module = _Module()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"scaled": module.scaled, "shifted": module.shifted})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["scaled", "shifted"])
        (Path(__file__).parent / "models" / "two_signatures.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
