"""The record of TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, no_layer_results, own_inputs
from bitsmith.frontends.outputs import FrameworkRun, Numbers
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    from bitsmith.frontends.custom.call import Layers


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
    is_live=lambda model: isinstance(model, bytes),
    is_content=lambda first: first[4:8] == b"TFL3",
    folder=None,
    takes=frozenset({"rounding"}),
    read=_read,
    outputs=_outputs,
    layer_results=no_layer_results,
    shapeless=None,
    with_inputs=own_inputs,
)
