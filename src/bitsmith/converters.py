"""The names that users know: converters of each framework, of project configurations, and of saved models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from bitsmith.base.familiar import unknown
from bitsmith.config.accelerators import accelerator_named, check_arguments
from bitsmith.config.inert import idle_of
from bitsmith.config.resolving import ConfigLike
from bitsmith.config.values import AXI_MASTER, INTERFACES
from bitsmith.conversion.conversion import Conversion, configured, convert, split_shape
from bitsmith.errors import ConfigError
from bitsmith.frontends.formulas.framework import formulas_of, symbols
from bitsmith.frontends.framework import Framework
from bitsmith.frontends.frameworks import AnyModel, frameworks
from bitsmith.frontends.input_shapes import InputShapes
from bitsmith.frontends.keras.framework import KERAS
from bitsmith.frontends.keras.live import ModelLike
from bitsmith.frontends.named import model_keys
from bitsmith.frontends.onnx.framework import ONNX
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.tflite.framework import TFLITE
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.frontends.torch.framework import TORCH
from bitsmith.frontends.torch.live import TorchModel
from bitsmith.model import Model
from bitsmith.options.project import OUTPUT_DIR, PROJECT_NAME, create_config, keys_of, parse_yaml_config, read_project
from bitsmith.options.table import Arguments

__all__ = [
    "configured",
    "convert",
    "convert_from_config",
    "convert_from_keras_model",
    "convert_from_onnx_model",
    "convert_from_pytorch_model",
    "convert_from_symbolic_expression",
    "convert_from_tflite_model",
    "create_config",
    "keras_to_hls",
    "keras_v2_to_hls",
    "keras_v3_to_hls",
    "load_saved_model",
    "onnx_to_hls",
    "parse_yaml_config",
    "pytorch_to_hls",
    "tflite_to_hls",
]


class _OfOtherTools(TypedDict, total=False):
    output_data_tb: str | Path | None
    bit_exact: bool | None
    allow_da_fallback: bool
    allow_v2_fallback: bool
    project_dir: str | Path | None
    namespace: str | None
    write_weights_txt: bool
    write_tar: bool
    write_emulation_constants: bool
    tb_output_stream: str
    interface: str | None
    driver: str
    input_type: str
    output_type: str
    axi_mode: str
    in_stream_buf_size: int
    out_stream_buf_size: int
    tech: str
    asiclibs: str
    fifo: str | None
    fpga_family: str
    smarthls_path: str | Path | None
    hyperopt_handshake: bool


_OF_BOARDS = (
    *("interface", "driver", "input_type", "output_type"),
    *("axi_mode", "in_stream_buf_size", "out_stream_buf_size"),
)

_WRITTEN = "hls4ml_config.yml"
"""The configuration in projects of hls4ml."""

_OF_WRITERS = ("write_weights_txt", "write_tar")


class Familiar(Arguments, _OfOtherTools, total=False):
    """Arguments of :func:`convert`, with ``config`` under the name that users of hls4ml know.

    Arguments of hls4ml's backends that mean nothing here are accepted too; a note of the model lists those that would change
    something there. ``write_weights_txt`` writes the values of all trained tensors into the project's folder ``weights``,
    ``write_tar`` packs the project folder as ``<output_dir>.tar.gz``. The emulator always gives the circuit's outputs,
    bit for bit.
    """

    hls_config: ConfigLike


def convert_from_keras_model(
    model: ModelLike, output_dir: str | Path = OUTPUT_DIR, **familiar: Unpack[Familiar]
) -> Model:
    """Convert a Keras model with the argument names of `Familiar`."""
    return _conversion(model, output_dir, **familiar).model()


def convert_from_pytorch_model(
    model: TorchModel,
    *place: str | Path | InputShapes,
    output_dir: str | Path = OUTPUT_DIR,
    **familiar: Unpack[Familiar],
) -> Model:
    """Convert a PyTorch model with the argument names of `Familiar`.

    A configuration of :func:`bitsmith.utils.config_from_pytorch_model` carries the input shape (``InputShape``). Inputs and
    results have the model's own layout. Behind the model stands the folder, or the input shape as in older scripts.
    """
    if len(place) > 2:
        raise TypeError(
            f"convert_from_pytorch_model() takes model, folder and input shape, not {len(place) + 1} values"
        )
    for argument in place:
        if isinstance(argument, str | Path):
            output_dir = argument
        else:
            familiar["input_shape"] = argument
    return _conversion(model, output_dir, **familiar).model()


def convert_from_onnx_model(
    model: OnnxModel, output_dir: str | Path = OUTPUT_DIR, **familiar: Unpack[Familiar]
) -> Model:
    """Convert an ONNX model with the argument names of `Familiar`."""
    return _conversion(model, output_dir, **familiar).model()


def convert_from_tflite_model(
    model: TfliteModel, output_dir: str | Path = OUTPUT_DIR, **familiar: Unpack[Familiar]
) -> Model:
    """Convert a TensorFlow Lite model with the argument names of `Familiar`."""
    return _conversion(model, output_dir, **familiar).model()


def convert_from_symbolic_expression(
    expr: object,
    n_symbols: int | None = None,
    lut_functions: Mapping[str, Mapping[str, object]] | None = None,
    use_built_in_lut_functions: bool = False,
    output_dir: str | Path = OUTPUT_DIR,
    *,
    compiler: str = "",
    hls_include_path: str | None = None,
    hls_libs_path: str | None = None,
    **familiar: Unpack[Familiar],
) -> Model:
    """Convert a formula, or a list of them: expressions of sympy, or texts (``docs/formulas.md``).

    Args:
        n_symbols: the inputs are ``x0`` to this number less 1; by default to the last that occurs, or all that do if they have
            other names.
        lut_functions: names of functions of yours, and what each is in ``math_func``. How large tables are follows from the
            precision: ranges and sizes mean nothing here, nor do ``use_built_in_lut_functions``, ``compiler`` and the paths.
        familiar: the rest, also ``inputs`` of :func:`bitsmith.convert`. The ``precision`` of all tensors is ``ap_fixed<16,6>`` by
            default, or ``auto`` with ranges in ``inputs`` or with calibration data.
    """
    formulas = formulas_of(list(expr) if isinstance(expr, set) else [expr] if isinstance(expr, str) else expr)
    functions = {name: str(of.get("math_func")) for name, of in (lut_functions or {}).items()}
    formulas = replace(formulas, functions=functions)
    inputs = familiar.get("inputs")
    familiar["inputs"] = symbols(formulas, n_symbols) if inputs is None else inputs
    if not isinstance(inputs, Mapping) and familiar.get("calibration") is None:
        familiar.setdefault("precision", "ap_fixed<16,6>")
    return _conversion(formulas, output_dir, **familiar).model()


def _conversion(model: AnyModel, output_dir: str | Path = OUTPUT_DIR, **arguments: Unpack[Familiar]) -> Conversion:
    """The conversion that familiar arguments ask for."""
    config = arguments.pop("hls_config", None)
    arguments.setdefault("project_name", PROJECT_NAME)
    of_board = accelerator_named(arguments.get("backend")) is not None
    if of_board and arguments.get("axi_mode") == AXI_MASTER:
        arguments["interface"] = AXI_MASTER
    others = {
        key: value
        for key, value in arguments.items()
        if key in _OfOtherTools.__annotations__ and (key != "interface" or value not in INTERFACES)
    }
    own = {key: value for key, value in arguments.items() if key not in others}
    writer = {key: others.pop(key) for key in _OF_WRITERS if key in others}
    on_board = {key: others.pop(key) for key in _OF_BOARDS if key in others} if of_board else {}
    words, idle_there = check_arguments(on_board)
    conversion = Conversion.of(model, output_dir, config, cast("Arguments", own), {**keys_of(writer), **words})
    idle = (*conversion.project.idle, *idle_of(others), *idle_there)
    return replace(conversion, project=replace(conversion.project, idle=idle))


def pytorch_to_hls(config: Mapping[str, object] | str | Path) -> Model:
    """Convert what a project configuration (dict or YAML file) describes: PytorchModel, and InputShape for a live module."""
    return _of_project(config, TORCH).model()


def onnx_to_hls(config: Mapping[str, object] | str | Path) -> Model:
    """Convert what a project configuration (dict or YAML file) describes: OnnxModel, a file or a live ``ModelProto``."""
    return _of_project(config, ONNX).model()


def tflite_to_hls(config: Mapping[str, object] | str | Path) -> Model:
    """Convert what a project configuration (dict or YAML file) describes: TfliteModel, a file or its content."""
    return _of_project(config, TFLITE).model()


def keras_to_hls(config: Mapping[str, object] | str | Path) -> Model:
    """Convert what a project configuration (dict or YAML file) describes: KerasJson and KerasH5, or KerasModel."""
    return _of_project(config, KERAS).model()


def keras_v2_to_hls(config: Mapping[str, object] | str | Path) -> Model:
    """Call :func:`keras_to_hls`, which reads the files and models of every version."""
    return _of_project(config, KERAS).model()


def keras_v3_to_hls(
    config: Mapping[str, object] | str | Path, allow_da_fallback: bool = True, allow_v2_fallback: bool = True
) -> Model:
    """Call :func:`keras_to_hls`, which reads the files and models of every version and needs no fallback."""
    return _of_project(config, KERAS).model()


def load_saved_model(file_path: str | Path, output_dir: str | Path | None = None) -> Model:
    """The model that :meth:`bitsmith.model.Model.save` wrote; ``output_dir`` replaces its project folder.

    Raises:
        ModelFileError: not such a file, or a damaged one.
    """
    return Model.load(file_path, output_dir)


def convert_from_config(config: Mapping[str, object] | str | Path) -> Model:
    """Convert what a project configuration (dict or YAML file) describes, whichever framework's model it names.

    The ``hls4ml_config.yml`` of a project of hls4ml is such a file: it names the ``keras_model.keras`` beside it.
    """
    return _of_project(config, None).model()


def _of_installed(name: str) -> object:
    """The familiar names of all other frameworks, also of installed packages: ``convert_from_x_model`` and ``x_to_hls``."""
    for record in () if name.startswith("_") else frameworks():
        if name == f"convert_from_{record.stem}_model":
            return lambda model, *folder, **familiar: _conversion(model, *folder, **familiar).model()
        if name == f"{record.stem}_to_hls":
            return lambda config, record=record: _of_project(config, record).model()
    raise unknown(__name__, name)


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # which would take any name for one of these
    __getattr__ = _of_installed


def _of_project(config: Mapping[str, object] | str | Path, framework: Framework | None) -> Conversion:
    """The conversion that a project configuration describes, of a model of ``framework`` or of any."""
    content = dict(_content(config))
    content["HLSConfig"], shape = split_shape(cast("ConfigLike", content.get("HLSConfig")))
    project = read_project(content)
    named = project.model
    if named is None or framework not in (None, named.framework):
        keys = model_keys() if framework is None else framework.keys
        raise ConfigError(
            "no model" if named is None else f"{named.key.name}, a model of {named.framework.name}",
            where="configuration",
            accepted=", ".join(key.name for key in keys),
        )
    if project.input_shape is None:
        project = replace(project, input_shape=(shape,) if isinstance(shape, int) else shape)
    return Conversion.named(named, project, {})


def _content(config: Mapping[str, object] | str | Path) -> Mapping[str, object]:
    """A project configuration as a dictionary."""
    if isinstance(config, str | Path) and Path(config).name == _WRITTEN and not Path(config).exists():
        raise ConfigError(
            "no such file",
            where=str(config),
            remedy="model.save('model.json') keeps a model of bitsmith, and load_saved_model('model.json') has it again",
        )
    content: object = parse_yaml_config(config) if isinstance(config, str | Path) else config
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"a {type(content).__name__}",
            where="configuration",
            accepted="a dictionary, or the path of a YAML or JSON file",
        )
    return content
