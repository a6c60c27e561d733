"""The record of ONNX."""

from typing import cast

from bitsmith.frontends.framework import ModelKey, PlainFramework, ReadOptions, no_content
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.outputs import FrameworkRun, ModelRun
from bitsmith.layers.network import Network


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
    live="an onnx.ModelProto",
    is_live=lambda model: _is_proto(_proto(model)),
    is_content=no_content,
    folder=None,
    takes=frozenset({"input_shape", "layers"}),
    read=_read,
    outputs=_outputs,
)
