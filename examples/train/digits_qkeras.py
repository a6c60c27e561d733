"""Trains the digits with QKeras and writes the model that the tutorial on quantization-aware training reads.

Run it in an environment with ``pip install qkeras-v3 jax scikit-learn pyparsing``::

    KERAS_BACKEND=jax python examples/train/digits_qkeras.py examples/tutorials/models
"""

import sys
from pathlib import Path

import keras
import numpy as np
from qkeras import QActivation, QDense, quantized_bits, quantized_relu
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main(folder: Path) -> None:
    """Train, and write the model with its outputs for the images that were held out."""
    keras.utils.set_random_seed(0)
    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        (digits.data / 16).astype(np.float32), digits.target, test_size=360, random_state=0, stratify=digits.target
    )
    bits = {
        "kernel_quantizer": quantized_bits(4, 1, symmetric=1, alpha=1),
        "bias_quantizer": quantized_bits(6, 2, alpha=1),
    }
    model = keras.Sequential(
        [
            keras.Input((64,), name="pixels"),
            QDense(24, name="fc1", **bits),
            QActivation(quantized_relu(5, 3), name="relu1"),
            QDense(16, name="fc2", **bits),
            QActivation(quantized_relu(5, 3), name="relu2"),
            QDense(10, name="scores", **bits),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=40, batch_size=128, verbose=0)
    model.save(folder / "digits_qkeras.keras")
    scores = np.asarray(model(x_test))
    np.save(folder / "digits_qkeras_scores.npy", scores.astype(np.float32))
    print(f"{np.mean(scores.argmax(axis=1) == y_test):.1%} of {len(y_test)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
