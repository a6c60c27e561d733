"""The shipped networks, converted."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

import bitsmith

MODELS = Path(str(resources.files("bitsmith"))) / "data" / "models"
NAME = {"project_name": "myproject"}


def three_layer(folder: Path, **arguments: object) -> tuple[bitsmith.Model, npt.NDArray[np.float32]]:
    """bitsmith_3layer with its few-bit configuration, and test inputs."""
    given: dict[str, object] = {"config": MODELS / "bitsmith_3layer.config.json", **NAME, **arguments}
    model = bitsmith.convert(MODELS / "bitsmith_3layer.json", folder / "project", **given)  # type: ignore[arg-type]
    return model, np.load(MODELS / "bitsmith_3layer_test.npz")["inputs"]


def digits(folder: Path, **arguments: object) -> tuple[bitsmith.Model, npt.NDArray[np.float32]]:
    """The digits classifier with its few-bit configuration, and test inputs."""
    given: dict[str, object] = {"config": MODELS / "digits.config.json", **NAME, **arguments}
    model = bitsmith.convert(MODELS / "digits.keras", folder / "project", **given)  # type: ignore[arg-type]
    return model, np.load(MODELS / "digits_test.npz")["inputs"]
