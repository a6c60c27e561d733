"""All options of a conversion. A new one is added here: its record, its type, and a field if builds want its value.

From the records follow the arguments of functions and their documentation, the keys of project configurations, the options of
commands, saved targets, and the page ``docs/options.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, get_args

from bitsmith.backends import BACKENDS, Backend
from bitsmith.config import values as checks
from bitsmith.config.accelerators import bus_format
from bitsmith.config.reading import boolean, member
from bitsmith.config.values import BackendName, Blocks, IOType, IOTypeName
from bitsmith.config.weight_memory import WeightMemory, read_weight_memory
from bitsmith.devices.correction import Correction
from bitsmith.options.estimates import read_correction
from bitsmith.options.latency import read_latency
from bitsmith.options.option import Flag, Key, Option
from bitsmith.options.texts import boards, dies, read_budget, read_samples, read_shape

if TYPE_CHECKING:
    from bitsmith.config.resolving import BitsLike
    from bitsmith.emulate.samples import Samples
    from bitsmith.fidelity.framework import Check
    from bitsmith.frontends.custom.call import Layers
    from bitsmith.frontends.input_shapes import Example, InputShapes, NamedInputs
    from bitsmith.report import Report


StrategyName: TypeAlias = Literal[
    "latency", "resource", "unrolled", "multiplier_blocks", "distributed_arithmetic", "shared"
]


class ProjectOptions(TypedDict, total=False):
    """Options of what is built."""

    project_name: str | None
    clock_uncertainty: float | str | None
    latency: int | str | Path | Report | None
    input_data_tb: str | Path | None
    inputs: NamedInputs | None
    board: str | Path | None
    platform: str | None
    interface: str | None
    monitors: str | None
    bram: int | str | None
    weight_memory: str | None
    batch: int | None
    estimates: str | Path | Mapping[str, object] | None


class ReadingOptions(TypedDict, total=False):
    """Options of how a model is read."""

    example: Example | Sequence[Example] | None
    input_shape: InputShapes | None
    layers: Layers | None
    rounding: str | None
    allow_approximate: bool


class NetworkOptions(ReadingOptions, total=False):
    """Options of how a model is read, and of its numbers."""

    bits: BitsLike
    precision: str | None
    reuse_factor: int | None
    strategy: StrategyName | None
    outliers: str | None
    override: bool


class ResultOptions(TypedDict, total=False):
    """Options of what the result must be."""

    check: Check
    strict: bool
    fit: bool


class Options(ProjectOptions, NetworkOptions, ResultOptions, total=False):
    """Options that :func:`bitsmith.convert` takes by name only."""


class Further(Options, total=False):
    """Options that no function names itself."""

    backend: BackendName
    io_type: IOTypeName


class Arguments(Further, total=False):
    """Arguments of :func:`bitsmith.convert` beside the model, the project folder and the configuration."""

    part: str | None
    clock_period: float | str | None
    calibration: Samples | None
    weights: str | Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Values that the target of a build takes from the project."""

    input_data: Path | None = None
    """Inputs for co-simulation (.npy), used when ``build`` is given none."""
    backend: Backend = "rtl"
    io_type: IOType = IOType.PARALLEL
    board: str | None = None
    """Board, as `bitsmith.devices.read_board` takes it; None: our first board with a part of the family."""
    platform: str | None = None
    """Platform that kernels are linked to for a card; None: the card's own."""
    interface: str | None = None
    """One of `INTERFACES`, or None."""
    monitors: str | None = None
    """``NO_MONITORS``: the circuit of a board has no counters and no stored frame; None: it has; others: `MONITORS`."""
    bram: Blocks | None = None
    """Choice of what is block memory; None: what costs the smaller share of the part."""
    weight_memory: WeightMemory | None = None
    """Memory outside of the circuit that holds the weights of engines; None: they are in the circuit."""
    batch: int | None = None
    """Samples that the circuit computes together, as a frame of it; None: 1."""
    estimates: Correction | None = None
    """Corrects estimates; None: they are as the family's record has them."""
    bus_input: str | None = None
    bus_output: str | None = None
    """Formats of the words that a board's driver takes and gives where it is called with integers; None: they are numbers."""
    write_weights_txt: bool = False
    """True if the project has the values of all trained tensors as texts, too, in the folder ``weights``."""
    write_tar: bool = False
    """True if the project folder is packed as ``<output_dir>.tar.gz`` when it has been written."""


_STRATEGIES = get_args(StrategyName)
_OF_MODEL = "HLSConfig.Model."

