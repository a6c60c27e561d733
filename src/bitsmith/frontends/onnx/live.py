"""What is a model of ONNX; nothing of it is opened here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

if TYPE_CHECKING:
    import onnx

OnnxModel: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto"
"""A model file, or a live ``onnx.ModelProto``."""


def is_onnx(model: object) -> TypeGuard[OnnxModel]:
    """Return True if ``model`` is an ONNX file by its name, or a live ``ModelProto``."""
    if isinstance(model, str | os.PathLike):
        return Path(model).suffix.lower() == ".onnx"
    return type(model).__name__ == "ModelProto" and callable(getattr(model, "SerializeToString", None))
