"""The options that say how a model is converted, declared once for all commands that convert one.

A command takes them as one parameter, a :class:`ModelOptions`; :class:`Expanded` shows Typer its fields instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from bitsmith.backends import BACKENDS

_KEYWORD = inspect.Parameter.KEYWORD_ONLY

IO_TYPES = ("io_parallel", "io_stream")
STRATEGIES = ("latency", "resource", "unrolled", "distributed_arithmetic")
OUTLIERS = ("keep", "saturate")


def completing(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Completion of an option's value."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """A model, and how it is to be converted; None leaves a choice to the configuration."""

    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A trained model (.keras, .h5, .json, .pt2, .onnx, .tflite), or the .yml of a whole project.",
            show_default=False,
        ),
    ] = None
    weights: Annotated[Path | None, typer.Option(help="The weight file of a .json model of Keras.")] = None
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Precision and more, or a whole project, as YAML or JSON.")
    ] = None
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One key, such as LayerName.fc1.Precision.weight=fixed<8,2>."),
    ] = None
    bits: Annotated[str | None, typer.Option(help="Bits that auto keeps: 8, or weight=6,result=8.")] = None
    precision: Annotated[str | None, typer.Option(help="The default format: auto, or such as fixed<16,6>.")] = None
    reuse_factor: Annotated[int | None, typer.Option(help="Products per multiplier.")] = None
    strategy: Annotated[
        str | None, typer.Option(help=f"Of products: {', '.join(STRATEGIES)}.", autocompletion=completing(STRATEGIES))
    ] = None
    io_type: Annotated[
        str | None,
        typer.Option(help="io_parallel, or io_stream: a token per position.", autocompletion=completing(IO_TYPES)),
    ] = None
    calibration: Annotated[
        Path | None, typer.Option(help="Real inputs (.npy), from which auto precision takes ranges.")
    ] = None
    outliers: Annotated[
        str | None,
        typer.Option(help="Rare huge calibration samples: keep or saturate.", autocompletion=completing(OUTLIERS)),
    ] = None
    input_shape: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="The shape of one sample, where the file leaves it open.")
    ] = None
    input_data: Annotated[Path | None, typer.Option(help="Inputs of simulations (.npy).")] = None
    part: Annotated[str | None, typer.Option(help="The FPGA, such as LFE5U-85F-6BG381C.")] = None
    board: Annotated[
        str | None, typer.Option(help="A board, such as ulx3s-85f, pynq-z2 or alveo-u50, or a .toml file with one.")
    ] = None
    platform: Annotated[
        str | None, typer.Option(help="Of a card such as alveo-u50: what its kernels are linked to.")
    ] = None
    interface: Annotated[
        str | None,
        typer.Option(help="ap_vld: a port of HLS C++ for each tensor; axi_master: a Zynq's memory is read by it."),
    ] = None
    clock_period: Annotated[float | None, typer.Option(min=0.1, help="Clock target in ns.")] = None
    clock_uncertainty: Annotated[str | None, typer.Option(help="Part of the period to keep back: 12.5%.")] = None
    latency: Annotated[
        str | None, typer.Option(metavar="N|Nns", help="Cycles or ns that a pipeline may take, whatever the clock.")
    ] = None
    backend: Annotated[
        str | None, typer.Option(help="rtl, or an HLS tool: vitis, oneapi, ...", autocompletion=completing(BACKENDS))
    ] = None
    project_name: Annotated[str | None, typer.Option(help="Name of the circuit.")] = None
    check: Annotated[
        bool | None, typer.Option(help="Compare with the framework's own outputs; by default where that costs little.")
    ] = None
    strict: Annotated[bool, typer.Option("--strict", help="Fail if the circuit is not what the model is.")] = False
    override: Annotated[
        bool, typer.Option("--override", help="Formats of single layers replace the quantizers of the model.")
    ] = False
    allow_approximate: Annotated[
        bool, typer.Option("--allow-approximate", help="Take what cannot be translated exactly but nearly.")
    ] = False
    rounding: Annotated[
        str | None, typer.Option(help="Of dense layers of TensorFlow Lite: single, or double as before 2.20.")
    ] = None
    fit: Annotated[
        bool, typer.Option("--fit", help="Take fewer bits or reuse factors if the circuit does not fit the part.")
    ] = False


class Expanded:
    """A command whose first parameter is a :class:`ModelOptions`, with the options' fields as parameters, as Typer reads them."""

    def __init__(self, command: Callable[..., None]) -> None:
        self.__name__ = command.__name__
        self.__doc__ = command.__doc__
        self._command = command
        hints, shared = get_type_hints(ModelOptions, include_extras=True), fields(ModelOptions)
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        options = [
            inspect.Parameter(field.name, _KEYWORD, default=field.default, annotation=hints[field.name])
            for field in shared
        ]
        parameters = [options[0], *(each.replace(kind=_KEYWORD) for each in own), *options[1:]]
        self._shared = tuple(field.name for field in shared)
        self.__signature__ = inspect.Signature(parameters)
        self.__annotations__ = {each.name: each.annotation for each in parameters}

    def __call__(self, **values: object) -> None:
        made: Callable[..., ModelOptions] = ModelOptions
        options = made(**{name: values.pop(name) for name in self._shared})
        self._command(options, **values)
