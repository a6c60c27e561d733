"""Writes a network of processes as a C++ project: a function per process, streams of tokens between them.

The files are those of :mod:`bitsmith.hls.writer`. The top function takes and gives streams of tokens (``io_stream``) or arrays
(``io_parallel``); those of weights are streams. All processes run at once in hardware, and one after another in C simulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort, Process, kind_name
from bitsmith.dataflow.schedule import Schedule
from bitsmith.hls.assembly import TopFunction, assembled, namespace
from bitsmith.hls.beats import step_cycles, token_beats
from bitsmith.hls.bench import BENCH_NAMES
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.engine_text import EngineWriter
from bitsmith.hls.loads import LoadPort, is_array
from bitsmith.hls.names import identifier
from bitsmith.hls.process import ProcessWriter
from bitsmith.hls.process_text import StreamType, boundary_text, copies_text
from bitsmith.hls.project import HlsProject, HlsTarget, Port, TokenStream, WordKind
from bitsmith.hls.recurrence.parts import Recurrence
from bitsmith.hls.recurrence_text import RecurrenceWriter
from bitsmith.hls.scalar import common_format
from bitsmith.hls.scope import Scope
from bitsmith.rtl.names import Names

_LEAST_DEPTH = 2
"""Slots that all tools give to a stream without a depth."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream: its name in the top function, its type, and its slots."""

    name: str
    type_name: str
    depth: int


