"""All options of a build. A new one is added here: its field with its flag and meaning, and its type as an argument.

From the records follow the arguments of :meth:`bitsmith.Model.build` and their documentation, the options of the command
``bitsmith build``, and the page ``docs/options.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, TypedDict, TypeVar, cast, get_type_hints

from bitsmith.errors import ConfigError
from bitsmith.options.option import Flag, Option
from bitsmith.options.signature import taking

_Function = TypeVar("_Function", bound=Callable[..., object])

FAMILIAR: Mapping[str, str] = {
    "bitfile": "bitstream",
    "cont_if_large_area": "force",
    "fpga": "pnr",
    "fpgasynth": "vsynth",
    "hw": "synth",
    "rtl_synth": "vsynth",
    "sw_compile": "csim",
}
"""Arguments that builds of hls4ml's backends have, and the options that they are here."""

BUILD_TYPES: Mapping[str, str] = {"fpga_emu": "csim", "report": "synth", "fpga_sim": "cosim", "fpga": "vsynth"}
"""Values of ``build_type``, which hls4ml's builds for oneAPI have, and the options that are True with them."""

IDLE: Mapping[str, tuple[Sequence[object] | None, str]] = {
    "bup": ((False,), "all layers are synthesized together"),
    "da": ((False,), "Design Analyzer is started by hand"),
    "export_stitched_design": ((False,), "the model before split is the whole circuit, which build(export=True) packs"),
    "log_level": (None, "build(progress=print) shows each line that a tool writes"),
    "log_to_stdout": (None, "build(progress=print) shows each line that a tool writes"),
    "max_workers": (None, "parts are built one after another"),
    "power": ((False,), "no step of the project estimates power"),
    "ran_frame": (None, "build(inputs=...) has the frames of simulations"),
    "run": (None, "csim=True runs what it compiles"),
    "sim_stitched_design": ((False,), "the model before split is the whole circuit, which build(cosim=True) simulates"),
    "skip_preqs": (None, "steps whose inputs have not changed are not run again"),
    "stitch_design": ((False,), "the model before split is the whole circuit, and compose makes one of other models"),
    "sw_opt": ((False,), "no step of the project estimates power"),
    "verilog": ((True,), "the circuit is written in Verilog"),
    "vhdl": ((False,), "the circuit is written in Verilog"),
}
"""Arguments that builds of hls4ml's backends have and that do nothing here: the values that are accepted, None if all; why."""


