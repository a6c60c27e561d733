"""Boards with an AMD processing system: a block design with DMA engines, its bitstream, and an overlay for PYNQ."""

from bitsmith.devices.system import Zynq
from bitsmith.errors import ConfigError
from bitsmith.systems.system import EXPORT, FOLDER, Core, Step, System, assembled, core_settings, core_steps

_MOST_STREAMS = 15
"""Ports of a SmartConnect: one to the registers of each engine and of the circuit, one to the memory from each stream."""

_INSTALL = "Vivado is AMD's (the Standard edition has the parts of small boards)"


def zynq_system(core: Core, board: Zynq) -> System:
    """The system of ``core`` on ``board``.

    Raises:
        ConfigError: too many streams, or a clock that the processor does not give.
    """
    core.check_streams(_MOST_STREAMS)
    if core.clock_mhz > (most := board.processor.most_mhz):
        raise ConfigError(
            f"a clock of {core.clock_mhz:g} MHz from the processor of {board.name}",
            where="ClockPeriod",
            accepted=f"at least {1e3 / most:g} ns ({most:g} MHz)",
        )
    products = {"Bitstream": f"{EXPORT}/{core.top}.bit", "Hand-off": f"{EXPORT}/{core.top}.hwh"}
    script = ("-mode", "batch", "-nojournal", "-nolog", "-source", f"{FOLDER}/zynq.tcl")
    return assembled(
        core,
        board.name,
        settings={
            **core_settings(core, board.part.name),
            "board_part": board.board_part,
            "connections": tuple(board.connections.split()),
            "processor": board.processor.value,
            "memory_ports": tuple(f"m_axi_{name}" for name in core.memory_ports),
        },
        templates=("zynq.tcl",),
        host="overlay.py",
        steps=(*core_steps(core), Step((("vivado",),), script, (*products.values(), f"{EXPORT}/{core.top}.xsa"))),
        products=products,
        install=_INSTALL,
    )
