"""The familiar helper names: configurations from models, example models, and pictures of models."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import pooch

from bitsmith.config import BitsLike, config_from_network, create_config
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.frontends.keras.read import ModelLike, read_keras
from bitsmith.frontends.onnx.read import OnnxModel, read_onnx
from bitsmith.frontends.tflite.read import TfliteModel, read_tflite
from bitsmith.frontends.torch.live import Example, InputShapes
from bitsmith.frontends.torch.read import TorchModel, read_torch
from bitsmith.model import Model
from bitsmith.project import write_atomically
from bitsmith.report.figures.picture import Content, Direction, Format, picture, plotted, svg

__all__ = [
    "config_from_keras_model",
    "config_from_onnx_model",
    "config_from_pytorch_model",
    "config_from_tflite_model",
    "create_config",
    "fetch_example_list",
    "fetch_example_model",
    "plot_model",
]

_LEAST_DPI, _MOST_DPI = 10, 1200
_MODELS = resources.files("bitsmith") / "data" / "models"
_SHIPPED: Mapping[str, tuple[str, ...]] = {
    "KERAS_3layer.json": ("KERAS_3layer_weights.h5", "KERAS_3layer.config.json"),
    "digits.keras": ("digits.config.json",),
}
"""Models that the package carries, with the files that belong to each; the configuration comes last."""


def config_from_keras_model(
    model: ModelLike,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
) -> dict[str, object]:
    """A configuration of all choices of ``model`` (a file or a live Keras model), to be edited and handed to ``convert``.

    Args:
        granularity: ``model`` for one set of choices, ``type`` for one per layer type, ``name`` for one per layer.
        default_precision: of weights and biases, and with ``model`` of accumulators and results; ``auto`` keeps the model's
            accuracy.
        bits: those of ``auto``, as for :func:`bitsmith.convert`.
    """
    return config_from_network(
        read_keras(model),
        granularity=granularity,
        backend=backend,
        default_precision=default_precision,
        default_reuse_factor=default_reuse_factor,
        max_precision=max_precision,
        bits=bits,
    )


def config_from_onnx_model(
    model: OnnxModel,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    *,
    bits: BitsLike = None,
) -> dict[str, object]:
    """A configuration of all choices of ``model`` (a file or a live ``ModelProto``), as for Keras models."""
    return config_from_network(
        read_onnx(model),
        granularity=granularity,
        backend=backend,
        default_precision=default_precision,
        default_reuse_factor=default_reuse_factor,
        max_precision=max_precision,
        bits=bits,
    )


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
    return config_from_network(
        read_tflite(model),
        granularity=granularity,
        backend=backend,
        default_precision=default_precision,
        default_reuse_factor=default_reuse_factor,
        max_precision=max_precision,
        bits=bits,
    )


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
) -> dict[str, object]:
    """A configuration of all choices of ``model`` (a module, an exported program or a ``.pt2`` file), as for Keras models.

    Args:
        input_shape: of a live module, the shape of one sample of the input, or one for each input; the configuration keeps it
            for :func:`bitsmith.converters.convert_from_pytorch_model`.
        channels_last_conversion: ``full``: layouts are converted inside.
        transpose_outputs: either: inputs and results always have the model's own layout.
        example: instead of the shape one input, or one for each parameter; the first axis counts samples.
    """
    if channels_last_conversion != "full":
        raise ConfigError(
            f"channels_last_conversion={channels_last_conversion!r}",
            where="config_from_pytorch_model",
            accepted="'full': inputs and results have the model's own layout",
        )
    config = config_from_network(
        read_torch(model, example=example, input_shape=input_shape),
        granularity=granularity,
        backend=backend,
        default_precision=default_precision,
        default_reuse_factor=default_reuse_factor,
        max_precision=max_precision,
        bits=bits,
    )
    return config if input_shape is None else {**config, "InputShape": input_shape}


def fetch_example_list() -> list[str]:
    """Names that :func:`fetch_example_model` knows: those that the package carries, and public ones on the network."""
    public = _public()["sha256"]
    return sorted({*_SHIPPED, *(name for name in public if not name.endswith("_weights.h5"))})


def fetch_example_model(name: str, backend: str = "rtl") -> dict[str, object]:
    """Put the example model ``name`` into the working directory and return a project configuration for it.

    ``KERAS_3layer.json`` and ``digits.keras`` come with the package. Others are fetched from the public collection of the
    same names, checked against known checksums and kept in the user's cache folder.

    Raises:
        ConfigError: no such example.
        ModelFileError: a public example that could not be fetched.
    """
    if name in _SHIPPED:
        for file in (name, *_SHIPPED[name][:-1]):
            Path(file).write_bytes((_MODELS / file).read_bytes())
        hls_config = json.loads((_MODELS / _SHIPPED[name][-1]).read_text())
        weights = _SHIPPED[name][0] if len(_SHIPPED[name]) > 1 else None
    else:
        weights = _fetched(name)
        hls_config = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    config = create_config(output_dir="my-hls-test", project_name="myproject", backend=backend)
    config["HLSConfig"] = hls_config
    if weights is None:
        return {**config, "KerasModel": name}
    return {**config, "KerasJson": name, "KerasH5": weights}


def plot_model(
    model: Model,
    to_file: str | Path = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    show_precision: bool = False,
    rankdir: str = "TB",
    dpi: float = 96,
) -> Path:
    """Draw the layers of a converted model and what flows between them into a file, and return its path.

    Args:
        to_file: a name ending in .svg, or in .png or .pdf, which need the extra ``report``.
        show_shapes: the result's shape and the number of trained values.
        show_precision: formats of the trained values, and the width, fractional bits and proved range of the result.
        rankdir: ``TB`` from top to bottom, ``LR`` from left to right.
        dpi: dots per inch of a .png.

    Raises:
        ConfigError: another ending, direction or resolution.
        ToolMissingError: matplotlib is needed and not installed.
        ProjectError: the file cannot be written.
    """
    path = Path(to_file)
    if not str(path).isprintable():
        raise ConfigError(f"to_file={str(path)!r}", where="plot_model", accepted="a path such as model.png")
    if not _LEAST_DPI <= dpi <= _MOST_DPI:
        raise ConfigError(f"dpi={dpi!r}", where="plot_model", accepted=f"{_LEAST_DPI} to {_MOST_DPI}")
    try:
        kind = Format(path.suffix.removeprefix(".").lower())
        direction = Direction(rankdir)
    except ValueError as error:
        raise ConfigError(
            f"to_file={str(to_file)!r}, rankdir={rankdir!r}",
            where="plot_model",
            accepted=f"names ending in .{', .'.join(Format)}; {', '.join(Direction)}",
        ) from error
    drawn = picture(model.design(), Content(show_layer_names, show_shapes, show_precision), direction)
    content = svg(drawn) if kind is Format.SVG else plotted(drawn, kind, dpi)
    write_atomically(path, lambda file: file.write(content))
    return path


def _public() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads((_MODELS / "public.json").read_text())
    return content


def _fetched(name: str) -> str | None:
    """Fetch a public model into the working directory; the name of its weight file, if it has one."""
    content = _public()
    known = content["sha256"]
    if name not in known:
        close = difflib.get_close_matches(str(name), fetch_example_list(), 3)
        raise ConfigError(f"no example model {name!r}", accepted=f"{', '.join(close) or 'see fetch_example_list()'}")
    weights = f"{Path(name).stem}_weights.h5"
    files = [name, weights] if weights in known else [name]
    for file in files:
        try:
            cached = pooch.retrieve(
                f"{content['base']}{file}",
                f"sha256:{known[file]}",
                fname=file,
                path=pooch.os_cache("bitsmith"),
                progressbar=False,
            )
        except Exception as error:  # pooch hands on whatever its downloader raises
            raise ModelFileError(
                f"{file} could not be fetched ({error})", remedy=f"without a network these work: {', '.join(_SHIPPED)}"
            ) from error
        Path(file).write_bytes(Path(cached).read_bytes())
    return weights if len(files) > 1 else None
