"""The familiar helper names: configurations from models, example models, and pictures of models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, overload

from bitsmith.config import BitsLike, config_from_network, create_config
from bitsmith.errors import ConfigError
from bitsmith.example_models import fetch_example_list, fetch_example_model
from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.framework import Framework, ReadOptions
from bitsmith.frontends.frameworks import AnyModel, installed
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
from bitsmith.model import Model
from bitsmith.project import write_atomically
from bitsmith.report.figures.dot import Dot, dot
from bitsmith.report.figures.picture import Content, Direction, Format, Picture, picture, plotted, svg

__all__ = [
    "config_from_keras_model",
    "config_from_onnx_model",
    "config_from_pytorch_model",
    "config_from_tflite_model",
    "create_config",
    "fetch_example_list",
    "fetch_example_model",
    "model_to_dot",
    "plot_model",
]

_LEAST_DPI, _MOST_DPI = 10, 1200
_CONVERSIONS = ("full", "internal", "off")


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
) -> dict[str, object]:
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


def config_from_onnx_model(
    model: OnnxModel,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
    layers: Layers | None = None,
) -> dict[str, object]:
    """A configuration of all choices of ``model`` (a file or a live ``ModelProto``), as for Keras models."""
    choices = (granularity, backend, default_precision, default_reuse_factor, max_precision)
    return _config(ONNX, model, *choices, bits=bits, layers=layers)


def config_from_tflite_model(
    model: TfliteModel,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
) -> dict[str, object]:
    """A configuration of all choices of ``model`` (a file of TensorFlow Lite, or its content), as for Keras models."""
    choices = (granularity, backend, default_precision, default_reuse_factor, max_precision)
    return _config(TFLITE, model, *choices, bits=bits)


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
) -> dict[str, object]:
    """A configuration of all choices of ``model`` (a module, an exported program or a ``.pt2`` file), as for Keras models.

    Args:
        input_shape: of a live module, the shape of one sample of the input, or one for each input; the configuration keeps it
            for :func:`bitsmith.converters.convert_from_pytorch_model`.
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
    config = config_from_network(
        read_as(TORCH, model, ReadOptions(example=example, input_shape=input_shape, layers=layers)),
        granularity=granularity,
        backend=backend,
        default_precision=default_precision,
        default_reuse_factor=default_reuse_factor,
        max_precision=max_precision,
        bits=bits,
    )
    if channels_last_conversion != "full":
        config["Model"]["ChannelsLastConversion"] = channels_last_conversion
    return config if input_shape is None else {**config, "InputShape": input_shape}


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
) -> dict[str, object]:
    """A configuration of all choices of a model of ``framework``."""
    return config_from_network(
        read_as(framework, model, ReadOptions(layers=layers)),
        granularity=granularity,
        backend=backend,
        default_precision=default_precision,
        default_reuse_factor=default_reuse_factor,
        max_precision=max_precision,
        bits=bits,
    )


def _of_installed(name: str) -> object:
    """The familiar name of a framework that an installed package brings: ``config_from_x_model``."""
    for record in () if name.startswith("_") else installed():
        if name == f"config_from_{record.stem}_model":
            return partial(_config, record)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not TYPE_CHECKING:  # which would take any name for one of these
    __getattr__ = _of_installed


@overload
def plot_model(
    model: Model,
    to_file: None,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Picture: ...


@overload
def plot_model(
    model: Model,
    to_file: str | Path = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Path: ...


def plot_model(
    model: Model,
    to_file: str | Path | None = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Path | Picture:
    """Draw the layers of a converted model and what flows between them into a file, and return its path.

    Args:
        to_file: a name ending in .svg, or in .png or .pdf, which need the extra ``report``; None: the picture is returned, which
            a notebook shows.
        show_shapes: the result's shape and the number of trained values.
        show_precision: formats of the trained values, and the width, fractional bits and proved range of the result.
        rankdir: ``TB`` from top to bottom, ``LR`` from left to right.
        dpi: dots per inch of a .png.

    Raises:
        ConfigError: another ending, direction or resolution.
        ToolMissingError: matplotlib is needed and not installed.
        ProjectError: the file cannot be written.

    Examples:
        ```python
        bitsmith.utils.plot_model(model, "layers.svg", show_shapes=True, show_precision=True)
        ```
    """
    path = Path("model.svg" if to_file is None else to_file)
    if not str(path).isprintable():
        raise ConfigError(f"to_file={str(path)!r}", where="plot_model", accepted="a path such as model.png")
    if not _LEAST_DPI <= dpi <= _MOST_DPI:
        raise ConfigError(f"dpi={dpi!r}", where="plot_model", accepted=f"{_LEAST_DPI} to {_MOST_DPI}")
    try:
        kind = Format(path.suffix.removeprefix(".").lower())
    except ValueError as error:
        accepted = f"names ending in .{', .'.join(Format)}"
        raise ConfigError(f"to_file={str(to_file)!r}", where="plot_model", accepted=accepted) from error
    content = Content(show_layer_names, show_shapes, show_precision)
    drawn = picture(model.design(), content, _direction(rankdir, "plot_model"))
    if to_file is None:
        return drawn
    drawing = svg(drawn) if kind is Format.SVG else plotted(drawn, kind, dpi)
    write_atomically(path, lambda file: file.write(drawing))
    return path


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Dot:
    """The layers of a converted model as a graph in the language of Graphviz: ``to_string()``, ``write(path)``.

    The arguments are as of :func:`plot_model`; Graphviz itself is told the resolution.

    Raises:
        ConfigError: another direction.
    """
    content = Content(show_layer_names, show_shapes, show_precision)
    return dot(model.design(), content, _direction(rankdir, "model_to_dot"))


def _direction(rankdir: str, where: str) -> Direction:
    try:
        return Direction(rankdir)
    except ValueError as error:
        raise ConfigError(f"rankdir={rankdir!r}", where=where, accepted=", ".join(Direction)) from error
