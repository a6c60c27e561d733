"""Weight files as Keras 2 writes them, for networks of tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt


def write_weights(path: Path, weights: Mapping[str, Mapping[str, npt.ArrayLike]]) -> None:
    """Write the tensors of each layer by their names, such as ``kernel``."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = list(weights)
        for layer, tensors in weights.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0" for name in tensors]
            for name, values in tensors.items():
                group[f"{layer}/{name}:0"] = np.asarray(values, np.float32)