class BuildOptions(TypedDict, total=False):
    """Options of a build, as arguments."""

    reset: bool
    csim: bool | None
    synth: bool | None
    cosim: bool | None
    trace: bool
    validation: bool
    export: bool
    vsynth: bool
    fifo_opt: bool
    post_synth: bool
    pnr: bool
    bitstream: bool
    force: bool
    fit: bool
    tool: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Values of all options of a build, in the order in which help and pages list them; None leaves a stage to the backend.

    With each stand its flag, or None, and its meaning, as in :class:`Option`.
    """

    synth: Annotated[
        bool | None,
        Flag(bool, (), None, None, "Synthesize; for HLS C++ by the vendor's tool."),
        "map to the part's cells with Yosys and count them; for C++, the vendor's high-level synthesis. By default True for "
        "``rtl``, and for C++ if the tool is there; otherwise the report's notes say how to start it.",
    ] = None
    cosim: Annotated[
        bool | None,
        Flag(bool, (), None, None, "Compare the circuit with the emulator, bit for bit."),
        "compare the circuit with the emulator, every output bit, and measure latency and initiation interval; for C++, on up "
        "to 100 samples by the vendor's co-simulation, implying ``synth``. By default True for ``rtl``.",
    ] = None
    trace: Annotated[
        bool,
        Flag(bool, ("--trace",), None, None, "Write waveforms of the first cycles, for GTKWave or Surfer."),
        "write waveforms of the first 2,000 cycles of the co-simulation to ``cosim/waves.vcd``, which GTKWave and Surfer open. "
        "For ``rtl``.",
    ] = False
    validation: Annotated[bool, None, "as ``cosim``, which always compares."] = False
    csim: Annotated[
        bool | None,
        Flag(bool, (), None, None, "Compile HLS C++ and compare it with the emulator."),
        "compile the C++ with g++ and compare it with the emulator, every output bit; no vendor's tool is needed. By default "
        "True. Has no effect on ``rtl``.",
    ] = None
    export: Annotated[
        bool,
        Flag(bool, ("--export",), None, None, "Pack the vendor's circuit for other designs."),
        "pack the vendor's circuit for use in other designs. Implies ``synth``.",
    ] = False
    vsynth: Annotated[
        bool,
        Flag(bool, ("--vsynth",), None, None, "Logic synthesis of the vendor's circuit."),
        "the vendor's logic synthesis of the circuit, which counts cells. Implies ``synth``.",
    ] = False
    post_synth: Annotated[
        bool,
        Flag(bool, ("--post-synth",), None, None, "Compare the netlist after synthesis with the emulator, too."),
        "compare the netlist that Yosys makes with the emulator, too, every output bit: for ``rtl`` on ECP5 and iCE40. Implies "
        "``synth``.",
    ] = False
    fifo_opt: Annotated[bool, None, "noted; the schedule gives the depths of all FIFOs."] = False
    pnr: Annotated[
        bool,
        Flag(bool, ("--pnr",), None, None, "Place and route, which measures Fmax."),
        "place and route, which measures Fmax: with nextpnr (Lattice), or by the vendor. Implies ``synth`` and ``vsynth``.",
    ] = False
    bitstream: Annotated[
        bool,
        Flag(bool, ("--bitstream",), None, None, "Make a configuration file for the part."),
        "a configuration file for the board: by open tools where it has a serial port, which implies ``synth``, else by the "
        "vendor's (``docs/boards.md``).",
    ] = False
    force: Annotated[
        bool,
        Flag(bool, ("--force",), None, None, "Run even what is estimated not to fit the part."),
        "run even what is estimated not to fit the part.",
    ] = False
    fit: Annotated[
        bool,
        Flag(bool, ("--fit",), None, None, "Take reuse factors if the circuit does not fit the part."),
        "take reuse factors, which change no result, if the circuit does not fit otherwise; the report's notes say which. "
        "``convert(fit=True)`` tries fewer bits first.",
    ] = False
    tool: Annotated[
        str | None,
        Flag(str, (), None, None, "A vendor's logic tool for the circuit: vivado, quartus or radiant."),
        "'vivado', 'quartus' or 'radiant': that vendor's tool in place of Yosys and nextpnr, for ``rtl``. Its project is always "
        "written; ``synth`` is by default True if the tool is there.",
    ] = None
    reset: Annotated[
        bool,
        Flag(bool, ("--reset",), None, None, "Run stages again even if their results still hold."),
        "run stages again even if their results still hold.",
    ] = False

    def __post_init__(self) -> None:
        for option in fields(self):
            value, kind = getattr(self, option.name), _HINTS[option.name].__origin__
            if isinstance(True, kind) and not isinstance(value, kind):
                or_default = ", or None for the default" if option.default is None else ""
                raise ConfigError(f"{option.name}={value!r}", where="build", accepted=f"True or False{or_default}")


_HINTS = get_type_hints(Asked, include_extras=True)
BUILD_OPTIONS: Sequence[Option] = tuple(
    Option(option.name, None, option.default, *_HINTS[option.name].__metadata__) for option in fields(Asked)
)


def building(function: _Function) -> _Function:
    """A decorator of functions that build: they take all options of a build, also by the names that hls4ml has for them."""
    taken = taking(BuildOptions, BUILD_OPTIONS)(function)

    @wraps(taken)
    def build(*operands: object, **named: object) -> object:
        return taken(*operands, **_own(named))

    return cast("_Function", build)


def _own(named: Mapping[str, object]) -> dict[str, object]:
    """The same arguments by their names here.

    Raises:
        ConfigError: an argument of hls4ml asks for a step that builds do not have.
    """
    own = {name: value for name, value in named.items() if name not in FAMILIAR and name not in IDLE}
    for name, (accepted, reason) in IDLE.items():
        if name in named and accepted is not None and named[name] not in accepted:
            values = " or ".join(map(repr, accepted))
            raise ConfigError(f"{name}={named[name]!r}, while {reason}", where="build", accepted=f"{name}={values}")
    for name, option in FAMILIAR.items():
        if name in named:
            own[option] = named[name] or own.get(option, False)
    if (asked := own.pop("build_type", None)) is not None:
        if asked not in BUILD_TYPES:
            raise ConfigError(f"build_type={asked!r}", where="build", accepted=", ".join(map(repr, BUILD_TYPES)))
        own[BUILD_TYPES[str(asked)]] = True
    return own
