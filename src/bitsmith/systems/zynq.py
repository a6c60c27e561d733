"""Boards with an AMD processing system: a block design with DMA engines, its bitstream, and an overlay for PYNQ."""

from __future__ import annotations

from bitsmith.devices import Zynq
from bitsmith.systems.system import (
    EXPORT,
    FOLDER,
    Core,
    Step,
    System,
    core_files,
    core_settings,
    core_steps,
    software,
    tcl_settings,
    template,
)

_MOST_STREAMS = 15
"""Ports of a SmartConnect: one to the registers of each engine and of the circuit, one to the memory from each stream."""

_INSTALL = "Vivado is AMD's (the Standard edition has the parts of small boards)"


def zynq_system(core: Core, board: Zynq) -> System:
    """The system of ``core`` on ``board``.

    Raises:
        ConfigError: too many streams.
    """
    core.check_streams(_MOST_STREAMS)
    top = core.top
    title = f"Written by {core.interface.title.tool}, project {core.interface.title.digest}, for {board.name}."
    settings = {
        **core_settings(core, board.part.name),
        "board_part": board.board_part,
        "connections": tuple(board.connections.split()),
        "processor": board.processor.value,
    }
    products = {"Bitstream": f"{EXPORT}/{top}.bit", "Hand-off": f"{EXPORT}/{top}.hwh"}
    script = f"{FOLDER}/zynq.tcl"
    return System(
        files={
            **core_files(core),
            script: template("zynq.tcl"),
            f"{FOLDER}/settings.tcl": tcl_settings(title, settings),
            **software("overlay.py", core),
        },
        steps=(
            *core_steps(core),
            Step(
                (("vivado",),),
                ("-mode", "batch", "-nojournal", "-nolog", "-source", script),
                (*products.values(), f"{EXPORT}/{top}.xsa"),
            ),
        ),
        products=products,
        board=board.name,
        install=_INSTALL,
    )
