"""The text of a streaming top in the making: its ports, wires, FIFOs and memories.

A process is written by `bitsmith.rtl.streams` through a :class:`ProcessText`, which hands out the wires around it as values:
``process.x[0].take`` is the name of a wire, and a wire that does not exist is an error in Python.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort
from bitsmith.dataflow.schedule import Schedule
from bitsmith.dataflow.tokens import LoadableWeights, Stream
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.blocks import MemoryBlock, MultiplierBlock
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection
from bitsmith.errors import UnsupportedError
from bitsmith.mapping.memories import larger_memories
from bitsmith.mapping.slices import islands
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.design import DATA, TAKES, LayerPart, RtlDesign, tap_ports
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.library import instance
from bitsmith.rtl.memory import address_bits, ram, rom, rom_of_bits
from bitsmith.rtl.names import Names, identifier
from bitsmith.rtl.protection import CheckedMemory, Checks
from bitsmith.rtl.stream_ports import LoopPort, StreamPort, WeightImage, WeightPort
from bitsmith.rtl.tables import ram_in_logic
from bitsmith.rtl.tokens import fields
from bitsmith.rtl.writer import Title

ALWAYS = "1'b1"
NOTHING = "'0"


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory for tokens: the layers that take them, and the bits of each."""

    layers: str
    width: int


@dataclass(frozen=True, slots=True)
class StreamDesign:
    """A streaming top as a value: its sources, its interface, and its schedule."""

    interface: Interface
    sources: Mapping[str, str]
    schedule: Schedule
    over_budget: int
    """Operations that take longer than the clock period."""
    memories: Mapping[str, Memory]
    """FIFOs of operands, buffers that reorder tokens, and line buffers of windows, by the instance's name."""
    parts: Mapping[str, LayerPart]
    """The layers of each process, by what all names of it in the top begin with."""
    islands: tuple[tuple[str, ...], ...]
    """Prefixes of the names of processes, in groups that are joined by register slices alone."""


class OperandWires(NamedTuple):
    """Wires of an operand: its FIFO has a free slot (for the producer); a token waits, is taken, and its bits."""

    free: str
    valid: str
    take: str
    data: str


class ResultWires(NamedTuple):
    """Wires of a result: all its FIFOs have a free slot; a slot is claimed, a token is put into it, and its bits."""

    free: str
    claim: str
    put: str
    data: str


def operand_wires(process: int, operand: int) -> OperandWires:
    return OperandWires(*(f"p{process}_x{operand}_{wire}" for wire in OperandWires._fields))


def result_wires(process: int, port: int) -> ResultWires:
    return ResultWires(*(f"p{process}_y{port}_{wire}" for wire in ResultWires._fields))