OPTIONS: Sequence[Option] = (
    Option(
        "output_dir",
        Key("OutputDir", "output_dir", checks.read_path, None, ""),
        None,
        None,
        "the project folder of :meth:`Model.build`; by default ``digits-circuit`` for ``digits.keras``, ``my-hls-test`` live.",
    ),
    Option(
        "weights",
        None,
        None,
        Flag(Path, (), "FILE", None, "The weight file of a .json model of Keras."),
        "the weight file of a ``.json`` model.",
    ),
    Option(
        "bits",
        Key("HLSConfig.Model.Bits", "", None, None, None),
        None,
        Flag(str, (), None, read_budget, "Bits that auto keeps: 8, or weight=6,result=8."),
        "bits that ``auto`` keeps of weights and results, 16 if left out: ``8``, or ``{'weight': 6, 'result': 8}``. For single "
        "layers it is ``Bits`` in ``config``. Explicit formats are not affected.",
    ),
    Option(
        "precision",
        Key("HLSConfig.Model.Precision", "", None, None, None),
        None,
        Flag(str, (), None, None, "The default format: auto, or such as fixed<16,6>."),
        "the default format, such as ``fixed<16,6>``; ``auto`` (the default) chooses one for each tensor.",
    ),
    Option(
        "reuse_factor",
        Key("HLSConfig.Model.ReuseFactor", "", None, None, None),
        None,
        Flag(int, (), None, None, "Products per multiplier."),
        "products per multiplier, for all layers: 1 if left out. For single layers it is ``ReuseFactor`` in ``config``.",
    ),
    Option(
        "strategy",
        Key("HLSConfig.Model.Strategy", "", None, None, None),
        None,
        Flag(str, (), _STRATEGIES, None, f"The way of products: {', '.join(_STRATEGIES)}."),
        "products of all layers: ``latency`` (the default), ``resource``, ``shared`` or others (``docs/configuration.md``).",
    ),
    Option(
        "io_type",
        Key("IOType", "io_type", member(checks.IOType), None, None),
        IOType.PARALLEL.value,
        Flag(str, (), tuple(kind.value for kind in IOType), None, "io_parallel, or io_stream: a token per position."),
        "``io_parallel`` (whole tensors) or ``io_stream`` (a token per position, with back-pressure).",
    ),
    Option(
        "calibration",
        None,
        None,
        Flag(Path, (), "FILE.npy", read_samples, "Real inputs for the ranges of auto precision; .npz of several."),
        "real inputs, from which ``auto`` precision takes ranges: an array or one per input, the path of an ``.npy`` or ``.npz`` "
        "file, a pair of inputs and labels, or a loader. The first 1,024 of a loader count, 8,192 of arrays, evenly spaced.",
    ),
    Option(
        "outliers",
        None,
        None,
        Flag(str, (), ("keep", "saturate"), None, "Rare huge calibration samples: keep or saturate."),
        "calibration samples far outside all others are within the ranges of ``auto`` (``keep``, the default), or saturate "
        "(``saturate``); it goes before the key ``Outliers`` of ``config``.",
    ),
    Option(
        "example",
        None,
        None,
        None,
        "an input of a live PyTorch module, or one for each parameter; the first axis counts samples.",
    ),
    Option(
        "input_shape",
        Key("InputShape", "input_shape", checks.read_input_shape, None, None),
        None,
        Flag(str, (), "N,N,...", read_shape, "The shape of one sample, where the file leaves it open."),
        "the shape of one sample of the input, or one for each input, instead of an example. Without both, calibration data show "
        "it. In a Keras or ONNX model it fills the sizes that are left open.",
    ),
    Option(
        "inputs",
        Key("Inputs", "inputs", checks.read_inputs, None, None),
        None,
        None,
        "a formula's inputs in their order: ``['x', 'y']``, or with ranges ``{'x': (-1, 1)}`` (``docs/formulas.md``).",
    ),
    Option(
        "layers",
        None,
        None,
        None,
        "translations of your own layers, by class or name: functions of a ``Call`` (``docs/custom-layers.md``).",
    ),
    Option(
        "input_data_tb",
        Key("InputData", "input_data", checks.read_data_path, None, ""),
        None,
        Flag(Path, ("--input-data",), "FILE.npy", None, "Inputs of simulations."),
        "inputs for the co-simulation (``.npy``).",
    ),
    Option(
        "part",
        Key("Part", "part", checks.read_part, None, None),
        None,
        Flag(str, (), dies, None, "The FPGA, such as LFE5U-85F-6BG381C."),
        "an FPGA, e.g. ``LFE5U-85F-6BG381C`` (the default of ``rtl``) or ``xcvu13p-flga2577-2-e`` (that of ``vitis``).",
    ),
    Option(
        "board",
        Key("Board", "board", checks.read_board, None, ".toml"),
        None,
        Flag(str, (), boards, None, "A board, such as ulx3s-85f, pynq-z2 or alveo-u50, or a .toml file with one."),
        "a name such as ``icebreaker`` or ``pynq-z2``, or a ``.toml`` file of yours (``docs/boards.md``); its part is the "
        "default of ``part``.",
    ),
    Option(
        "platform",
        Key("Platform", "platform", checks.read_platform, None, None),
        None,
        Flag(str, (), None, None, "The platform of a card such as alveo-u50, which its kernels are linked to."),
        "the platform of an accelerator card, to which its kernels are linked.",
    ),
    Option(
        "interface",
        Key("Interface", "interface", checks.read_interface, None, None),
        None,
        Flag(str, (), None, None, "ap_vld: C++ has a port per tensor; ap_none: RTL without valid; axi_master: boards."),
        "``ap_vld`` makes each tensor a port with a signal that it is valid (``vivado`` and ``vitis``, ``io_parallel``); by "
        "default each element is a port. ``ap_none`` leaves a pipeline with clock and data alone (``rtl``, ``io_parallel``, "
        "reuse factors of 1). ``axi_master`` makes a circuit on a board with a Zynq read and write memory itself "
        "(``docs/boards.md``).",
    ),
    Option(
        "monitors",
        Key("Monitors", "monitors", checks.read_monitors, (checks.NO_MONITORS,), None),
        None,
        Flag(str, (), (checks.NO_MONITORS, *checks.MONITORS), None, "none; or memories, parity, ecc, ranges, layers."),
        "``none`` leaves out counters and the stored frame in circuits of boards, which tell what is wrong; ``memories`` reads "
        "those of reloadable weights back. ``parity`` or ``ecc`` finds flipped bits in memories. ``ranges`` watches inputs and "
        "outputs, ``layers`` the results of all layers, too (``docs/boards.md``).",
    ),
    Option(
        "clock_period",
        Key("ClockPeriod", "clock_period_ns", checks.read_clock_period, None, None),
        None,
        Flag(str, (), None, None, "Clock target in ns, or as 200MHz."),
        "in ns, or text such as ``'200 MHz'``; the default is the clock of a board that cannot change it, else the family's.",
    ),
    Option(
        "clock_uncertainty",
        Key("ClockUncertainty", "clock_uncertainty", checks.read_clock_uncertainty, None, None),
        None,
        Flag(str, (), None, None, "Part of the period to keep back: 12.5%."),
        "part of the period that is kept back, as a fraction or as text such as ``'12.5%'``; default an eighth.",
    ),
    Option(
        "latency",
        Key("Latency", "latency", read_latency, (), ".json"),
        None,
        Flag(str, (), "N|Nns|=N|DIR", None, "Cycles or ns that a pipeline may take, or exactly (=), or a build's."),
        "at most so many cycles (``4``), or nanoseconds (``'40ns'``), from input to output of a pipeline (``rtl``, "
        "``io_parallel``, reuse factors of 1): its stages get longer where the clock needs more of them. Or exactly so many "
        "(``'=12'``, ``'=40ns'``), or those of a build (its report or project folder): fewer than the clock needs are an error.",
    ),
    Option(
        "bram",
        Key("BRAM", "bram", checks.read_bram, (), None),
        None,
        Flag(str, (), "VALUE", None, "The most memory blocks, 0 for none; tables: those of pipelines are in blocks."),
        "the most memory blocks that the circuit may take. ``0`` keeps memories and tables in look-up tables and registers. "
        "``'tables'`` makes block memory of tables of pipelines wherever that saves look-up tables (``rtl``).",
    ),
    Option(
        "weight_memory",
        Key("WeightMemory", "weight_memory", read_weight_memory, (), None),
        None,
        Flag(str, (), "TEXT", None, "Weights of engines are in a memory: '64 bits, 1200 MHz, 200 ns, 75 %'."),
        "a memory outside for weights of layers in turn, or FIFOs without room, such as ``'64 bits, 1200 MHz, 200 ns, 75 %'``: "
        "its width, clock, latency and efficiency (``docs/large-networks.md``); for ``rtl``.",
    ),
    Option(
        "batch",
        Key("Batch", "batch", checks.read_batch, (1,), None),
        None,
        Flag(int, (), None, None, "Samples that share each load of weights: the circuit computes so many together."),
        "samples that the circuit computes together, with one load of weights (``docs/large-networks.md``); for ``rtl``.",
    ),
    Option(
        "estimates",
        Key("Estimates", "estimates", read_correction, None, ".json"),
        None,
        Flag(str, (), "FILE.json", None, "The file of calibrate, which corrects estimates of areas."),
        "a file of ``bitsmith calibrate``: estimates of areas follow circuits that were built, and say how far they are off.",
    ),
    Option(
        "backend",
        Key("Backend", "backend", checks.read_backend, None, None),
        "rtl",
        Flag(str, (), BACKENDS, None, "rtl, or an HLS tool: vitis, oneapi, ..."),
        "``rtl``, or a vendor's tool for HLS C++, such as ``vitis`` or ``oneapi``: see :data:`bitsmith.backends.BACKENDS`.",
    ),
    Option(
        "project_name",
        Key("ProjectName", "project_name", checks.read_name, None, None),
        None,
        Flag(str, (), None, None, "Name of the circuit; by default that of the model's file."),
        "name of the circuit's top module; by default that of the model's file, ``myproject`` for a live model.",
    ),
    Option(
        "check",
        None,
        "auto",
        Flag(bool, (), None, None, "Compare with the framework's own outputs; by default where that costs little."),
        "compare the float model with its framework's own outputs: of live models and ONNX (``'auto'``), of everything "
        "(``True``, which loads Keras or PyTorch for a file), or not (``docs/fidelity.md``).",
    ),
    Option(
        "strict",
        Key("Strict", "strict", boolean, None, None),
        False,
        Flag(bool, ("--strict",), None, None, "Fail if the circuit is not what the model is."),
        "raise where there would be a ``FidelityWarning``.",
    ),
    Option(
        "override",
        Key("Override", "override", boolean, None, None),
        False,
        Flag(bool, ("--override",), None, None, "Formats of single layers replace the quantizers of the model."),
        "formats in ``config`` for single layers replace quantizers of the model, which is an error otherwise.",
    ),
    Option(
        "allow_approximate",
        Key("AllowApproximate", "allow_approximate", boolean, None, None),
        False,
        Flag(bool, ("--allow-approximate",), None, None, "Allow approximate translations."),
        "allow approximate translations of what cannot be translated exactly; notes say which, and so does the first prediction.",
    ),
    Option(
        "rounding",
        None,
        None,
        Flag(str, (), None, None, "Rounding of dense layers of TensorFlow Lite: single, or double as before 2.20."),
        "of fully connected layers of TensorFlow Lite: ``single``, as today's interpreter does (the default), or ``double``, as "
        "TensorFlow 2.19 and older do (``docs/tflite.md``).",
    ),
    Option(
        "fit",
        None,
        False,
        Flag(bool, ("--fit",), None, None, "Take fewer bits or reuse factors if the circuit does not fit the part."),
        "if the circuit would not fit the part, take the most exact ``bits`` that fit (if you gave none), or else reuse factors.",
    ),
    Option(
        "version",
        Key("Version", "version", checks.read_version, None, None),
        None,
        None,
        "the version of your design, for reports.",
    ),
    Option(
        "bus_input",
        Key("BusInput", "bus_input", bus_format, None, None),
        None,
        None,
        "the format of words that the driver of a board takes as integers.",
    ),
    Option(
        "bus_output",
        Key("BusOutput", "bus_output", bus_format, None, None),
        None,
        None,
        "the format of words that the driver of a board gives as integers.",
    ),
    Option(
        "output_predictions",
        Key("OutputPredictions", "output_predictions", checks.read_path, None, ""),
        None,
        None,
        "accepted for other tools' files: the emulator gives the expected outputs.",
    ),
    Option(
        "write_weights_txt",
        Key("WriterConfig.WriteWeightsTxt", "write_weights_txt", boolean, None, None),
        False,
        None,
        "the values of all trained tensors are written as texts, too, into the project's folder ``weights``.",
    ),
    Option(
        "write_tar",
        Key("WriterConfig.WriteTar", "write_tar", boolean, None, None),
        False,
        None,
        "the project folder is packed as ``<output_dir>.tar.gz`` when it has been written.",
    ),
)
"""In the order in which help and pages list them."""

MODEL_ARGUMENTS: Mapping[str, str] = {
    option.name: option.key.path.removeprefix(_OF_MODEL)
    for option in OPTIONS
    if option.key is not None and option.key.path.startswith(_OF_MODEL) and option.name != "bits"
}
"""Keys of the section ``Model``, by the arguments that say them; the budget is read in forms of its own."""

DEFAULTS: Mapping[str, object] = {option.name: option.default for option in OPTIONS}