class NetworkWriter:
    """Writes one project; ``plan`` has the depths of the streams. With ``parallel`` tensors are arrays of the top function."""

    def __init__(
        self, network: Network, plan: Schedule, dialect: Dialect, target: HlsTarget, *, parallel: bool
    ) -> None:
        self._network = network
        self._plan = plan
        self._target = target
        self._parallel = parallel
        self._beats = token_beats(network, dialect.streams, parallel=parallel)
        self._top = identifier(target.top)
        self._space = namespace(self._top)
        self._scope = Scope(replace(dialect, in_layer=dialect.streams.in_function))
        self._locals = Names()
        for taken in (self._top, *BENCH_NAMES):
            self._locals.unique(taken)
        # Each of these is filled by a step of `project`.
        self._names: list[str] = []  # of functions, by process
        self._tokens: dict[OutputPort, StreamType] = {}  # of results; their streams are not known yet
        self._ports: dict[int, Port] = {}  # of the top function, by process
        self._takes: dict[tuple[int, int], _Stream] = {}  # by process and operand
        self._gives: dict[OutputPort, _Stream] = {}
        self._declared: list[str] = []  # streams between processes, in the top function
        self._global: list[str] = []  # or before all functions
        self._texts: list[str] = []  # functions
        self._calls: list[str] = []

    def project(self) -> HlsProject:
        """All files."""
        network = self._network
        # The last function of a layer, which gives its result, has the layer's very name.
        self._names = [self._function_name(process) for process in reversed(network.processes)][::-1]
        for number, process in enumerate(network.processes):
            for port in range(len(process.results)):
                self._tokens[OutputPort(number, port)] = self._token_type(number, port)
        for number in (*network.sources, *network.sinks):
            self._port(number)
        for number, process in enumerate(network.processes):
            self._connect(number, process)
        for number, process in enumerate(network.processes):
            self._write(number, process)
        return self._assembled()

    def _assembled(self) -> HlsProject:
        network, streams, scope = self._network, self._scope.dialect.streams, self._scope
        sources = sorted((self._ports[number] for number in network.sources), key=lambda port: port.loaded is not None)
        inputs, outputs = sources, [self._ports[number] for number in network.sinks]
        parameters = [
            streams.parameter.format(type=port.stream.type_name, name=port.name)
            if port.stream
            else f"{'' if port in outputs else 'const '}{port.declaration}"
            for port in (*inputs, *outputs)
        ]
        lines = [streams.port.format(name=port.name) for port in (*inputs, *outputs) if port.stream]
        head = [line for line in "\n".join(lines).splitlines() if line]
        head += scope.dialect.arrays.head(tuple(port.name for port in (*inputs, *outputs) if not port.stream))
        unused = [
            port.name
            for number, port in self._ports.items()
            if not port.stream and number in network.sources and not self._readers(number)
        ]
        body = (*(f"(void){name};" for name in unused), *self._declared, *self._calls)
        whole_head = (*streams.in_top, *head)
        top = TopFunction(self._top, tuple(parameters), streams.before_top, whole_head, body, unrolled=False)
        made = assembled(self._target, scope, [*self._global, *self._texts], top, tuple(inputs), tuple(outputs))
        # Calls of a component overlap if its compiler finds that they can (Intel 683152, "Executing Multiple Loops in Parallel").
        interval = None if streams.sequential else self._plan.interval
        return replace(made, interval=interval, slowest=self._plan.interval)

    def _function_name(self, process: Process) -> str:
        """A name made of the process's layers and of what it does with them."""
        layer = identifier(_label(process.layers))
        if isinstance(process, Recurrence):
            return self._scope.names.unique(f"{layer}_recurrence")
        match process.kind:
            case kinds.Source(name) | kinds.Sink(name):
                return self._scope.names.unique(f"{identifier(name)}_port")
            case kinds.Map():
                return self._scope.names.unique(layer)
            case kinds.FoldedProduct():
                return self._scope.names.unique(f"{layer}_product")
            case kinds.Engine(layers):
                return self._scope.names.unique(f"{identifier(_label([layer.name for layer in layers]))}_engine")
            case kinds.WidthConverter():
                return self._scope.names.unique(f"{layer}_width")
            case _:
                return self._scope.names.unique(f"{layer}_{kind_name(type(process.kind))}")

    def _token_type(self, number: int, port: int) -> StreamType:
        """The types of a result's tokens; a tool that is told to pack them makes a word of each."""
        process, scope = self._network.processes[number], self._scope
        stream, kind = process.results[port], process.kind
        name = identifier(kind.name) if isinstance(kind, kinds.Source) else self._names[number]
        scalar = common_format(stream.token)
        element = scope.typedef(f"{name}_t", scalar)
        token = scope.named(f"{name}_token_t", f"kernels::token<{element}, {max(stream.token.size, 1)}>")
        if scope.dialect.streams.result:
            scope.word(WordKind.TOKEN, name, scalar.width * stream.token.size)
        beats, beat = self._beats.get(OutputPort(number, port), 1), token
        if beats > 1:
            beat = scope.named(f"{name}_beat_t", f"kernels::token<{element}, {stream.token.size // beats}>")
        return StreamType("", token, element, scalar, stream.token.shape, stream.tokens, beats, beat)

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
        return _Stream(self._locals.unique(f"{name}_tokens"), kind, depth)

    def _port(self, number: int) -> None:
        """The parameter of the top function that a boundary is."""
        process, streams = self._network.processes[number], self._scope.dialect.streams
        assert isinstance(process.kind, kinds.Source | kinds.Sink)
        is_source = isinstance(process.kind, kinds.Source)
        tokens = self._tokens[OutputPort(number) if is_source else process.args[0]]
        name = self._locals.unique(identifier(process.kind.name))
        loaded = process.kind.loaded if isinstance(process.kind, kinds.Source) else None
        kept = isinstance(process, LoadPort)
        count = tokens.tokens + (process.words if isinstance(process, LoadPort) else 0)
        element = f"{self._space}::{tokens.element}"
        port = Port(name, count * tokens.size, tokens.scalar, element, loaded=loaded, kept=kept)
        if not is_array(process, parallel=self._parallel):
            spelling = (streams.input if is_source else streams.output) or streams.type
            beats = count * tokens.beats
            stream = self._stream(identifier(process.kind.name), tokens.beat, beats, spelling)
            stream = replace(stream, name=name)
            if is_source:
                self._gives[OutputPort(number)] = stream
            else:
                self._takes[number, 0] = stream
            local = self._locals.unique(f"tokens_{'in' if is_source else 'out'}{len(self._ports)}")
            token, kind = (f"{self._space}::{part}" for part in (tokens.beat, stream.type_name))
            port = replace(port, stream=TokenStream(beats, tokens.beats, token, kind, local))
        self._ports[number] = port

    def _connect(self, number: int, process: Process) -> None:
        """Streams from a process: one if one reader needs its tokens, or one to a process that hands on copies."""
        for port in range(len(process.results)):
            source = OutputPort(number, port)
            readers = self._readers(number, port)
            token = self._tokens[source].beat
            if isinstance(process.kind, kinds.Source) and not self._ports[number].stream and not readers:
                continue
            out = self._gives.get(source)
            if len(readers) == 1:
                taken = self._takes.get(readers[0])
                if out is None or taken is None:
                    only = out or taken or self._inner(source, readers[0], token)
                    self._gives[source] = self._takes[readers[0]] = only
                    continue
            if out is None:
                out = self._declared_stream(self._names[number], token, self._least(source))
                self._gives[source] = out
            for reader in readers:
                if reader not in self._takes:
                    self._takes[reader] = self._inner(source, reader, token)

    def _inner(self, source: OutputPort, reader: tuple[int, int], token: str) -> _Stream:
        """A new stream to an operand."""
        depth, beats = max(self._least(source), self._plan.depth(*reader)), self._beats.get(source, 1)
        depth = depth if beats == 1 else (depth + 1) * beats
        name, alone = self._names[source.process], len(self._readers(source.process, source.port)) == 1
        return self._declared_stream(name if alone else f"{name}_to_{self._names[reader[0]]}", token, depth)

    def _least(self, source: OutputPort) -> int:
        """The fewest slots that a stream of these tokens has."""
        whole = self._tokens[source].tokens if self._scope.dialect.streams.sequential else 0
        return max(_LEAST_DEPTH, whole)

    def _declared_stream(self, name: str, token: str, depth: int) -> _Stream:
        """A new stream between processes, and its declaration where it is not its type alone."""
        stream, streams = self._stream(name, token, depth), self._scope.dialect.streams
        self._scope.streams.append((stream.name, depth))
        if streams.known:
            return stream
        if streams.sequential:
            self._global += [*streams.between(stream.type_name, stream.name, depth), ""]
            return replace(stream, name=f"{self._space}::{stream.name}")
        self._declared += streams.between(f"{self._space}::{stream.type_name}", stream.name, depth)
        return stream

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
                if not self._ports[number].stream and source in self._gives:
                    given_type = replace(self._tokens[source], stream=self._gives[source].type_name)
                    self._texts.append(boundary_text(name, given_type, self._scope, is_source=True))
                    self._call(name, [self._ports[number].name, self._gives[source].name])
            case kinds.Sink():
                if not self._ports[number].stream:
                    self._texts.append(boundary_text(name, takes[0], self._scope, is_source=False))
                    self._call(name, [taken[0], self._ports[number].name])
            case _:
                results = [OutputPort(number, port) for port in range(len(process.results))]
                gives = [replace(self._tokens[source], stream=self._gives[source].type_name) for source in results]
                reshaped = [
                    replace(taken_type, shape=stream.token.shape, tokens=stream.tokens)
                    for taken_type, stream in zip(takes, process.takes, strict=True)
                ]
                parts = name, reshaped, gives, self._scope, step_cycles(self._network, number, self._beats)
                if isinstance(process, Recurrence):
                    self._texts += RecurrenceWriter(process, *parts).function()
                else:
                    writer = EngineWriter if isinstance(process.kind, kinds.Engine) else ProcessWriter
                    self._texts += writer(process, *parts).function()
                self._start(name, [*taken, *(self._gives[source].name for source in results)])
        for port in range(len(process.results)):
            self._copies(number, port)

    def _copies(self, number: int, port: int) -> None:
        """The process that hands on copies of a result's tokens, where there is one."""
        source = OutputPort(number, port)
        out = self._gives.get(source)
        streams = [self._takes[reader] for reader in self._readers(number, port)]
        if out is None or streams == [out]:
            return
        name = self._scope.names.unique(f"{self._names[number]}_copies")
        given_type = replace(self._tokens[source], stream=out.type_name)
        self._texts.append(copies_text(name, given_type, [stream.type_name for stream in streams], self._scope))
        self._start(name, [out.name, *(stream.name for stream in streams)])

    def _call(self, function: str, arguments: list[str]) -> None:
        self._calls.append(f"{self._space}::{function}({', '.join(arguments)});")

    def _start(self, function: str, arguments: list[str]) -> None:
        streams = self._scope.dialect.streams
        words = {
            "function": f"{self._space}::{function}",
            "arguments": "" if streams.known else ", ".join(arguments),
            "name": self._locals.unique(f"{function}_task"),
        }
        self._calls.append(streams.start.format(**words))


def _label(layers: Sequence[str]) -> str:
    """A word for one or more layers: the last one's name if it says the first one's, too."""
    if not layers:
        return "network"
    first, last = layers[0], layers[-1]
    return last if last.startswith(first) else f"{first}_to_{last}"
