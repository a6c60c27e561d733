"""Protocols of live Keras models, without importing Keras or anything that reads files."""

import os
from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt


class LiveLayer(Protocol):
    """Layer of a live model, as far as it is used."""

    name: str

    def get_weights(self) -> list[npt.NDArray[np.generic]]: ...


@runtime_checkable
class LiveModel(Protocol):
    """Live Keras model, as far as it is used."""

    layers: Sequence[LiveLayer]

    def to_json(self) -> str: ...


PACKAGES = ("keras", "tf_keras")
"""Packages of Keras itself."""

WITH_KERAS = frozenset({*PACKAGES, "tensorflow", "qkeras", "HGQ"})
"""Packages whose functions mean in Keras what their names say."""

MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model"})
"""Classes of models whose wiring Keras saves."""

REBUILT = (
    "rebuild it with the functional API, from built-in layers; or, where TensorFlow runs it, as it does what a SavedModel holds: "
    "bitsmith.convert(tf.lite.TFLiteConverter.from_keras_model(model).convert())"
)
"""Remedy for a model whose own code cannot be followed."""

FILES = "*.keras, *.h5, or the JSON of to_json() with a weights file"
"""Files of Keras, as errors list them."""

ModelLike: TypeAlias = str | os.PathLike[str] | LiveModel
"""A model file, or a live Keras model."""


def is_live(model: object) -> TypeGuard[LiveModel]:
    """Return True if ``model`` is a live model of Keras."""
    return isinstance(model, LiveModel)
