"""A board's system around a circuit: its files beside the circuit's, and the stage of the vendor's tools."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from bitsmith.building.design import Circuit
from bitsmith.building.job import Target, protection, reads_memory
from bitsmith.building.stages import Sections, Stage, together
from bitsmith.building.verification import selftest_frame
from bitsmith.config.precision import parse_precision
from bitsmith.config.values import MEMORIES, NO_MONITORS, has_ranges, is_monitored
from bitsmith.devices.blocks import MemoryBlock
from bitsmith.devices.board import Board, any_board
from bitsmith.devices.system import Card, SocFpga, SystemBoard, Zynq
from bitsmith.errors import ConfigError
from bitsmith.flows.run import Converted
from bitsmith.flows.system import SystemFlow
from bitsmith.hls.dialects.dialect import IpTool
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.passes.program.load import ParameterKey
from bitsmith.report.sections import Estimate, Files
from bitsmith.rtl import avalon_wrapper, bus_wrappers, library, packaging
from bitsmith.rtl.beats import beats, free_kernel, kernel_name, with_beats
from bitsmith.rtl.bus_wrappers import Text
from bitsmith.rtl.counters import counters, counters_cells, read_back_cells
from bitsmith.rtl.driver import DrivenCircuit, driver, image_file, images
from bitsmith.rtl.integration import memory_bench
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.memory_wrapper import master_names, memory, memory_name
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.packing import Raw
from bitsmith.rtl.protection import check_blocks, check_cells
from bitsmith.rtl.ranges import range_cells, watches
from bitsmith.systems.bare_metal import CARD, SOC_FPGA, ZYNQ, Transport, bare_metal
from bitsmith.systems.card import card_system
from bitsmith.systems.soc_fpga import soc_fpga_system
from bitsmith.systems.system import EXPORT, Core, System
from bitsmith.systems.zynq import zynq_system


def system_board(target: Target) -> SystemBoard | None:
    """The target's board, if it has a processor or is in a host."""
    found = any_board(target.board) if target.board is not None else None
    if isinstance(found, Card) and target.platform is not None:
        return replace(found, platform=target.platform)
    return None if found is None or isinstance(found, Board) else found


def system_of(
    target: Target, core_for: Callable[[SystemBoard], tuple[Core, Mapping[str, str | bytes]]]
) -> tuple[System, Mapping[str, str | bytes]] | None:
    """The system of the target's board around the core that is ``core_for`` for it, and the core's files; None without a system.

    Raises:
        ConfigError: too many streams.
    """
    board = system_board(target)
    if board is None:
        return None
    core, files = core_for(board)
    match board:
        case Zynq():
            return zynq_system(core, board), files
        case Card():
            return card_system(core, board), files
        case SocFpga():
            return soc_fpga_system(core, board), files
        case _:
            assert_never(board)


def rtl_core(
    circuit: Circuit,
    board: SystemBoard,
    target: Target,
    layouts: Mapping[ParameterKey, ModelLayout],
    samples: Sequence[Raw] | None,
) -> tuple[Core, Mapping[str, str | bytes]]:
    """A circuit with streams of beats, and the files for that beside its own; ``samples`` are what monitors expect."""
    interface = circuit.interface
    narrow = with_beats(interface, board.bus_bytes)
    in_memory = reads_memory(target)
    counts = has_counters(board, target)
    ranges = has_ranges(target.monitors)
    watched = watches(circuit.program, interface, samples, circuit.in_engines) if ranges else ()
    counted = counters(narrow, ranges=ranges) if counts else None
    module, wrappers, below = _memory(narrow, counted) if in_memory else _outside(narrow, board, counted)
    if counts:
        below = (*below, *library.COUNTERS_LIBRARY, *(library.RANGES_LIBRARY if ranges else ()))
    texts = {
        f"{Wrapper.AXIS.of(narrow.top)}.sv": beats(interface, board.bus_bytes, limits=counts, watched=watched),
        **wrappers,
    }
    names = (*circuit.wrapper_sources((*below, *library.BEATS_LIBRARY)), *texts)
    if isinstance(board, SocFpga):
        texts[f"{module}_hw.tcl"] = packaging.platform_designer_script(narrow, names, registers=True)
    frame, counted_hz = selftest_frame(circuit.program), 1e9 / target.clock_period_ns if counts else None
    driven = DrivenCircuit(
        *(circuit.program, interface, layouts, target.samples, board.bus_bytes),
        masters=in_memory,
        counted_hz=counted_hz,
        frame=frame,
        watched=watched,
    )
    core = core_of(target, interface.top, narrow, None, tuple(f"rtl/{name}" for name in names), driver(driven), module)
    files_in_c = bare_metal(driven, transport_of(board))
    core = replace(core, bare_metal=files_in_c, memory_ports=master_names(narrow) if in_memory else ())
    files = together(texts, library.library((*library.BEATS_LIBRARY, *below)))
    bench = memory_bench(interface, names) if in_memory else {}
    read = {f"{EXPORT}/{image_file(interface.top, port)}": data for port, data in images(interface, board.bus_bytes)}
    return core, together({f"rtl/{name}": content for name, content in files.items()}, bench, read)


