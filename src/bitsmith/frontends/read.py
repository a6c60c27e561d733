"""A model of any framework: whose it is, is found from the file's ending or the object's class.

A framework's reader is imported when a model of it is read: all of them together take longer than a small conversion.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from bitsmith.errors import ConfigError
from bitsmith.frontends.input_shapes import InputShapes
from bitsmith.frontends.onnx.live import OnnxModel, is_onnx
from bitsmith.frontends.tflite.live import TfliteModel, is_tflite
from bitsmith.frontends.torch.live import Example, TorchModel, is_torch
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    from bitsmith.frontends.custom.call import Layers
    from bitsmith.frontends.keras.read import ModelLike

AnyModel: TypeAlias = "ModelLike | TorchModel | OnnxModel | TfliteModel"
"""A file or a live model of Keras, PyTorch, ONNX or TensorFlow Lite."""


def read_model(
    model: AnyModel,
    *,
    weights: str | os.PathLike[str] | None = None,
    example: Example | Sequence[Example] | None = None,
    input_shape: InputShapes | None = None,
    rounding: str | None = None,
    allow_approximate: bool = False,
    layers: Layers | None = None,
) -> Network:
    """The network of ``model``.

    Args:
        weights: the weight file of a ``.json`` model of Keras.
        example: of a live PyTorch module, an input, or one for each parameter; the first axis counts samples.
        input_shape: instead of an example the shape of one sample of the input, or one for each input; of a Keras or ONNX
            model that leaves sizes open, too.
        rounding: of fully connected layers of TensorFlow Lite, as :func:`read_tflite` has it.
        allow_approximate: take what can only be approximated, with a note; of TensorFlow Lite there is no such thing.
        layers: translations of layers of the user's own, by class or name; TensorFlow Lite has none.

    Raises:
        ModelFileError, UnsupportedError, ToolMissingError: as of the framework's own reader.
        ConfigError: what is given beside the model belongs to another kind of model, or a live module lacks it.
    """
    if rounding is not None and not is_tflite(model):
        raise ConfigError("a rounding", where="rounding", accepted="one with a TensorFlow Lite model only")
    if weights is not None and (is_torch(model) or is_onnx(model) or is_tflite(model)):
        raise ConfigError("a weight file", where="weights", accepted="one with a Keras model only")
    if is_torch(model):
        from bitsmith.frontends.torch.read import read_torch

        return read_torch(
            model, example=example, input_shape=input_shape, allow_approximate=allow_approximate, layers=layers
        )
    if example is not None or (input_shape is not None and is_tflite(model)):
        raise ConfigError(
            "an example or an input shape",
            where="convert",
            accepted="an example with a PyTorch module only, a shape with that, Keras or ONNX",
        )
    if isinstance(model, bytes) or is_tflite(model):
        if layers is not None:
            raise ConfigError(
                "translations of layers", where="layers", accepted="them with Keras, PyTorch and ONNX only"
            )
        from bitsmith.frontends.tflite.read import read_tflite

        return read_tflite(model, rounding or "single")
    if is_onnx(model):
        from bitsmith.frontends.onnx.read import read_onnx

        return read_onnx(model, input_shape=input_shape, allow_approximate=allow_approximate, layers=layers)
    from bitsmith.frontends.keras.read import read_keras

    return read_keras(model, weights, input_shape=input_shape, allow_approximate=allow_approximate, layers=layers)
