"""Trains the digits classifier (64-24-16-10) on scikit-learn's bundled 8x8 images and writes the files that ship.

Run `python examples/train/digits.py`; it takes about a minute and the same machine always gives the same weights.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from qat import Dense, Fixed, Network, Params, Schedule, fit, initial_params, measure, precision_config, write_json
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# The backend must be chosen before Keras is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
import keras

TEST = 360

WEIGHT, BIAS = Fixed(4, 2), Fixed(7, 3)
HIDDEN, LOGITS = Fixed(5, 3, signed=False), Fixed(10, 6)
NETWORK = Network(
    "pixels",
    64,
    Fixed(5, 1, signed=False),
    (
        Dense("fc1", 24, WEIGHT, BIAS, HIDDEN, density=0.16),
        Dense("fc2", 16, WEIGHT, BIAS, HIDDEN, density=0.26),
        Dense("output", 10, WEIGHT, BIAS, LOGITS, density=0.35, relu=False),
    ),
)
FLOAT_SCHEDULE = Schedule(epochs=200, batch=64)
FIXED_SCHEDULE = Schedule(epochs=400, batch=64, rate=3e-3, digit_price=3.0, softening=0.05)


def write_keras3(path: Path, network: Network, stored: Params) -> None:
    """Writes a Keras 3 file of the Dense layers, their activations inline."""
    model = keras.Sequential(
        [
            keras.Input((network.inputs,), name=network.input_name),
            *(
                keras.layers.Dense(layer.units, activation="relu" if layer.relu else "softmax", name=layer.name)
                for layer in network.layers
            ),
        ],
        name="digits",
    )
    model.set_weights([np.asarray(array, np.float32) for pair in stored for array in pair])
    model.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = Path(__file__).parents[2] / "src" / "bitsmith" / "data" / "models"
    parser.add_argument("--out", type=Path, default=shipped, help="folder for the files (default: the package's)")
    out: Path = parser.parse_args().out

    images, labels = load_digits(return_X_y=True)
    # Pixels count ink in sixteenths: after scaling each is an exact multiple of 1/16 between 0 and 1.
    inputs, labels = (images / 16.0).astype(np.float32), labels.astype(np.int32)
    x, x_test, y, y_test = train_test_split(inputs, labels, test_size=TEST, stratify=labels, random_state=0)
    baseline = fit(NETWORK, initial_params(NETWORK, seed=0), x, y, FLOAT_SCHEDULE, quantized=False)
    stored = fit(NETWORK, baseline, x, y, FIXED_SCHEDULE, quantized=True)
    print(measure(NETWORK, baseline, stored, x_test, y_test, shipped=TEST).table_row("digits"))

    write_keras3(out / "digits.keras", NETWORK, stored)
    write_json(out / "digits.config.json", precision_config(NETWORK, probabilities=Fixed(10, 0, signed=False)))
    np.savez_compressed(out / "digits_test.npz", inputs=x_test, labels=y_test)


if __name__ == "__main__":
    main()
