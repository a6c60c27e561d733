"""Intel's boards with a hard processor: a Platform Designer system with DMA engines, and the Quartus project around it."""

from dataclasses import replace

from bitsmith.devices.system import SocFpga
from bitsmith.systems.system import EXPORT, FOLDER, Core, Step, System, assembled, core_settings, template

_MOST_STREAMS = 16
_INSTALL = "Quartus Prime Standard or Lite is Intel's, with Platform Designer"


def soc_fpga_system(core: Core, board: SocFpga) -> System:
    """The system of ``core``, whose streams are Avalon-ST, on ``board``.

    Raises:
        ConfigError: too many streams.
    """
    core.check_streams(_MOST_STREAMS)
    system = f"{core.top}_soc"
    qsys, bits = f"{FOLDER}/{system}.qsys", f"{EXPORT}/{core.top}.rbf"
    qip = f"{FOLDER}/{system}/synthesis/{system}.qip"
    generated = (f"--output-directory={FOLDER}/{system}", "--synthesis=VERILOG", "--search-path=rtl,$", qsys)
    clock = f"create_clock -name clk -period {1e9 / board.clock_hz:g} [get_ports clk_clk]\n"
    locked = {f"rtl/{name}": template(name) for name in ("bitsmith_locked.sv", "bitsmith_locked_hw.tcl")}
    made_system = assembled(
        core,
        board.name,
        settings={
            **core_settings(core, board.part.name),
            "family": board.family,
            "board_hz": board.clock_hz,
            "clock_pin": board.clock,
            "io_standard": board.io_standard,
            "memory_settings": tuple(word for setting in board.memory for word in setting),
            "inputs": _avalon(core.inputs, "s_axis", "in"),
            "outputs": _avalon(core.outputs, "m_axis", "out"),
        },
        templates=("soc.tcl", "quartus.tcl"),
        files={"soc.sdc": f"{clock}derive_pll_clocks\nderive_clock_uncertainty\n"},
        host="soc_fpga.py",
        steps=(
            Step((("qsys-script",),), ("--search-path=rtl,$", f"--script={FOLDER}/soc.tcl"), (qsys,)),
            Step((("qsys-generate",),), generated, (qip,)),
            Step((("quartus_sh", "-t"),), (f"{FOLDER}/quartus.tcl",), (bits,)),
        ),
        products={"Bitstream": bits},
        install=_INSTALL,
    )
    return replace(made_system, files={**made_system.files, **locked})


def _avalon(streams: tuple[tuple[str, int], ...], side: str, way: str) -> tuple[tuple[str, int], ...]:
    """The names that streams have with Avalon-ST."""
    return tuple((way + name.removeprefix(side), size) for name, size in streams)
