"""Keys of other tools that mean nothing here: which there are, why, and the one note that lists those of a configuration."""

from collections.abc import Iterable, Mapping

from bitsmith.config.reading import Idle, Inert, Problems, Section

BRAM_FACTOR = 1_000_000_000
"""The other tools' default: no weights in block memory."""

_MOST_PLACES = 4


def idle_notes(idle: Iterable[Idle]) -> tuple[str, ...]:
    """One note that lists keys without effect, or none."""
    owners: dict[tuple[str, str], list[str]] = {}
    for each in idle:
        found = owners.setdefault((each.key, each.why), [])
        if each.owner and each.owner not in found:
            found.append(each.owner)
    told = [f"{key}{_of(places)} ({why})" for (key, why), places in owners.items()]
    return (f"Without effect in the configuration: {'; '.join(told)}.",) if told else ()


def _of(places: list[str]) -> str:
    if not places:
        return ""
    more = len(places) - _MOST_PLACES
    return f" of {', '.join(places[:_MOST_PLACES])}" + (f" and {more} more" if more > 0 else "")


_FOLDING = "ReuseFactor is what trades time against multipliers"
_UNROLLED = "steps share hardware as ReuseFactor says"
_PARTS = ("Forward", "Backward", "ForwardRecurrent", "BackwardRecurrent", "Depthwise", "Pointwise")
_PASSES = "the order of the passes is fixed"
_TABLES = "both tables of a softmax have the size that TableSize says"
_SWITCH = "a switch of another tool"

_FIFO_FLOWS = tuple([f"{tool}:fifo_depth_optimization"] for tool in ("vitis", "vivado", "oneapi", "catapult"))
"""All FIFOs are as deep as the schedule needs."""

_SHARED_INERT = {
    "TargetCycles": Inert(_FOLDING, (None,)),
    "Compression": Inert("zero weights never cost hardware, compressed or not", (False, True)),
    "ConvImplementation": Inert("a streamed convolution has line buffers, any other is wiring", ("LineBuffer",)),
}
MODEL_INERT: Mapping[str, Inert] = _SHARED_INERT | {
    "PipelineStyle": Inert("all is pipelined; IOType says whether data flow token by token", ("auto", "pipeline")),
    "PipelineInterval": Inert(_FOLDING, (1, None)),
    "BramFactor": Inert("tables of weights become block memory by their size", (BRAM_FACTOR,)),
    "ChannelsLastConversion": Inert("inputs and results have the model's own layout", ("full",)),
    "TransposeOutputs": Inert(_SWITCH, (True, False)),
    "BitExact": Inert("precision 'auto' already keeps quantized models exact", (None, False)),
    **dict.fromkeys(("AllowDAFallback", "AllowV2Fallback"), Inert(_SWITCH, (False, True))),
}
LAYER_INERT: Mapping[str, Inert] = _SHARED_INERT | {
    "Static": Inert("states begin again with each sample"),
    **dict.fromkeys(("Direction", "Algorithm"), Inert("the model says it")),
    **dict.fromkeys(("RecurrentReuseFactor", "TimeStepLoopParallelism"), Inert(_UNROLLED)),
    **{f"{part}ReuseFactor": Inert("all parts of a layer have its ReuseFactor") for part in _PARTS},
    "TableRangePower2": Inert("TableRange says it"),
    **dict.fromkeys(("ExpTableSize", "InvTableSize"), Inert(_TABLES, refused=True)),
}
SECTIONS_INERT: Mapping[str, Inert] = {
    "Flows": Inert(_PASSES, _FIFO_FLOWS, refused=True),
    **dict.fromkeys(("Optimizers", "SkipOptimizers"), Inert(_PASSES, refused=True)),
    "InputShape": Inert("give it to convert as input_shape", refused=True),
    "PytorchModel": Inert("give the model to convert", refused=True),
}

_EXPECTED = Inert("the emulator gives the expected outputs", (None,))
_VENDOR = "it belongs to a vendor's flow and has no counterpart here"
_AFTERWARDS = "another tool wrote it after a conversion; it is not a setting"
PROJECT_INERT: Mapping[str, Inert] = {
    **dict.fromkeys(("AcceleratorConfig", "SmartHLSPath", "FIFO", "Interface"), Inert(_VENDOR, (None,))),
    **dict.fromkeys(("FPGAFamily", "Technology", "Tech", "ASICLibs", "Driver"), Inert(_VENDOR)),
    **dict.fromkeys(("InputType", "OutputType"), Inert(_VENDOR)),
    "HyperoptHandshake": Inert(_VENDOR, (False,)),
    "TraceOutput": Inert("write it under HLSConfig.Model", (False,), refused=True),
    "ProjectDir": Inert("OutputDir is the project's folder", (None,)),
    **dict.fromkeys(("InputShapes", "OutputShapes", "Stamp"), Inert(_AFTERWARDS)),
}
WRITER_INERT: Mapping[str, Inert] = {
    "Namespace": Inert("the generated C++ has the project's name for its namespace", (None,)),
    "WriteEmulationConstants": Inert(_VENDOR, (False, True)),
    "TBOutputStream": Inert(_VENDOR, ("both", "stdout", "file")),
}


def idle_of(arguments: Mapping[str, object]) -> tuple[Idle, ...]:
    """Those of other tools' arguments that ask for something.

    Raises:
        ConfigError: an unknown argument.
    """
    problems = Problems()
    known = {**PROJECT_INERT, **WRITER_INERT, **MODEL_INERT, "OutputDataTB": _EXPECTED}
    section = Section.read(arguments, "", (), problems, known)
    problems.finish()
    return tuple(section.idle)
