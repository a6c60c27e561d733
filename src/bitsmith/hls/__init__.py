"""Core programs as C++ for high-level synthesis: one writer, one small kernel header per family of ops, thin dialects.

In: a program whose nodes carry the names of the user's layers. Out: the files of a project, as a value. Nothing here knows
a layer, runs a tool or writes a file.
"""

from dataclasses import replace

from bitsmith.dataflow.kinds import Outside
from bitsmith.errors import UnsupportedError
from bitsmith.hls.beats import token_beats
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.loads import with_loads
from bitsmith.hls.network import NetworkWriter
from bitsmith.hls.pipelines import scheduled
from bitsmith.hls.project import HlsProject, HlsTarget, Port
from bitsmith.hls.recurrence.rounds import in_rounds
from bitsmith.hls.writer import write
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import require_engines
from bitsmith.mapping.partition import partition
from bitsmith.passes.program.load import parameters

__all__ = ["HlsProject", "HlsTarget", "Port", "write", "write_project"]


def write_project(program: Program, directives: Directives, dialect: Dialect, target: HlsTarget) -> HlsProject:
    """The project of ``program``: all unrolled if the directives ask for nothing else, else a network of processes.

    Raises:
        RangeError: elements of one tensor that have no common format of a reasonable width.
        UnsupportedError: a cast that wraps in a range that is not that of a number format, or tokens in a memory outside.
    """
    require_engines(program, directives)
    if directives.unrolled(program):
        return write(program, dialect, target)
    directives = replace(directives, tables=False)
    network = in_rounds(partition(program, directives)) or partition(program, replace(directives, feedback=False))
    for process in network.processes:
        if isinstance(process.kind, Outside):
            raise UnsupportedError(
                f"a circuit in C++ that writes tokens into memory {process.kind.name!r} and reads them back",
                where="backend",
                accepted="backend='rtl'",
            )
    network = with_loads(network)
    # Weights from outside come in tiles, and so all that comes with them is in streams, unless ports of tensors are asked for.
    parallel = directives.parallel and dialect.streams.arrays and (dialect.arrays.vectors or not parameters(program))
    beats = token_beats(network, dialect.streams, parallel=parallel)
    plan = scheduled(network, dialect.streams.loops, beats)
    return NetworkWriter(network, plan, dialect, target, parallel=parallel).project()
