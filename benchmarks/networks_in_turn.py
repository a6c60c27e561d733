"""Large networks whose layers take turns on one row of multipliers, with weights from memory: the plan for an XCZU9EG.

``networks_in_turn.py [NAME...]``. Weights are random, the same each time, of the magnitudes of trained ones (He), and
normalizations have the statistics that smooth images show, as after training. Each network is converted at 8 bits in a process of
its own. Printed are the circuit, cycles and frames in a second of the plan at 200 MHz, processor time, and memory.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import large_networks
import numpy as np

import bitsmith

PART, CLOCK_NS, MEMORY = "xczu9eg-ffvb1156-2-e", 5, "128 bits, 2400 MHz, 200 ns, 75 %"
"""The part of a ZCU102, and two words of 64 bits in each cycle of a memory of 1,200 MHz."""

NETWORKS = {
    "resnet-18": (large_networks.resnet18, 2600),
    "mobilenet-v2": (large_networks.mobilenet_v2, 1075),
    "resnet-50": (lambda: keras.applications.ResNet50(weights=None, classifier_activation=None), 6000),
}
"""Networks and the reuse factors that ask for as many multipliers as they keep busy."""


def settled(model: keras.Model, images: np.ndarray) -> keras.Model:
    """``model`` with weights as after training, as far as scales go."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            shape = weight.shape
            fan = int(np.prod(shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else shape[:-1]))
            drawn = {
                "kernel": lambda shape=shape, fan=fan: rng.normal(0, np.sqrt(2 / fan), shape),
                "gamma": lambda shape=shape: rng.uniform(0.3, 1.5, shape),
                "beta": lambda shape=shape: rng.normal(0, 0.3, shape),
                "bias": lambda shape=shape: rng.normal(0, 0.1, shape),
            }.get(weight.name)
            if drawn is not None:
                weight.assign(drawn())
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model


def planned(name: str) -> str:
    """The row of a network."""
    warnings.simplefilter("ignore")
    keras.utils.set_random_seed(0)
    build, reuse = NETWORKS[name]
    model = build()
    images = large_networks.images(model.input_shape[1:])
    settled(model, images)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        made = bitsmith.convert(
            model,
            folder,
            calibration=images,
            bits=8,
            io_type="io_stream",
            strategy="shared",
            reuse_factor=reuse,
            part=PART,
            clock_period=CLOCK_NS,
            weight_memory=MEMORY,
        )
    told = made.estimate()
    figures = large_networks.figures(told.size, told.interval, CLOCK_NS)
    busy = ", ".join(f"{engine.multipliers} multipliers {engine.busy:.1%} busy" for engine in told.fetched)
    seconds, megabytes = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    fits = "fits" if told.fits else "does not fit"
    return f"{name}: {fits}; {figures}; {busy}; {seconds:.0f} s, {megabytes:,} MB"


def main() -> None:
    """Print the rows."""
    names = sys.argv[1:] or [*NETWORKS]
    if len(names) == 1:
        print(planned(names[0]), flush=True)
        return
    for name in names:
        subprocess.run([sys.executable, __file__, name], check=False)


if __name__ == "__main__":
    main()
