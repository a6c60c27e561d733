"""Configurations of all choices of a model, made from the model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bitsmith.base.familiar import unknown
from bitsmith.config.building import config_from_network
from bitsmith.config.resolving import BitsLike
from bitsmith.errors import ConfigError
from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.framework import Framework, ReadOptions
from bitsmith.frontends.frameworks import AnyModel, frameworks
from bitsmith.frontends.input_shapes import Example, InputShapes
from bitsmith.frontends.keras.framework import KERAS
from bitsmith.frontends.keras.live import ModelLike
from bitsmith.frontends.onnx.framework import ONNX
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.read import read_as
from bitsmith.frontends.tflite.framework import TFLITE
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.frontends.torch.framework import TORCH
from bitsmith.frontends.torch.live import TorchModel
from bitsmith.layers.network import Network
from bitsmith.options.project import create_config
from bitsmith.options.signature import answering

__all__ = [
    "config_from_keras_model",
    "config_from_onnx_model",
    "config_from_pytorch_model",
    "config_from_tflite_model",
    "create_config",
]

_CONVERSIONS = ("full", "internal", "off")


@answering
def config_from_keras_model(
    model: ModelLike,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
    layers: Layers | None = None,
) -> dict[str, Any]:
    """A configuration of all choices of ``model`` (a file or a live Keras model), to be edited and handed to ``convert``.

    Args:
        granularity: ``model`` for one set of choices, ``type`` for one per layer type, ``name`` for one per layer.
        default_precision: of inputs, weights and biases, with ``model`` of accumulators and results, too; ``auto`` keeps the
            model's accuracy.
        bits: those of ``auto``, as for :func:`bitsmith.convert`.
        layers: translations of layers of your own, as for :func:`bitsmith.convert`.

    Examples:
        ```python
        config = bitsmith.utils.config_from_keras_model("digits.keras", granularity="name")
        config["LayerName"]["fc1"]["Precision"]["weight"] = "fixed<6,2>"
        model = bitsmith.convert("digits.keras", "six-bits", config)
        ```
    """
    choices = (granularity, backend, default_precision, default_reuse_factor, max_precision)
    return _config(KERAS, model, *choices, bits=bits, layers=layers)


@answering
def config_from_onnx_model(
    model: OnnxModel,
    granularity: str = "name",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
    layers: Layers | None = None,
) -> dict[str, Any]:
    """A configuration of all choices of ``model`` (a file or a live ``ModelProto``), as for Keras models, or of each layer."""
    choices = (granularity, backend, default_precision, default_reuse_factor, max_precision)
    return _config(ONNX, model, *choices, bits=bits, layers=layers)


@answering
def config_from_tflite_model(
    model: TfliteModel,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
) -> dict[str, Any]:
    """A configuration of all choices of ``model`` (a file of TensorFlow Lite, or its content), as for Keras models."""
    choices = (granularity, backend, default_precision, default_reuse_factor, max_precision)
    return _config(TFLITE, model, *choices, bits=bits)


@answering
def config_from_pytorch_model(
    model: TorchModel,
    input_shape: InputShapes | None = None,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    channels_last_conversion: str = "full",
    transpose_outputs: bool = False,
    max_precision: str | None = None,
    *,
    example: Example | Sequence[Example] | None = None,
    bits: BitsLike = None,
    layers: Layers | None = None,
) -> dict[str, Any]:
    """A configuration of all choices of ``model`` (a module, an exported program or a ``.pt2`` file), as for Keras models.

    Args:
        input_shape: of a live module, the shape of one sample of the input, or one for each input; the configuration keeps it
            for :func:`bitsmith.converters.convert_from_pytorch_model`. Choices for the whole model need none.
        channels_last_conversion: ``full``: layouts are converted inside; ``internal`` and ``off`` are noted at conversion, since
            inputs and results always have the model's own layout.
        transpose_outputs: either, for the same reason.
        example: instead of the shape one input, or one for each parameter; the first axis counts samples.
    """
    if channels_last_conversion not in _CONVERSIONS:
        raise ConfigError(
            f"channels_last_conversion={channels_last_conversion!r}",
            where="config_from_pytorch_model",
            accepted=", ".join(map(repr, _CONVERSIONS)),
        )
    choices = (granularity, backend, default_precision, default_reuse_factor, max_precision)
    config = _config(TORCH, model, *choices, bits=bits, layers=layers, example=example, input_shape=input_shape)
    if channels_last_conversion != "full":
        config["Model"]["ChannelsLastConversion"] = channels_last_conversion
    if input_shape is not None:
        config["InputShape"] = input_shape
    return config


def _config(
    framework: Framework,
    model: AnyModel,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
    layers: Layers | None = None,
    example: Example | Sequence[Example] | None = None,
    input_shape: InputShapes | None = None,
) -> dict[str, Any]:
    """A configuration of all choices of a model of ``framework``."""
    shapeless = framework.shapeless is not None and framework.shapeless.is_one(model)
    if str(granularity).lower() == "model" and input_shape is None and example is None and shapeless:
        network = Network((), (), (), type(model).__name__)  # no choice names a layer, and a shape alone shows them
    else:
        network = read_as(framework, model, ReadOptions(example=example, input_shape=input_shape, layers=layers))
    choices = (granularity, default_precision, default_reuse_factor, max_precision, backend, bits)
    return config_from_network(network, *choices)


def of_installed(name: str) -> object:
    """The familiar name of all other frameworks, also of installed packages: ``config_from_x_model``."""
    for record in () if name.startswith("_") else frameworks():
        if name == f"config_from_{record.stem}_model":
            return partial(_config, record)
    raise unknown("bitsmith.utils", name)


if not TYPE_CHECKING:  # which would take any name for one of these
    __getattr__ = of_installed
