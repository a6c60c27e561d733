"""The record of ONNX."""

import re
from typing import cast

from bitsmith.frontends.framework import ModelKey, PlainFramework, ReadOptions
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.outputs import FrameworkRun, ModelRun
from bitsmith.layers.network import Network

_MARK = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]")
"""The version of the format, which is the first field, and the number of another one."""


def _is_content(first: bytes) -> bool:
    return _MARK.match(first) is not None


def _is_proto(model: object) -> bool:
    return type(model).__name__ == "ModelProto" and callable(getattr(model, "SerializeToString", None))


def _proto(model: object) -> object:
    """The model itself, or what holds one: QONNX's wrapper, or what ``torch.onnx.export`` has made."""
    held = (getattr(model, name, None) for name in ("model", "model_proto"))
    return next(filter(_is_proto, held), model)


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.onnx.read import read_onnx

    return read_onnx(cast("OnnxModel", _proto(model)), options)  # which refuses anything else


def _outputs(run: ModelRun) -> FrameworkRun | None:
    from bitsmith.frontends.onnx.outputs import onnx_outputs

    return onnx_outputs(cast("OnnxModel", _proto(run.model)), run.inputs, run.layers)


ONNX = PlainFramework(
    name="ONNX",
    stem="onnx",
    keys=(ModelKey("OnnxModel", (".onnx",), weights=None, live=True),),
    files="*.onnx",
    live="an onnx.ModelProto or the bytes of an .onnx file",
    is_live=lambda model: _is_content(model) if isinstance(model, bytes) else _is_proto(_proto(model)),
    is_content=_is_content,
    folder=None,
    takes=frozenset({"input_shape", "layers"}),
    read=_read,
    outputs=_outputs,
)
