"""The record of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions
from bitsmith.frontends.keras.live import FILES, LiveModel, ModelLike
from bitsmith.frontends.outputs import FrameworkRun, Numbers
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network


def _is_live(model: object) -> bool:
    return isinstance(model, LiveModel)


def _is_content(first: bytes) -> bool:
    is_json = first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return is_json or first.startswith((b"PK", b"\x89HDF\r\n\x1a\n"))


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.keras.read import read_keras

    return read_keras(
        cast("ModelLike", model),  # read_keras refuses anything else
        options.weights,
        input_shape=options.input_shape,
        allow_approximate=options.allow_approximate,
        layers=options.layers,
    )


def _outputs(
    model: object, inputs: Sequence[Numbers], *, insist: bool, layers: Layers | None = None
) -> FrameworkRun | None:
    from bitsmith.frontends.keras.outputs import keras_outputs

    return keras_outputs(cast("ModelLike", model), inputs, insist=insist)


def _layer_results(model: object, network: Network, inputs: Sequence[Numbers]) -> Mapping[str, Floats]:
    from bitsmith.frontends.keras.outputs import layer_results

    return layer_results(model, network, inputs) if isinstance(model, LiveModel) else {}


KERAS = Framework(
    name="Keras",
    stem="keras",
    keys=(
        ModelKey("KerasModel", (".keras", ".h5", ".hdf5"), weights=None, live=True),
        ModelKey("KerasJson", (".json",), weights="KerasH5", live=False),
        ModelKey("KerasH5", (), weights=None, live=False),
    ),
    refused=(),
    files=FILES,
    live="a Keras model",
    is_live=_is_live,
    is_content=_is_content,
    takes=frozenset({"weights", "input_shape", "layers"}),
    read=_read,
    outputs=_outputs,
    layer_results=_layer_results,
    shapeless=None,
)
