"""Write small models with GarNet into this folder, with the outputs that Keras gives.

Run by hand in an environment with `pip install tensorflow==2.14.1 qkeras==0.9.0 hls4ml==1.3.0`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from hls4ml.contrib.garnet import GarNet, GarNetStack
from tensorflow.keras import Model, layers

HERE = Path(__file__).parent
PLACES, INPUTS = 6, 3
SINGLE, STACK = (2, 3, 4), ([2, 3], [4, 3], [3, 2])
MODELS = {
    "mean": (GarNet, SINGLE, {"collapse": "mean", "output_activation": None}),
    "sum": (GarNet, SINGLE, {"collapse": "sum", "output_activation": "linear"}),
    "max": (GarNet, SINGLE, {"collapse": "max", "output_activation": "tanh"}),
    "each": (GarNet, SINGLE, {"collapse": None, "output_activation": "sigmoid"}),
    "stack": (GarNetStack, STACK, {"collapse": "mean", "output_activation": None, "quantize_transforms": None}),
    "stack_each": (GarNetStack, STACK, {"collapse": None, "output_activation": "tanh", "quantize_transforms": None}),
}


def main() -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(-16, 17, (12, PLACES, INPUTS)).astype(np.float32) / 8
    count = np.arange(12, dtype=np.int32)[:, None] % (PLACES + 1)
    expected: dict[str, np.ndarray] = {}
    for name, (layer, sizes, options) in MODELS.items():
        tf.keras.backend.clear_session()
        tf.random.set_seed(1)
        x, n = layers.Input((PLACES, INPUTS), name="x"), layers.Input((1,), dtype="int32", name="n")
        model = Model([x, n], layer(*sizes, simplified=True, input_format="xn", name="gar", **options)([x, n]))
        for weights in model.weights:
            weights.assign(rng.integers(-8, 9, weights.shape) / 8)
        (HERE / f"{name}.json").write_text(model.to_json() + "\n")
        model.save_weights(HERE / f"{name}_weights.h5")
        expected[name] = model.predict([data, count], verbose=0)
    np.savez_compressed(HERE / "expected.npz", data=data, count=count, **expected)


if __name__ == "__main__":
    main()
