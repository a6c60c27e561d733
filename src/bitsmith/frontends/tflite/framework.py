"""The record of TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, no_layer_results
from bitsmith.frontends.outputs import FrameworkRun, Numbers
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    from bitsmith.frontends.custom.call import Layers


def _is_live(model: object) -> bool:
    return isinstance(model, bytes)


def _is_content(first: bytes) -> bool:
    return first[4:8] == b"TFL3"


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.tflite.read import read_tflite

    return read_tflite(cast("TfliteModel", model), options.rounding or "single")  # it refuses anything else


def _outputs(model: object, inputs: Sequence[Numbers], layers: Layers | None, *, insist: bool) -> FrameworkRun | None:
    from bitsmith.frontends.tflite.outputs import tflite_outputs

    return tflite_outputs(cast("TfliteModel", model), inputs, insist=insist)


TFLITE = Framework(
    name="TensorFlow Lite",
    stem="tflite",
    keys=(ModelKey("TfliteModel", (".tflite",), weights=None, live=True),),
    refused=(),
    files="*.tflite",
    live="the bytes of a .tflite file",
    is_live=_is_live,
    is_content=_is_content,
    takes=frozenset({"rounding"}),
    read=_read,
    outputs=_outputs,
    layer_results=no_layer_results,
    shapeless=None,
)
