"""The text of a streaming top in the making: its ports, wires, FIFOs and memories.

A process is written by `bitsmith.rtl.streams` through a :class:`ProcessText`, which hands out the wires around it as values:
``process.x[0].take`` is the name of a wire, and a wire that does not exist is an error in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort, Process, gives_back
from bitsmith.dataflow.schedule import Schedule
from bitsmith.dataflow.tokens import LoadableWeights
from bitsmith.dataflow.wires import Wiring, repeats
from bitsmith.devices.blocks import MemoryBlock, MultiplierBlock
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection
from bitsmith.ir.program import Program
from bitsmith.mapping.memories import larger_memories, takes_block
from bitsmith.mapping.slices import islands
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.design import LayerPart, RtlDesign
from bitsmith.rtl.memory import address_bits, ram, rom
from bitsmith.rtl.names import Names, identifier
from bitsmith.rtl.protection import FAULT, CheckedMemory, Checks
from bitsmith.rtl.stream_ports import Memory, StreamDesign, StreamPort, WeightPort
from bitsmith.rtl.tables import ram_in_logic
from bitsmith.rtl.tokens import CoreResult, Layout, assignment, bits, converted, fields_layout, layout
from bitsmith.rtl.writer import Title

ALWAYS = "1'b1"
NOTHING = "'0"


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
        self.single_port = part is not None and part.family.large is not None and part.family.large.ports == 1
        self.inputs: list[StreamPort] = []
        self.outputs: list[StreamPort] = []
        self.weights: list[WeightPort] = []
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
        self._names = Names()
        self._ports: list[str] = []
        self._lines: list[str] = []
        self._sources: dict[str, str] = {}
        self._loads: list[WeightPort] = []
        self._crcs: list[str] = []
        self._loading: list[str] = []
        """Wires that hold the network in reset, while weights are loaded."""

    def design(self) -> StreamDesign:
        """All sources, the top's first."""
        header = [
            f"// Written by {self._title.tool}, project {self._title.digest}.",
            f"// Frames of tokens: latency {self.schedule.latency} cycles, a frame every {self.schedule.interval} cycles.",
        ]
        if self._loading:
            self.say("", f"assign halt = rst | {' | '.join(self._loading)};")
        if self._loads and self._read_back:
            self._ports += [f"output logic [{32 * len(self._loads) - 1}:0] load_crc", "output logic load_busy"]
            self.say(f"assign load_crc = {joined(self._crcs)};", f"assign load_busy = {' | '.join(self._loading)};")
        ports = ["input logic clk", "input logic rst", *self._ports, *self.checks.port()]
        text = [*header, f"module {self._name} (", ",\n".join(f"  {port}" for port in ports), ");"]
        text += ["  logic halt;"] if self._loading else []
        text += [f"  {line}" for line in self._lines]
        sources = {f"{self._name}.sv": "\n".join([*text, "endmodule", ""])}
        for core in self.cores.values():
            sources |= core.sources
        return StreamDesign(
            self._name,
            sources | self._sources,
            tuple(self.inputs),
            tuple(self.outputs),
            self.schedule,
            self._over_budget,
            self.memories,
            self.parts,
            tuple(tuple(f"p{number}" for number in island) for island in islands(self.wiring.network)),
            tuple(self.weights),
            tuple(self._loads),
            bool(self._loads) and self._read_back,
            tuple(self.checks.memories),
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
        text = ", ".join(f".{key}({value})" for key, value in parameters.items())
        connections = ", ".join(f".{key}({value})" for key, value in ports.items())
        self.say(f"bitsmith_{module} #({text}) {name} ({connections});")

    def table(self, name: str, index: str, width: int, values: Sequence[int], *, clocked: bool) -> str:
        """The word ``name``: ``values`` looked up by ``index`` in a module of their own; the next cycle's if ``clocked``."""
        self.word(name, width)
        stored = name
        if clocked and self.memory.takes_table(len(values), width) and self.checks.bits(width):
            stored = self._decoded(name, width, len(values), is_table=True)
            values, width = self.checks.codes(values, width), width + self.checks.bits(width)
        module = f"{self._name}_{name}_rom"
        self._sources[f"{module}.sv"] = rom(module, width, values, self._title, self.memory, clocked=clocked)
        clock = ".clk(clk), " if clocked else ""
        self.say(f"{module} {name}_rom_inst ({clock}.address({index}), .value({stored}));")
        return name

    def _decoded(self, name: str, width: int, words: int, *, is_table: bool) -> str:
        """Return a word with check bits of a memory, of which the word ``name`` is made."""
        process, _, content = name.partition("_")
        memory = CheckedMemory(self.parts[process].layer, content, words, width, is_table)
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
            stored, word = self._decoded(name, width, words, is_table=False), f"{name}_written"
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


def _label(layers: Sequence[str]) -> str:
    """One or two layers by their names, more by the first and the last."""
    return ", ".join(layers) if len(layers) < 3 else f"{layers[0]} to {layers[-1]}"


class ProcessText:
    """The text of one process: its wires, the FIFOs of its operands, and its parts."""

    def __init__(self, top: StreamTop, number: int, process: Process) -> None:
        self.top = top
        self.process = process
        self.name = f"p{number}"
        """Prefix of its wires."""
        layers = identifier("_".join(process.layers[:1] + process.layers[1:][-1:])) if process.layers else ""
        self.instances = f"{self.name}__{layers}" if layers else self.name
        """Prefix of its instances, so that tools' reports of paths name its layers: wires have no two underscores."""
        self.takes = [layout(stream.token) for stream in process.takes]
        """The layouts of its operands' tokens."""
        self.gives = [layout(stream.token) for stream in process.results]
        self.x = [operand_wires(number, operand) for operand in range(len(process.args))]
        self.y = [result_wires(number, port) for port in range(len(process.results))]
        self.core_name = f"{self.instances}_core"
        self.number = number
        self.say = top.say
        core = top.cores.get(number)
        top.parts[self.name] = LayerPart(_label(process.layers), None if core is None else core.latency)
        if core is not None:
            inner = core.parts.items()
            top.parts |= {f"{self.core_name}.{name}": LayerPart(part.layer, part.cycles) for name, part in inner}

    def declare(self) -> None:
        """Wires and FIFOs. These are written when the wires of both ends are declared."""
        top = self.top
        for operand, (wires, source) in enumerate(zip(self.x, self.process.args, strict=True)):
            producer, name = result_wires(source.process, source.port), f"{self.instances}_x{operand}_fifo"
            for wire in (wires.valid, wires.take):
                top.wire(wire)
            if gives_back(self.number, source):
                put_data, data, width = producer.data, wires.data, bits(self.takes[operand])
                top.word(data, width)
            else:
                put_data, data, width = self._without_zeros(operand, producer.data, wires.data)
            near = {"free": wires.free, "claim": producer.claim, "put": producer.put, "put_data": put_data}
            if self.process.slice(operand):
                near = self._sliced(operand, width, near, wires.take)
            ports = {**near, "valid": wires.valid, "take": wires.take, "data": data}
            self.holds(name, width)
            column = top.larger.get((self.number, operand))
            module = "single_port_fifo" if column is not None and top.single_port else "fifo"
            slots = self._slots(operand, width)
            if column is not None or takes_block(slots["DEPTH"], width, top.memory):
                ports, slots["WIDTH"] = self._checked(f"x{operand}", ports, width, slots["DEPTH"])
            fifo = module, name, slots, ports
            if gives_back(self.number, source):
                top.given_back.setdefault(source, []).append(fifo)
            else:
                self._instance(*fifo)
        for port, (result, elements) in enumerate(zip(self.y, self.gives, strict=True)):
            for wire in (result.free, result.claim, result.put):
                top.wire(wire)
            top.word(result.data, bits(elements))
            frees = [reader.free for reader in top.readers.get(OutputPort(self.number, port), [])]
            for free in frees:
                top.wire(free)
            self.say(f"assign {result.free} = {' & '.join(frees) or ALWAYS};")
            if not frees:
                self.say(f"assign {top.wire(f'unused_{result.put}')} = ^{{{result.put}, {result.data}}};")
            for fifo in top.given_back.get(OutputPort(self.number, port), []):
                self._instance(*fifo)

    def _sliced(self, operand: int, width: int, near: Mapping[str, str], take: str) -> dict[str, str]:
        """The ports of the FIFO of an operand after registers, which have the ports ``near`` of the process that fills it."""
        put = self.wire(f"x{operand}_far_put")
        word = self.word(f"x{operand}_far_data", width)
        unused = self.top.wire(f"unused_{self.named(f'x{operand}_far_free')}")
        depth = self.top.schedule.depth(self.number, operand)
        parameters = {"WIDTH": width, "DEPTH": depth, "STAGES": self.process.slice(operand)}
        far = {"far_put": put, "far_data": word, "far_take": take}
        self._instance("register_slice", f"slice_{self.instances}_x{operand}", parameters, {**near, **far})
        return {"free": unused, "claim": put, "put": put, "put_data": word}

    def _checked(self, name: str, ports: dict[str, str], width: int, depth: int) -> tuple[dict[str, str], int]:
        """The ports of a FIFO whose tokens have check bits, and their bits with these."""
        checks, name = self.top.checks, self.named(name)
        if not checks.bits(width):
            return ports, width
        memory = CheckedMemory(_label(self.process.layers), "tokens", depth, width, is_table=False)
        self.say(*checks.encoded(name, ports["put_data"], width))
        self.say(*checks.decoded(name, ports["data"], memory, ports["take"]))
        return {**ports, "put_data": f"{name}_written", "data": f"{name}_stored"}, width + checks.bits(width)

    def _slots(self, operand: int, width: int) -> dict[str, int]:
        """The parameters of the FIFO of an operand whose tokens have ``width`` bits."""
        depth, wires = self.top.schedule.depth(self.number, operand), self.top.wiring.of_operand(self.number, operand)
        if depth == 2 and self.top.wiring.network.refills(self.number, operand):
            return {"WIDTH": width, "DEPTH": 1, "REFILL": 1}
        found = {"WIDTH": width, "DEPTH": depth}
        if depth == 2 and not repeats(wires) and self.top.memory.holds_pair(width):
            found["PAIR"] = 0
        return found | self.large(operand)

    def _without_zeros(self, operand: int, source: str, target: str) -> tuple[str, str, int]:
        """Declare ``target``, an operand, of which zeros of the padding are not stored: what its FIFO takes and gives, its width.

        Synthesis would make multiplier blocks of products with what comes out of a memory, zeros or not.
        """
        top, elements = self.top, self.takes[operand]
        zero = np.repeat(top.wiring.of_operand(self.number, operand) < 0, [element.width for element in elements])
        top.word(target, zero.size)
        if not zero.any() or zero.all():
            return source, target, zero.size
        held, width = self.named(f"x{operand}_held"), int(zero.size - zero.sum())
        stored, spare, given = list[str](), list[str](), list[str]()
        ends = [0, *(np.flatnonzero(np.diff(zero)) + 1).tolist(), zero.size]
        for first, after in pairwise(ends):
            (spare if zero[first] else stored).append(f"{source}[{after - 1}:{first}]")
            left = int(np.sum(~zero[:first]))
            given.append(f"{after - first}'d0" if zero[first] else f"{held}[{left + after - first - 1}:{left}]")
        top.word(held, width)
        self.say(f"assign {target} = {joined(given)};")
        unused = top.word(self.named(f"unused_x{operand}"), zero.size - width)
        self.say(f"assign {unused} = {joined(spare)};")
        return joined(stored), held, width

    def large(self, operand: int = -1) -> dict[str, int]:
        """The parameter of memories that are larger ones than block memory: those within, or the FIFO of an operand."""
        column = self.top.larger.get((self.number, operand))
        return {} if column is None or self.top.single_port else {"LARGE": column}

    def check(self, width: int, depth: int = 0) -> int:
        """Check bits of the words of its memories of tokens, ``depth`` of which are needed, and which have ``width`` bits."""
        block = self.top.memory
        memories = self.process.kind.memories(self.process.takes, self.process.results, depth)
        in_block = any(not each.filled and takes_block(each.words, each.bits, block) for each in memories)
        return self.top.checks.bits(width) if in_block or self.large() else 0

    def fault(self, content: str, width: int, words: int, check: int) -> dict[str, str]:
        """The connection of a module that checks its memory itself, if that has ``check`` bits."""
        memory = CheckedMemory(_label(self.process.layers), content, words, width, is_table=False)
        return {"fault": self.top.checks.wires([memory]) if check else self._unused_fault()}

    def _unused_fault(self) -> str:
        return self.top.word(f"unused_{self.named('fault')}", 2)

    def buffer(self, module: str, parameters: Mapping[str, int], ports: Mapping[str, str], x: str, width: int) -> None:
        """Instantiate a module that gives the words of ``x``, or zeros, out of a memory."""
        check, y, checks = self.check(width, self.depth()), self.y[0], self.top.checks
        ends = self.ends(x)
        if check:
            name = self.named("buffer")
            memory = CheckedMemory(_label(self.process.layers), "tokens", self.depth(), width, is_table=False)
            self.say(*checks.encoded(name, x, width), *checks.decoded(name, y.data, memory, y.put))
            ends = self.ends(f"{name}_written", f"{name}_stored")
        parameters = {"WIDTH": width + check, "DEPTH": self.depth(), **parameters, **self.large()}
        self.holds(self.instance(module, parameters, {**ends, **ports}, "_buffer"), width)

    def depth(self) -> int:
        """The slots of its own memory of tokens."""
        return self.top.schedule.depth(self.number, -1)

    def named(self, suffix: str) -> str:
        """The name of a wire of its own."""
        return f"{self.name}_{suffix}"

    def wire(self, suffix: str) -> str:
        """Declare a wire of its own."""
        return self.top.wire(self.named(suffix))

    def word(self, suffix: str, width: int) -> str:
        """Declare a vector of its own."""
        return self.top.word(self.named(suffix), width)

    def holds(self, instance: str, width: int) -> None:
        """Note that an instance holds tokens of ``width`` bits."""
        self.top.memories[instance] = Memory(", ".join(self.process.layers), width)

    def instance(self, module: str, parameters: Mapping[str, int], ports: Mapping[str, str], suffix: str = "") -> str:
        """Instantiate the hand-written module of the process; returns the instance's name."""
        name = self.instances + suffix
        self._instance(module, name, parameters, ports)
        return name

    def _instance(self, module: str, name: str, parameters: Mapping[str, int], ports: Mapping[str, str]) -> None:
        self.top.instance(module, name, parameters, {"clk": "clk", "rst": self.top.reset, **ports})

    def ends(self, x_data: str | None = None, y_data: str | None = None) -> dict[str, str]:
        """The connections of a process of at most one operand, and of one result."""
        ports: dict[str, str] = {}
        if self.x:
            x = self.x[0]
            ports |= {"x_valid": x.valid, "x_data": x_data or x.data, "x_take": x.take}
        y = self.y[0]
        return ports | {"y_free": y.free, "y_claim": y.claim, "y_put": y.put, "y_data": y_data or y.data}

    def prepared(self, suffix: str, want: Layout, operand: int = 0) -> str:
        """A word with the elements of an operand in another layout."""
        return self.arranged(suffix, self.x[operand].data, self.takes[operand], want)

    def arranged(self, suffix: str, source: str, have: Layout, want: Layout) -> str:
        """A word with the elements of ``source`` in another layout."""
        name = self.word(suffix, bits(want))
        self.say(*assignment(name, source, have, want))
        return name

    def narrowed(self, y: str, have: Layout) -> None:
        """The result from its elements in the word ``y``, all as wide as the widest: upper bits may repeat signs."""
        self.say(
            f"assign {self.y[0].data} = {converted(y, have, self.gives[0])};",
            f"logic unused_{y};",
            f"assign unused_{y} = ^{y};",
        )

    def lookup(self, suffix: str, width: int, values: Sequence[int]) -> tuple[dict[str, str], str]:
        """A table of what each action does: the ports that give its address, and its word.

        Large tables are read synchronously, so that they can be block memory.
        """
        clocked = self.top.memory.suits_table(len(values) * width)
        used, unused = ("next_index", "index") if clocked else ("index", "next_index")
        address = self.word(used, address_bits(len(values)))
        other = self.top.word(f"unused_{self.named(unused)}", address_bits(len(values)))
        table = self.top.table(self.named(suffix), address, width, values, clocked=clocked)
        return {used: address, unused: other}, table

    def core(self, program: Program, fire: str, data: str) -> tuple[str, list[CoreResult]]:
        """Instantiate the core of a token function; returns the wire that says that results are there, and the results."""
        core = self.top.cores[self.number]
        done = self.wire("done")
        out = self.word("out", max(core.out_width, 1))
        faults = f", .{FAULT}({self.top.checks.wires(core.checked)})" if core.checked else ""
        self.say(
            f"{core.top} {self.core_name} (.clk(clk), .rst({self.top.reset}), .in_valid({fire}), .in_data({data}),"
            f" .out_valid({done}), .out_data({out}){faults});"
        )
        results: list[CoreResult] = []
        first, low = 0, 0
        for output in program.outputs:
            mine = core.outputs[first : first + program.nodes[output.node].type.size]
            results.append(CoreResult(out, fields_layout(mine), low))
            first += len(mine)
            low += sum(field.width for field in mine)
        return done, results


def joined(words: Sequence[str]) -> str:
    """``words`` side by side, the first in the lowest bits."""
    return f"{{{', '.join(reversed(words))}}}"
