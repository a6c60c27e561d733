"""A board's system around a circuit: its files beside the circuit's, and the stage of the vendor's tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from bitsmith.build.design import Circuit
from bitsmith.build.job import Target
from bitsmith.build.stages import Sections, Stage
from bitsmith.devices import Board, Card, SocFpga, SystemBoard, Zynq, any_board
from bitsmith.errors import ConfigError
from bitsmith.flows.run import Converted
from bitsmith.flows.system import SystemFlow
from bitsmith.report.sections import Files
from bitsmith.rtl import bus_wrappers, library
from bitsmith.rtl.beats import beats, free_kernel, kernel_name, with_beats
from bitsmith.rtl.driver import driver
from bitsmith.rtl.interface import Interface
from bitsmith.systems import Core, Language, System, card_system, zynq_system


def system_board(target: Target) -> SystemBoard | None:
    """The target's board, if it has a processor or is in a host."""
    found = any_board(target.board) if target.board is not None else None
    if isinstance(found, Card) and target.platform is not None:
        return replace(found, platform=target.platform)
    return None if found is None or isinstance(found, Board) else found


def system_of(core: Core, board: SystemBoard) -> System:
    """The system of ``core`` on ``board``.

    Raises:
        ConfigError: too many streams.
    """
    match board:
        case Zynq():
            return zynq_system(core, board)
        case Card():
            return card_system(core, board)
        case SocFpga():
            raise ConfigError(f"{board.name} is not available yet", where="Board")
        case _:
            assert_never(board)


def rtl_core(made: Circuit, board: SystemBoard, target: Target) -> tuple[Core, Mapping[str, str]]:
    """A circuit with streams of beats, and the files for that beside its own."""
    interface = made.interface
    narrow, card = with_beats(interface, board.bus_bytes), isinstance(board, Card)
    module = kernel_name(made.top) if card else bus_wrappers.axi_lite_name(narrow.top)
    texts = {
        f"{library.axi_stream_name(narrow.top)}.sv": beats(interface, board.bus_bytes),
        f"{module}.v": free_kernel(narrow, module) if card else bus_wrappers.axi_lite(narrow),
    }
    below = library.BEATS_LIBRARY if card else (*library.CONTROL_LIBRARY, *library.BEATS_LIBRARY)
    names = (*made.wrapper_sources(below), *texts)
    text = driver(made.program, interface, board.bus_bytes, registers=not card)
    core = core_of(target, narrow, Language.RTL, tuple(f"rtl/{name}" for name in names), text, module)
    files = {**texts, **library.library(library.BEATS_LIBRARY)}
    return core, {f"rtl/{name}": content for name, content in files.items()}


def core_of(
    target: Target, narrow: Interface, language: Language, sources: tuple[str, ...], text: str, module: str
) -> Core:
    """A circuit with the streams ``narrow`` and the driver ``text``, for ``target``."""
    period, percent = target.clock_period_ns, 100.0 * target.clock_uncertainty
    return Core(target.project_name, narrow, language, sources, text, module, period, percent)


def bitstream(system: System, needs: tuple[str, ...]) -> Stage:
    """What goes to the board, by the vendor's tools."""
    flow = SystemFlow(system)

    def made() -> Converted[None, Sections]:
        return Converted(flow, lambda found: (Files(dict(system.products)),))

    return Stage(
        name="bitstream",
        title=system.board,
        find=flow.find,
        flow=made,
        needs=needs,
        options=tuple(text for item in sorted(system.files.items()) for text in item),
        log=flow.logs()[-1],
        rewritten=True,
    )
