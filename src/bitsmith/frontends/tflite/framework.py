"""The record of TensorFlow Lite."""

from typing import cast

from bitsmith.frontends.framework import ModelKey, PlainFramework, ReadOptions
from bitsmith.frontends.outputs import FrameworkRun, ModelRun
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.layers.network import Network


def _is_content(first: bytes) -> bool:
    return first[4:8] == b"TFL3"


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.tflite.read import read_tflite

    return read_tflite(cast("TfliteModel", model), options.rounding or "single")  # it refuses anything else


def _outputs(run: ModelRun) -> FrameworkRun | None:
    from bitsmith.frontends.tflite.outputs import tflite_outputs

    return tflite_outputs(cast("TfliteModel", run.model), run.inputs, insist=run.insist)


TFLITE = PlainFramework(
    name="TensorFlow Lite",
    stem="tflite",
    keys=(ModelKey("TfliteModel", (".tflite",), weights=None, live=True),),
    files="*.tflite",
    live="the bytes of a .tflite file",
    is_live=lambda model: isinstance(model, bytes) and _is_content(model),
    is_content=_is_content,
    folder=None,
    takes=frozenset({"rounding"}),
    read=_read,
    outputs=_outputs,
)
