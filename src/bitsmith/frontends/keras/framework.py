"""The record of Keras."""

from typing import cast

from bitsmith.frontends.files.archive import first_member
from bitsmith.frontends.framework import Framework, ModelKey, ReadOptions, own_inputs
from bitsmith.frontends.keras.live import FILES, ModelLike, is_live
from bitsmith.frontends.keras.outputs import keras_outputs, layer_results
from bitsmith.layers.network import Network


def _is_content(first: bytes) -> bool:
    is_json = first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    member = first_member(first)
    return (
        is_json
        or first.startswith(b"\x89HDF\r\n\x1a\n")
        or (member is not None and "/" not in member.removeprefix("assets/"))
    )


def _read(model: object, options: ReadOptions) -> Network:
    from bitsmith.frontends.keras.read import read_keras

    return read_keras(cast("ModelLike", model), options)  # which refuses anything else


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
    is_live=is_live,
    is_content=_is_content,
    folder=None,
    takes=frozenset({"weights", "input_shape", "layers"}),
    read=_read,
    outputs=keras_outputs,
    layer_results=layer_results,
    shapeless=None,
    with_inputs=own_inputs,
)
