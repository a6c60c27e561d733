"""The part of a board's system that is C++: the circuit with AXI4-Streams for DMA engines."""

from collections.abc import Mapping
from dataclasses import replace

from bitsmith.building.csim import HlsCode
from bitsmith.building.system import core_of, transport_of
from bitsmith.building.verification import selftest_frame
from bitsmith.config.values import AXI_MASTER
from bitsmith.devices.system import Card, SocFpga, SystemBoard
from bitsmith.errors import ConfigError
from bitsmith.hls.axi import WIDEST_BYTES, axi_files, axi_name, memory_files, memory_names, stream_port
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.dialect import IpTool
from bitsmith.hls.project import HlsProject
from bitsmith.rtl.beats import with_beats
from bitsmith.rtl.driver import DrivenCircuit, driver
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.writer import Title
from bitsmith.systems.bare_metal import bare_metal
from bitsmith.systems.system import Core
from bitsmith.version import __version__


def hls_core(code: HlsCode, board: SystemBoard) -> tuple[Core, Mapping[str, str]]:
    """A circuit with streams of beats, and the files for that beside its own.

    Raises:
        ConfigError: a compiler whose circuits cannot be put into the board's system.
    """
    job, project, tool = code.job, code.project, code.dialect.ip
    if tool is None or not _takes(board, tool):
        able = [name for name, dialect in DIALECTS.items() if dialect.ip is not None and _takes(board, dialect.ip)]
        raise ConfigError(
            f"{board.name} with backend {code.dialect.name!r}",
            where="Board",
            accepted=f"backend {' or '.join(map(repr, ('rtl', *able)))}",
        )
    digest = job.program_digest[:16]
    interface = hls_interface(project, board.bus_bytes, digest)
    title = f"// Written by {interface.title.tool}, project {digest}."
    in_memory = job.target.interface == AXI_MASTER and board.memory_bytes is not None
    write = memory_files if in_memory else axi_files
    files = write(project, code.dialect.streams, title, board.bus_bytes)
    frame = selftest_frame(job.program)
    driven = DrivenCircuit(job.program, interface, {}, 1, WIDEST_BYTES, registers=False, frame=frame)
    narrow = with_beats(interface, WIDEST_BYTES)
    core = core_of(job.target, project.top, narrow, tool, tuple(files), driver(driven), axi_name(project.top))
    if in_memory:
        return replace(core, memory_ports=tuple(memory_names(project).values())), files
    return replace(core, bare_metal=bare_metal(driven, transport_of(board))), files


def _takes(board: SystemBoard, tool: IpTool) -> bool:
    """Return True if the board's system takes an IP of the tool."""
    return not isinstance(board, SocFpga) and (tool.kernels or not isinstance(board, Card))


def hls_interface(project: HlsProject, bus_bytes: int, digest: str) -> Interface:
    """The streams of ``<top>_axi``."""
    inputs, outputs = (
        tuple(stream_port(port, bus_bytes) for port in ports) for ports in (project.inputs, project.outputs)
    )
    return Interface(project.top, inputs, outputs, 0, 0, Title(f"bitsmith {__version__}", digest))
