"""Measures the rival's compiled simulation; runs inside an environment of its own that has hls4ml and Keras.

In: an npz of dense weights (kernel_0, bias_0, ...) and the number of samples. Out: one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import hls4ml
import keras
import numpy as np


def main(weights: str, samples: int) -> None:
    arrays = np.load(weights)
    count = len(arrays.files) // 2
    sizes = [arrays["kernel_0"].shape[0], *(arrays[f"kernel_{k}"].shape[1] for k in range(count))]
    activations = ["relu"] * (count - 1) + ["softmax"]
    model = keras.Sequential([keras.layers.Input((sizes[0],))])
    for size, activation in zip(sizes[1:], activations, strict=True):
        model.add(keras.layers.Dense(size, activation=activation))
    model.set_weights([arrays[f"{part}_{k}"] for k in range(count) for part in ("kernel", "bias")])
    x = np.random.default_rng(0).standard_normal((samples, sizes[0])).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        start = time.perf_counter()
        config = hls4ml.utils.config_from_keras_model(model, granularity="model", default_precision="fixed<16,6>")
        converted = hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, output_dir=folder, backend="Vitis", io_type="io_parallel"
        )
        conversion = time.perf_counter() - start
        compilations = []
        for _ in range(3):
            start = time.perf_counter()
            converted.compile()
            compilations.append(time.perf_counter() - start)
        rates = []
        for _ in range(3):
            start = time.perf_counter()
            converted.predict(x)
            rates.append(samples / (time.perf_counter() - start))
    print(
        json.dumps(
            {
                "tool": f"hls4ml {hls4ml.__version__}",
                "convert_s": conversion,
                "compile_s": statistics.median(compilations),
                "samples_per_s": max(rates),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