def transport_of(board: SystemBoard) -> Transport:
    """Return how a driver in C reaches the circuit."""
    match board:
        case Zynq():
            return ZYNQ
        case Card():
            return CARD
        case SocFpga():
            return SOC_FPGA
        case _:
            assert_never(board)


def has_counters(board: SystemBoard | None, target: Target) -> bool:
    """Return True if the board's circuit in SystemVerilog counts what passes its streams."""
    return board is not None and target.monitors != NO_MONITORS


def watching(circuit: Circuit, target: Target, block: MemoryBlock) -> Sections:
    """The part of the estimate that counters, monitors and check bits take, about; none without them."""
    counted, checked = has_counters(system_board(target), target), circuit.interface.checked
    if not counted and not is_monitored(target.monitors, MEMORIES) and not checked:
        return ()
    parts = [read_back_cells(circuit.interface), check_cells(checked, protection(target))]
    if counted:
        parts.append(counters_cells(circuit.interface))
        if has_ranges(target.monitors):
            parts.append(range_cells(watches(circuit.program, circuit.interface, None, circuit.in_engines)))
    luts, ffs = (sum(column) for column in zip(*parts, strict=True))
    blocks = check_blocks(checked, protection(target), block)
    return (Estimate(counters_lut=luts, counters_ff=ffs, counters_bram=blocks or None),) if luts else ()


def _outside(
    narrow: Interface, board: SystemBoard, counted: Text | None
) -> tuple[str, Mapping[str, str], tuple[str, ...]]:
    """The module that the board's system instantiates, with registers and perhaps counters.

    Returns:
        Its name, files with its text and what it is made around, and the library below it.

    Raises:
        ConfigError: a circuit that needs a memory outside, which DMA engines are none of.
    """
    if narrow.loops:
        raise ConfigError(
            f"a circuit that writes tokens into memory {narrow.loops[0].kind.name!r} and reads them back",
            where="Board",
            accepted="a board with a Zynq, and interface='axi_master'",
        )
    inner = Wrapper.AXIL.of(narrow.top)
    files = {f"{inner}.v": bus_wrappers.axi_lite(narrow, counted)}
    match board:
        case Zynq():
            return inner, files, library.CONTROL_LIBRARY
        case Card():
            name = kernel_name(narrow)
            return name, files | {f"{name}.v": free_kernel(narrow)}, library.KERNEL_LIBRARY
        case SocFpga():
            name = Wrapper.AVALON.of(narrow.top)
            return name, files | {f"{name}.sv": avalon_wrapper.avalon(narrow, registers=True)}, library.BENCH_LIBRARY
        case _:
            assert_never(board)


def _memory(narrow: Interface, counted: Text | None) -> tuple[str, Mapping[str, str], tuple[str, ...]]:
    """The same with ports to memory."""
    name = memory_name(narrow)
    loops = library.SPANS_LIBRARY if narrow.loops else ()
    return name, {f"{name}.v": memory(narrow, counted)}, (*library.CONTROL_LIBRARY, *library.MEMORY_LIBRARY, *loops)


def core_of(
    target: Target,
    top: str,
    narrow: Interface,
    ip_tool: IpTool | None,
    sources: tuple[str, ...],
    text: str,
    module: str,
) -> Core:
    """The circuit ``top`` with the streams ``narrow`` and the driver ``text``, for ``target``."""
    period, percent = target.clock_period_ns, 100.0 * target.clock_uncertainty
    taken, given = (parse_precision(each) if each else None for each in (target.bus_input, target.bus_output))
    return Core(top, narrow, ip_tool, sources, text, module, period, percent, words=(taken, given))


def bitstream(system: System, needs: tuple[str, ...]) -> Stage:
    """Return the stage in which the vendor's tools make the bitstream."""
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