class StreamTop:
    """The text of the top module ``name``; ``over_budget`` counts operations that take longer than the clock period."""

    def __init__(
        self,
        network: Network,
        cores: Mapping[int, RtlDesign],
        schedule: Schedule,
        block: MultiplierBlock | None,
        memory: MemoryBlock,
        name: str,
        title: Title,
        over_budget: int,
        part: Part | None,
        *,
        read_back: bool,
        protection: Protection,
    ) -> None:
        self.cores = cores
        self.schedule = schedule
        self.block = block
        self.memory = memory
        self._in_logic = ram_in_logic(memory, part)
        self.wiring = Wiring(network)
        self.larger = larger_memories(self.wiring, schedule.fifos, part)
        self.large = None if part is None else part.family.large
        self._of_bits = part.family.delays.tokens_of_bits if part else range(0)
        self.single_port = self.large is not None and self.large.ports == 1
        self.inputs: list[StreamPort] = []
        self.outputs: list[StreamPort] = []
        self.weights: list[WeightPort] = []
        self.images: list[WeightImage] = []
        self.loops: list[LoopPort] = []
        self.memories: dict[str, Memory] = {}
        self.parts: dict[str, LayerPart] = {}
        has_memories = any(
            isinstance(p.kind, kinds.Rom | kinds.FoldedProduct) and p.kind.loaded for p in network.processes
        )
        self.reset = "halt" if has_memories else "rst"
        self.readers: dict[OutputPort, list[OperandWires]] = {}
        self.given_back: dict[OutputPort, list[tuple[str, str, dict[str, int], dict[str, str]]]] = {}
        """FIFOs of earlier processes, by module, name, parameters and ports."""
        for number, process in enumerate(network.processes):
            for operand, source in enumerate(process.args):
                self.readers.setdefault(source, []).append(operand_wires(number, operand))
        self._name = name
        self._title = title
        self._over_budget = over_budget
        self._read_back = read_back
        self.checks = Checks(protection)
        self._taps: list[StreamPort] = []
        self._names = Names()
        self._ports: list[str] = []
        self._lines: list[str] = []
        self._sources: dict[str, str] = {}
        self._loads: list[WeightPort] = []
        self._crcs: list[str] = []
        self._loading: list[str] = []
        """Wires that hold the network in reset, while weights are loaded."""

    def design(self) -> StreamDesign:
        """All sources, the top's first.

        Raises:
            UnsupportedError: weights that can be loaded beside a memory outside, which does not know of loads.
        """
        if self.loops and self._loading:
            raise UnsupportedError(
                f"weights that can be loaded, and tokens in memory {self.loops[0].kind.name!r} outside of the circuit",
                where=self._loads[0].loaded.layer,
                accepted="one of both, since what comes back would be of frames before the load",
            )
        frames = f"latency {self.schedule.latency} cycles, a frame every {self.schedule.interval} cycles"
        if self._loading:
            self.say("", f"assign halt = rst | {' | '.join(self._loading)};")
        if self._loads and self._read_back:
            self._ports += [f"output logic [{32 * len(self._loads) - 1}:0] load_crc", "output logic load_busy"]
            self.say(f"assign load_crc = {joined(self._crcs)};", f"assign load_busy = {' | '.join(self._loading)};")
        ports = ["input logic clk", "input logic rst", *self._ports, *self.checks.port()]
        ports += tap_ports([tap.fields for tap in self._taps])
        body = [*["logic halt;"] * bool(self._loading), *self._lines]
        sources = {f"{self._name}.sv": self._title.module(self._name, ports, body, [f"Frames of tokens: {frames}."])}
        for core in self.cores.values():
            sources |= core.sources
        interface = Interface(
            self._name,
            (*self.inputs, *(each.port for each in self.weights), *(each.port for each in self.images)),
            tuple(self.outputs),
            self.schedule.latency,
            self.schedule.interval,
            self._title,
            tuple(self.weights),
            tuple(self.images),
            tuple(self._loads),
            bool(self._loads) and self._read_back,
            tuple(self.checks.memories),
            tuple(self._taps),
            tuple(self.loops),
        )
        return StreamDesign(
            interface,
            sources | self._sources,
            self.schedule,
            self._over_budget,
            self.memories,
            self.parts,
            tuple(tuple(f"p{number}" for number in island) for island in islands(self.wiring.network)),
        )

    def say(self, *lines: str) -> None:
        """Add lines of the module's body."""
        self._lines += lines

    def wire(self, name: str) -> str:
        """Declare a wire of one bit; returns its name."""
        self.say(f"logic {name};")
        return name

    def word(self, name: str, width: int) -> str:
        """Declare a vector, also of one bit, so that slices of it are legal; returns its name."""
        self.say(f"logic [{width - 1}:0] {name};")
        return name

    def tap(self, layer: str, stream: Stream, valid: str, data: str) -> None:
        """Make tokens an output for a monitor: when one is there, and its bits."""
        port = StreamPort(layer, fields(layer, stream.token), stream.tokens)
        low = sum(tap.width for tap in self._taps)
        self.say(f"assign {TAKES}[{len(self._taps)}] = {valid};")
        self.say(f"assign {DATA}[{low + port.width - 1}:{low}] = {data};")
        self._taps.append(port)

    def stream_port(self, name: str, elements: Sequence[Field], tokens: int, *, is_output: bool = False) -> StreamPort:
        """Declare the ports of a stream of tokens of ``elements``, called ``name`` or similar."""
        port = StreamPort(self._names.unique(identifier(name)), tuple(elements), tokens)
        there, back = ("output", "input") if is_output else ("input", "output")
        self._ports += [
            f"{there} logic {port.name}_valid",
            f"{back} logic {port.name}_ready",
            f"{there} logic [{port.width - 1}:0] {port.name}_data",
            *([f"output logic {port.name}_last"] if is_output else []),
        ]
        return port

    def instance(self, module: str, name: str, parameters: Mapping[str, int], ports: Mapping[str, str]) -> None:
        """Instantiate a hand-written module."""
        self.say(instance(module, name, parameters, ports))

    def registers(self, words: int, width: int) -> bool:
        """Return True if a clocked table is slow: it is block memory, and several check bits stand after it."""
        return self.memory.takes_table(words, width) and self.checks.bits(width) > 1

    def table(
        self, name: str, index: str, width: int, values: Sequence[int], *, clocked: bool, ahead: bool = False
    ) -> str:
        """The word ``name``: ``values`` looked up by ``index`` in a module of their own; the next cycle's if ``clocked``.

        ``ahead``: where `registers` says that it is slow, ``index`` comes a cycle earlier, for a register before its check bits.
        """
        self.word(name, width)
        stored = name
        if clocked and self.memory.takes_table(len(values), width) and self.checks.bits(width):
            process, _, content = name.partition("_")
            memory = CheckedMemory(self.parts[process].layer, content, len(values), width, is_table=True)
            stored = self._decoded(name, memory)
            if ahead and self.registers(len(values), width):
                read = self.word(f"{name}_read", width + self.checks.bits(width))
                self.say(f"always_ff @(posedge clk) {stored} <= {read};")
                stored = read
            values, width = self.checks.codes(values, width), width + self.checks.bits(width)
        module = f"{self._name}_{name}_rom"
        self._sources[f"{module}.sv"] = rom(module, width, values, self._title, self.memory, clocked=clocked)
        clock = ".clk(clk), " if clocked else ""
        self.say(f"{module} {name}_rom_inst ({clock}.address({index}), .value({stored}));")
        return name

    def tokens(self, name: str, index: str, width: int, values: Sequence[int]) -> str:
        """Return a `table` without a clock, in whose words there is no order, a constant for each bit if the family's are so."""
        if address_bits(len(values)) not in self._of_bits:
            return self.table(name, index, width, values, clocked=False)
        module = f"{self._name}_{name}_rom"
        self._sources[f"{module}.sv"] = rom_of_bits(module, width, values, self._title)
        self.say(f"{module} {name}_rom_inst (.address({index}), .value({self.word(name, width)}));")
        return name

    def _decoded(self, name: str, memory: CheckedMemory) -> str:
        """Return a word with check bits of ``memory``, of which the word ``name`` is made."""
        self.say(*self.checks.decoded(name, name, memory))
        return f"{name}_stored"

    def loadable(
        self, name: str, index: str, values: Sequence[int], loaded: LoadableWeights, elements: Sequence[Field]
    ) -> str:
        """Return a clocked `table` of words of ``elements``, all of one format, that can be loaded."""
        width, words = sum(element.width for element in elements), len(values)
        port = self.stream_port(
            f"{identifier(f'{loaded.layer}_{loaded.name}')}_load", elements[:1], words * len(elements)
        )
        self._loads.append(WeightPort(port, loaded))
        loading, write = (self.wire(f"{name}_{wire}") for wire in ("loading", "write"))
        address = self.word(f"{name}_address", address_bits(words))
        word = self.word(f"{name}_word", width)
        self.word(name, width)
        self._loading.append(loading)
        ports = {
            "clk": "clk",
            "rst": "rst",
            **{f"load_{signal}": f"{port.name}_{signal}" for signal in ("valid", "ready", "data")},
            "loading": loading,
            "write": write,
            "address": address,
            "word": word,
        }
        parameters = {"ELEMENT": port.width, "PARTS": len(elements), "WORDS": words}
        self.instance("load", f"{name}_load", parameters, ports)
        reader = self._checked(name, index, parameters, loading) if self._read_back else index
        module, stored = f"{self._name}_{name}_ram", name
        if self.checks.bits(width):
            self.say(*self.checks.encoded(name, word, width))
            memory = CheckedMemory(loaded.layer, loaded.name, words, width, is_table=False)
            stored, word = self._decoded(name, memory), f"{name}_written"
            values, width = self.checks.codes(values, width), width + self.checks.bits(width)
        self.say(
            f"{module} {name}_ram_inst (.clk(clk), .write({write}), .write_address({address}),"
            f" .write_word({word}), .address({reader}), .value({stored}));"
        )
        self._sources[f"{module}.sv"] = ram(module, width, values, self._title, self._in_logic)
        return name

    def _checked(self, name: str, index: str, parameters: Mapping[str, int], loading: str) -> str:
        """Read the memory ``name`` back after resets and loads; returns its address, which is ``index`` at all other times."""
        reading, crc = self.wire(f"{name}_reading"), self.word(f"{name}_crc", 32)
        address = self.word(f"{name}_read_address", address_bits(parameters["WORDS"]))
        self._loading.append(reading)
        self._crcs.append(crc)
        ports = {
            "clk": "clk",
            "rst": "rst",
            "loading": loading,
            "index": index,
            "address": address,
            "value": name,
            "reading": reading,
            "crc": crc,
        }
        self.instance("read_back", f"{name}_read_back", parameters, ports)
        return address


def label_of(layers: Sequence[str]) -> str:
    """One or two layers by their names, more by the first and the last."""
    return ", ".join(layers) if len(layers) < 3 else f"{layers[0]} to {layers[-1]}"


def joined(words: Sequence[str]) -> str:
    """``words`` side by side, the first in the lowest bits."""
    return f"{{{', '.join(reversed(words))}}}"
