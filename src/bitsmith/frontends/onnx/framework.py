"""The record of ONNX."""

from __future__ import annotations

from typing import cast

from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, no_content, no_layer_results, own_inputs
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.outputs import FrameworkRun, ModelRun
from bitsmith.layers.network import Network


def _is_live(model: object) -> bool:
    proto = _proto(model)
    return type(proto).__name__ == "ModelProto" and callable(getattr(proto, "SerializeToString", None))


def _proto(model: object) -> object:
    """The model that QONNX has wrapped, or that ``torch.onnx.export`` has made; else ``model``."""
    within = {"ModelWrapper": "model", "ONNXProgram": "model_proto"}.get(type(model).__name__)
    return model if within is None else getattr(model, within, None)


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.onnx.read import read_onnx

    return read_onnx(
        cast("OnnxModel", _proto(model)),  # read_onnx refuses anything else
        input_shape=options.input_shape,
        allow_approximate=options.allow_approximate,
        layers=options.layers,
    )


def _outputs(run: ModelRun) -> FrameworkRun | None:
    from bitsmith.frontends.onnx.outputs import onnx_outputs

    return onnx_outputs(cast("OnnxModel", _proto(run.model)), run.inputs, run.layers)


ONNX = Framework(
    name="ONNX",
    stem="onnx",
    keys=(ModelKey("OnnxModel", (".onnx",), weights=None, live=True),),
    refused=(),
    files="*.onnx",
    live="an onnx.ModelProto",
    is_live=_is_live,
    is_content=no_content,
    folder=None,
    takes=frozenset({"input_shape", "layers"}),
    read=_read,
    outputs=_outputs,
    layer_results=no_layer_results,
    shapeless=None,
    with_inputs=own_inputs,
)
