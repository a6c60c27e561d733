"""Writes a network of processes as a C++ project: a function per process, streams of tokens between them.

The files are those of :mod:`bitsmith.hls.writer`. The top function takes and gives streams of tokens (``io_stream``) or arrays
(``io_parallel``). All processes run at once in hardware, and one after another in C simulation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow import processes as kinds
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.schedule import Schedule, schedule
from bitsmith.dataflow.timing import Sequencer, Timing, is_monotone, timing
from bitsmith.errors import UnsupportedError
from bitsmith.hls.assembly import Parts, assembled, namespace
from bitsmith.hls.bench import BENCH_NAMES
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.names import identifier
from bitsmith.hls.process import Ends, boundary_text, copies_text, process_texts
from bitsmith.hls.project import HlsProject, HlsTarget, Port, TokenStream
from bitsmith.hls.scalar import common_format
from bitsmith.hls.scope import Scope
from bitsmith.hls.writer import write
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.load import parameters
from bitsmith.rtl.names import Names

_PIPELINE = 10
"""Cycles that pipelines of the vendors' making are taken to have; longer ones cost speed where branches meet, no more."""

_LEAST_DEPTH = 2
"""Places that all tools give to a stream that says nothing."""

_SUFFIXES: Mapping[type, str] = {
    kinds.Rom: "rom",
    kinds.FoldedProduct: "product",
    kinds.Window: "window",
    kinds.Reduce: "reduce",
    kinds.WidthConverter: "width",
    kinds.Reorder: "reorder",
    kinds.Interleave: "interleave",
    kinds.Scan: "scan",
}


def scheduled(network: Network) -> Schedule:
    """A schedule of the C++ of ``network``, for the depths of its streams.

    Its processes do what those of the plan do in the same order, but for one that writes a whole frame into a memory before
    it reads. So the method's argument holds: with these depths the streams lock up under no circumstances.
    """
    latencies = {
        number: _PIPELINE
        for number, process in enumerate(network.processes)
        if isinstance(process.kind, kinds.Map | kinds.FoldedProduct | kinds.Reduce)
    }
    return schedule(network, latencies, _timing)


def _timing(process: Process, latency: int) -> Timing:
    if not isinstance(process.kind, kinds.Reorder) or is_monotone(process.kind.source):
        return timing(process, latency)
    tokens, results = process.takes[0].tokens, process.results[0].tokens
    step = np.arange(1, tokens + results + 1)
    takes, fills = np.minimum(step, tokens).reshape(1, -1), np.maximum(step - tokens, 0).reshape(1, -1)
    return Timing((Sequencer(takes, takes, fills),))


def write_demanded(program: Program, directives: Directives, dialect: Dialect, target: HlsTarget) -> HlsProject:
    """The project of ``program``: all unrolled where nothing else is demanded, else a network of processes.

    Raises:
        RangeError, UnsupportedError: as of the two writers; or weights that are no constants.
    """
    for layer, name in parameters(program):
        raise UnsupportedError(
            f"{name} that is loaded or comes with each frame",
            where=f"layer {layer!r}",
            accepted="Weights: onchip; reloadable and external with backend 'rtl'",
        )
    if directives.unrolled(program):
        return write(program, dialect, target)
    network = partition(program, directives)
    return write_streams(network, scheduled(network), dialect, target, parallel=directives.parallel)


