"""The type of models of ONNX; nothing of it is opened here."""

import os
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import onnx

OnnxModel: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto"
"""A model file, or a live ``onnx.ModelProto``."""
