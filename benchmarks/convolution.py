"""Convolutional networks: how fast one of 14,000 weights is emulated, and one of a million weights is converted.

Fails (exit status 1) above the limits: 10 s for 1,000 images of 32x32x3, and 30 s and 4 GB for the million.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import bitsmith

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.keras_weights import write_weights

IMAGE = (32, 32, 3)
IMAGES = 1000
EMULATION_LIMIT_S = 10.0
CONVERSION_LIMIT_S = 30.0
MEMORY_LIMIT_GB = 4.0


@dataclass(frozen=True)
class Network:
    """3x3 convolutions (filters, stride) with ``padding`` and relu, then dense layers."""

    convolutions: Sequence[tuple[int, int]]
    dense: Sequence[int]
    padding: str

    def write(self, folder: Path) -> tuple[Path, int]:
        """A Keras model with random weights, and how many they are."""
        rng = np.random.default_rng(0)
        layers = [{"class_name": "InputLayer", "config": {"name": "image", "batch_input_shape": [None, *IMAGE]}}]
        arrays: dict[str, list[np.ndarray]] = {}
        side, channels = IMAGE[0], IMAGE[2]
        for k, (filters, stride) in enumerate(self.convolutions):
            config = {
                "name": f"conv{k}",
                "filters": filters,
                "kernel_size": [3, 3],
                "strides": [stride, stride],
                "padding": self.padding,
                "activation": "relu",
            }
            layers.append({"class_name": "Conv2D", "config": config})
            arrays[f"conv{k}"] = _drawn(rng, 3, 3, channels, filters)
            side = -(-(side if self.padding == "same" else side - 2) // stride)
            channels = filters
        layers.append({"class_name": "Flatten", "config": {"name": "flatten"}})
        width = side * side * channels
        for k, units in enumerate(self.dense):
            activation = "softmax" if k == len(self.dense) - 1 else "relu"
            layers.append(
                {"class_name": "Dense", "config": {"name": f"fc{k}", "units": units, "activation": activation}}
            )
            arrays[f"fc{k}"] = _drawn(rng, width, units)
            width = units
        path = folder / "network.json"
        model = {"class_name": "Sequential", "config": {"name": "network", "layers": layers}, "keras_version": "2.9.0"}
        path.write_text(json.dumps(model))
        weights = {name: {"kernel": kernel, "bias": bias} for name, (kernel, bias) in arrays.items()}
        write_weights(folder / "network_weights.h5", weights)
        return path, sum(array.size for pair in arrays.values() for array in pair)


SMALL = Network(((16, 1), (16, 2), (24, 2), (16, 2)), (42, 32, 10), "valid")
LARGE = Network(((32, 1), (64, 2), (128, 1), (128, 2), (256, 1), (192, 2)), (10,), "same")


def _drawn(rng: np.random.Generator, *shape: int) -> list[np.ndarray]:
    scale = np.sqrt(2.0 / np.prod(shape[:-1]))
    return [rng.normal(0.0, scale, shape).astype(np.float32), rng.normal(0.0, 0.1, shape[-1]).astype(np.float32)]


def main() -> None:
    """Print the table."""
    table = Table("network", "weights", "convert", "emulate", "memory so far")
    images = np.random.default_rng(1).normal(0.0, 1.0, (IMAGES, *IMAGE)).astype(np.float32)
    failed = False
    for name, network, count in (("small", SMALL, IMAGES), ("large", LARGE, 50)):
        with tempfile.TemporaryDirectory() as folder:
            path, weights = network.write(Path(folder))
            start = time.perf_counter()
            model = bitsmith.convert(path, Path(folder) / "project")
            conversion = time.perf_counter() - start
            start = time.perf_counter()
            model.predict(images[:count])
            emulation = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        table.add_row(
            name, f"{weights:,}", f"{conversion:.1f} s", f"{emulation:.1f} s for {count} images", f"{memory:.1f} GB"
        )
        failed |= conversion > CONVERSION_LIMIT_S or emulation > EMULATION_LIMIT_S or memory > MEMORY_LIMIT_GB
    Console().print(table)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
