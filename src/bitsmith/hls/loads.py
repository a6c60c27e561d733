"""Weights that can be loaded, in C++: memories between a port and those that take the weights as tokens.

A frame of such a port is a token that says whether weights follow, and then these, if so. So it is the port that says with which
frame new weights begin, and none waits for another (G. Kahn, Information Processing 74).
"""

from dataclasses import dataclass, replace

from bitsmith.dataflow.kinds import Rom, Sink, Source
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.hls.process_text import StreamType, token_lines
from bitsmith.hls.scope import Scope


@dataclass(frozen=True, slots=True)
class LoadPort(Process):
    """A port of weights: as many ``words`` follow the token of a frame if that says so."""

    words: int = 0


@dataclass(frozen=True, slots=True)
class KeptWeights(Process):
    """A constant memory that takes a token first, which says whether other words follow."""


def with_loads(network: Network) -> Network:
    """``network`` with a port for each memory that can be loaded."""
    places = dict[int, int]()
    processes = list[Process]()
    for number, process in enumerate(network.processes):
        args = tuple(OutputPort(places[one.process], one.port) for one in process.args)
        process = replace(process, args=args)
        if isinstance(process.kind, Rom) and process.kind.loaded is not None:
            loaded, (given,) = process.kind.loaded, process.results
            flag = Stream((1,), given.token)
            source = Source(f"{loaded.layer}_{loaded.name}_load", loaded)
            port = LoadPort(source, (), (), (flag,), process.layers, words=len(process.kind.words))
            process = KeptWeights(process.kind, (OutputPort(len(processes)),), (flag,), process.results, process.layers)
            processes.append(port)
        places[number] = len(processes)
        processes.append(process)
    return Network(tuple(processes))


def is_array(process: Process, *, parallel: bool) -> bool:
    """Return True if ``process`` is an array of the top function: with ``parallel`` boundaries are; weights come in tiles."""
    kind = process.kind
    return parallel and (isinstance(kind, Sink) or (isinstance(kind, Source) and kind.loaded is None))


def kept_step(scope: Scope, ends: tuple[StreamType, StreamType], memory: tuple[str, str, str], words: int) -> list[str]:
    """Step ``i`` of what takes a token that says whether others follow, and gives those of a memory, over and over.

    ``memory`` has the constant array of ``words`` at first, and statements that read and write ``item`` at the place ``next``.
    """
    (taken, out), (values, read, write) = ends, memory
    return [
        *token_lines(scope, out.token, "item"),
        f"const bool follows = loads && i <= {words};",
        *("if (i == 0 || follows) {", f"    item = {taken.taken('x0')};"),
        *("} else if (loads || holds) {", f"    {read}"),
        *("} else {", f"    kernels::constant<{out.size}>({values}[next], item.data);", "}"),
        *("if (i == 0) {", "    loads = item.data[0] != 0;", "    next = 0;", "} else {"),
        *("    if (follows) {", f"        {write}", "    }", f"    {out.given('item', 'y0')}"),
        *(f"    next = next == {words - 1} ? 0 : next + 1;", "}"),
        f"holds = holds || (loads && i == {out.tokens});",
    ]
