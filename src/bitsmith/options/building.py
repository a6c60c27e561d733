"""All options of a build. A new one is added here: its record, its type, and its field.

From the records follow the arguments of :meth:`bitsmith.Model.build` and their documentation, the options of the command
``bitsmith build``, and the page ``docs/options.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from bitsmith.options.option import Flag, Option


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
    bitfile: bool
    force: bool
    fit: bool
    tool: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Values of all options of a build; None leaves a stage to the backend."""

    reset: bool = False
    csim: bool | None = None
    synth: bool | None = None
    cosim: bool | None = None
    trace: bool = False
    validation: bool = False
    export: bool = False
    vsynth: bool = False
    fifo_opt: bool = False
    post_synth: bool = False
    pnr: bool = False
    bitstream: bool = False
    bitfile: bool = False
    force: bool = False
    fit: bool = False
    tool: str | None = None


BUILD_OPTIONS: Sequence[Option] = (
    Option(
        "synth",
        None,
        None,
        Flag(bool, (), None, None, "Synthesize; for HLS C++ by the vendor's tool."),
        "map to the part's cells with Yosys and count them; for C++, the vendor's high-level synthesis. By default True for "
        "``rtl``, and for C++ if the tool is there; otherwise the report's notes say how to start it.",
    ),
    Option(
        "cosim",
        None,
        None,
        Flag(bool, (), None, None, "Compare the circuit with the emulator, bit for bit."),
        "compare the circuit with the emulator, every output bit, and measure latency and initiation interval; for C++, on up to "
        "100 samples by the vendor's co-simulation, implying ``synth``. By default True for ``rtl``.",
    ),
    Option(
        "trace",
        None,
        False,
        Flag(bool, ("--trace",), None, None, "Write waveforms of the first cycles, for GTKWave or Surfer."),
        "write waveforms of the first 2,000 cycles of the co-simulation to ``cosim/waves.vcd``, which GTKWave and Surfer open. "
        "For ``rtl``.",
    ),
    Option("validation", None, False, None, "as ``cosim``, which always compares."),
    Option(
        "csim",
        None,
        None,
        Flag(bool, (), None, None, "Compile HLS C++ and compare it with the emulator."),
        "compile the C++ with g++ and compare it with the emulator, every output bit; no vendor's tool is needed. By default "
        "True. Has no effect on ``rtl``.",
    ),
    Option(
        "export",
        None,
        False,
        Flag(bool, ("--export",), None, None, "Pack the vendor's circuit for other designs."),
        "pack the vendor's circuit for use in other designs. Implies ``synth``.",
    ),
    Option(
        "vsynth",
        None,
        False,
        Flag(bool, ("--vsynth",), None, None, "Logic synthesis of the vendor's circuit."),
        "the vendor's logic synthesis of the circuit, which counts cells. Implies ``synth``.",
    ),
    Option(
        "post_synth",
        None,
        False,
        Flag(bool, ("--post-synth",), None, None, "Compare the netlist after synthesis with the emulator, too."),
        "compare the netlist that Yosys makes with the emulator, too, every output bit: for ``rtl`` on ECP5 and iCE40. Implies "
        "``synth``.",
    ),
    Option("fifo_opt", None, False, None, "noted; the schedule gives the depths of all FIFOs."),
    Option(
        "pnr",
        None,
        False,
        Flag(bool, ("--pnr",), None, None, "Place and route, which measures Fmax."),
        "place and route, which measures Fmax: with nextpnr (Lattice), or by the vendor. Implies ``synth`` and ``vsynth``.",
    ),
    Option(
        "bitstream",
        None,
        False,
        Flag(bool, ("--bitstream",), None, None, "Make a configuration file for the part."),
        "a configuration file for the board: by open tools where it has a serial port, which implies ``synth``, else by the "
        "vendor's (``docs/boards.md``).",
    ),
    Option("bitfile", None, False, None, "the same, as other tools call it."),
    Option(
        "force",
        None,
        False,
        Flag(bool, ("--force",), None, None, "Run even what is estimated not to fit the part."),
        "run even what is estimated not to fit the part.",
    ),
    Option(
        "fit",
        None,
        False,
        Flag(bool, ("--fit",), None, None, "Take reuse factors if the circuit does not fit the part."),
        "take reuse factors, which change no result, if the circuit does not fit otherwise; the report's notes say which. "
        "``convert(fit=True)`` tries fewer bits first.",
    ),
    Option(
        "tool",
        None,
        None,
        Flag(str, (), None, None, "A vendor's logic tool for the circuit: vivado, quartus or radiant."),
        "'vivado', 'quartus' or 'radiant': that vendor's tool in place of Yosys and nextpnr, for ``rtl``. Its project is always "
        "written; ``synth`` is by default True if the tool is there.",
    ),
    Option(
        "reset",
        None,
        False,
        Flag(bool, ("--reset",), None, None, "Run stages again even if their results still hold."),
        "run stages again even if their results still hold.",
    ),
)
"""In the order in which help and pages list them."""
