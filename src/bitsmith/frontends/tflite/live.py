"""What is a model of TensorFlow Lite; nothing of it is opened here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias, TypeGuard

TfliteModel: TypeAlias = "str | os.PathLike[str] | bytes"
"""A model file, or its content, as a converter returns it."""


def is_tflite(model: object) -> TypeGuard[TfliteModel]:
    """Return True if ``model`` is a file of TensorFlow Lite by its name, or the content of a file."""
    return isinstance(model, bytes) or (
        isinstance(model, str | os.PathLike) and Path(model).suffix.lower() == ".tflite"
    )
