"""The type of models of ONNX; nothing of it is opened here."""

import os
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import onnx

OnnxModel: TypeAlias = "str | os.PathLike[str] | bytes | onnx.ModelProto"
"""A model file, its content, or a live ``onnx.ModelProto``."""