def write_streams(
    network: Network, plan: Schedule, dialect: Dialect, target: HlsTarget, *, parallel: bool
) -> HlsProject:
    """The project of ``network`` for the compiler of ``dialect``.

    Args:
        plan: has the depths of the streams.
        parallel: the top function takes arrays (``io_parallel``) and not streams of tokens.

    Raises:
        RangeError: elements of one tensor that have no common format of a reasonable width.
        UnsupportedError: a cast that wraps in a range that is no number format.
    """
    return _NetworkWriter(network, plan, dialect, target, parallel).project()


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream: its name in the top function, its type, its places; ``is_port``: it is a parameter."""

    name: str
    type_name: str
    depth: int
    is_port: bool


class _NetworkWriter:
    def __init__(self, network: Network, plan: Schedule, dialect: Dialect, target: HlsTarget, parallel: bool) -> None:
        self._network = network
        self._plan = plan
        self._target = target
        self._parallel = parallel
        self._top = identifier(target.top)
        self._space = namespace(self._top)
        self._scope = Scope(replace(dialect, in_layer=dialect.streams.in_function))
        self._locals = Names()
        for taken in (self._top, *BENCH_NAMES):
            self._locals.unique(taken)
        self._texts: list[str] = []
        self._declared: list[str] = []
        self._calls: list[str] = []
        self._ends: list[str] = []
        self._ports: dict[int, Port] = {}
        """By process."""
        # The last function of a layer, which gives its result, has the layer's very name.
        self._names = [self._function_name(process) for process in reversed(network.processes)][::-1]
        self._tokens = {
            OutputPort(number, port): self._token_type(number, port)
            for number, process in enumerate(network.processes)
            for port in range(len(process.results))
        }
        self._takes: dict[tuple[int, int], _Stream] = {}
        self._gives: dict[OutputPort, _Stream] = {}
        for number in (*network.sources, *network.sinks):
            self._port(number)
        for number, process in enumerate(network.processes):
            self._connect(number, process)
        for number, process in enumerate(network.processes):
            self._write(number, process)

    def project(self) -> HlsProject:
        """All files."""
        network, streams, scope = self._network, self._scope.dialect.streams, self._scope
        inputs, outputs = ([self._ports[number] for number in numbers] for numbers in (network.sources, network.sinks))
        if self._parallel:
            parameters = [f"const {port.declaration}" for port in inputs] + [port.declaration for port in outputs]
            head = scope.dialect.arrays.head(tuple(port.name for port in (*inputs, *outputs)))
        else:
            ports = [(port.name, port.stream.type_name) for port in (*inputs, *outputs) if port.stream]
            parameters = [streams.parameter.format(type=kind, name=name) for name, kind in ports]
            lines = [streams.port.format(name=name) for name, _ in ports]
            head = [line for line in "\n".join(lines).splitlines() if line]
        unused = [
            self._ports[number].name for number in network.sources if self._parallel and not self._readers(number)
        ]
        body = (*(f"(void){name};" for name in unused), *self._declared, *self._calls, *self._ends)
        parts = Parts(
            top=self._top,
            space=self._space,
            scope=scope,
            functions=tuple(self._texts),
            parameters=tuple(parameters),
            before_top=streams.before_top,
            head=(*streams.in_top, *head),
            body=body,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            unrolled=False,
        )
        return assembled(parts, self._target)

    def _function_name(self, process: Process) -> str:
        """A name made of the process's layers and of what it does with them."""
        layer = identifier("_".join(process.layers) or "network")
        match process.kind:
            case kinds.Source(name) | kinds.Sink(name):
                return self._scope.names.unique(f"{identifier(name)}_port")
            case kinds.Map():
                return self._scope.names.unique(layer)
            case _:
                return self._scope.names.unique(f"{layer}_{_SUFFIXES[type(process.kind)]}")

    def _token_type(self, number: int, port: int) -> Ends:
        """The types of a result's tokens; their stream is not known yet."""
        process, scope = self._network.processes[number], self._scope
        stream, kind = process.results[port], process.kind
        name = identifier(kind.name) if isinstance(kind, kinds.Source) else self._names[number]
        scalar = common_format(stream.token)
        element = scope.typedef(f"{name}_t", scalar)
        token = scope.named(f"{name}_token_t", f"kernels::token<{element}, {max(stream.token.size, 1)}>")
        return Ends("", token, element, scalar, stream.token.shape, stream.tokens)

    def _readers(self, number: int, port: int = 0) -> list[tuple[int, int]]:
        """Operands that are result ``port`` of process ``number``."""
        return [
            (consumer, operand)
            for consumer, process in enumerate(self._network.processes)
            for operand, source in enumerate(process.args)
            if source == OutputPort(number, port)
        ]

    def _stream(self, name: str, token: str, depth: int, spelling: str = "") -> _Stream:
        """A new stream between processes, or of ``spelling``."""
        kind = self._scope.names.unique(f"{name}_stream_t")
        template = spelling or self._scope.dialect.streams.type
        self._scope.typedefs.append(f"typedef {template.format(token=token, name=kind, depth=depth)} {kind};")
        return _Stream(self._locals.unique(f"{name}_tokens"), kind, depth, False)

    def _port(self, number: int) -> None:
        """The parameter of the top function that a boundary is."""
        process, streams = self._network.processes[number], self._scope.dialect.streams
        assert isinstance(process.kind, kinds.Source | kinds.Sink)
        is_entry = isinstance(process.kind, kinds.Source)
        ends = self._tokens[OutputPort(number) if is_entry else process.args[0]]
        name = self._locals.unique(identifier(process.kind.name))
        port = Port(name, ends.tokens * ends.size, ends.scalar, f"{self._space}::{ends.element}")
        if not self._parallel:
            spelling = (streams.input if is_entry else streams.output) or streams.type
            stream = self._stream(identifier(process.kind.name), ends.token, ends.tokens, spelling)
            stream = replace(stream, name=name, is_port=True)
            if is_entry:
                self._gives[OutputPort(number)] = stream
            else:
                self._takes[number, 0] = stream
            local = self._locals.unique(f"tokens_{'in' if is_entry else 'out'}{len(self._ports)}")
            token, kind = (f"{self._space}::{part}" for part in (ends.token, stream.type_name))
            port = replace(port, stream=TokenStream(ends.tokens, token, kind, local))
        self._ports[number] = port

    def _connect(self, number: int, process: Process) -> None:
        """Streams behind a process: one if one reader needs its tokens, or one to a process that hands on copies."""
        for port in range(len(process.results)):
            source = OutputPort(number, port)
            readers = self._readers(number, port)
            token = self._tokens[source].token
            if self._parallel and isinstance(process.kind, kinds.Source) and not readers:
                continue
            given = self._gives.get(source)
            if len(readers) == 1:
                taken = self._takes.get(readers[0])
                if given is None or taken is None:
                    only = given or taken or self._inner(number, readers[0], token)
                    self._gives[source] = self._takes[readers[0]] = only
                    continue
            if given is None:
                given = self._stream(self._names[number], token, _LEAST_DEPTH)
                self._gives[source] = given
                self._declare(given)
            for reader in readers:
                if reader not in self._takes:
                    self._takes[reader] = self._inner(number, reader, token)

    def _inner(self, producer: int, reader: tuple[int, int], token: str) -> _Stream:
        """A new stream to an operand."""
        depth = max(_LEAST_DEPTH, self._plan.depth(*reader))
        stream = self._stream(f"{self._names[producer]}_to_{self._names[reader[0]]}", token, depth)
        self._declare(stream)
        return stream

    def _declare(self, stream: _Stream) -> None:
        streams = self._scope.dialect.streams
        self._declared += streams.between(f"{self._space}::{stream.type_name}", stream.name, stream.depth)

    def _write(self, number: int, process: Process) -> None:
        """The functions of a process and of copies of its results, and their calls."""
        name = self._names[number]
        takes = [
            replace(self._tokens[source], stream=self._takes[number, operand].type_name)
            for operand, source in enumerate(process.args)
        ]
        taken = [self._takes[number, operand].name for operand in range(len(process.args))]
        match process.kind:
            case kinds.Source():
                source = OutputPort(number)
                if self._parallel and source in self._gives:
                    ends = replace(self._tokens[source], stream=self._gives[source].type_name)
                    self._texts.append(boundary_text(name, ends, self._scope, entry=True))
                    self._call(name, [self._ports[number].name, self._gives[source].name])
            case kinds.Sink():
                if self._parallel:
                    self._texts.append(boundary_text(name, takes[0], self._scope, entry=False))
                    self._call(name, [taken[0], self._ports[number].name])
            case _:
                results = [OutputPort(number, port) for port in range(len(process.results))]
                gives = [replace(self._tokens[source], stream=self._gives[source].type_name) for source in results]
                reshaped = [
                    replace(ends, shape=stream.token.shape, tokens=stream.tokens)
                    for ends, stream in zip(takes, process.takes, strict=True)
                ]
                self._texts += process_texts(process, name, reshaped, gives, self._scope)
                self._start(name, [*taken, *(self._gives[source].name for source in results)])
        for port in range(len(process.results)):
            self._copies(number, port)

    def _copies(self, number: int, port: int) -> None:
        """The process that hands on copies of a result's tokens, where there is one."""
        source = OutputPort(number, port)
        given = self._gives.get(source)
        streams = [self._takes[reader] for reader in self._readers(number, port)]
        if given is None or streams == [given]:
            return
        name = self._scope.names.unique(f"{self._names[number]}_copies")
        ends = replace(self._tokens[source], stream=given.type_name)
        self._texts.append(copies_text(name, ends, [stream.type_name for stream in streams], self._scope))
        self._start(name, [given.name, *(stream.name for stream in streams)])

    def _call(self, function: str, arguments: list[str]) -> None:
        self._calls.append(f"{self._space}::{function}({', '.join(arguments)});")

    def _start(self, function: str, arguments: list[str]) -> None:
        streams = self._scope.dialect.streams
        words = {
            "function": f"{self._space}::{function}",
            "arguments": ", ".join(arguments),
            "name": self._locals.unique(f"{function}_task"),
        }
        self._calls.append(streams.start.format(**words))
        if streams.finish:
            self._ends.append(streams.finish.format(**words))
