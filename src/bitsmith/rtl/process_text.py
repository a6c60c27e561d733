"""The text of one process of a streaming top: its wires, the FIFOs of its operands, and its parts."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from bitsmith.dataflow.processes import OutputPort, Process, gives_back
from bitsmith.dataflow.wires import repeats
from bitsmith.ir.program import Program
from bitsmith.mapping.memories import takes_block
from bitsmith.rtl.design import LayerPart
from bitsmith.rtl.memory import address_bits
from bitsmith.rtl.names import identifier
from bitsmith.rtl.protection import FAULT, CheckedMemory
from bitsmith.rtl.stream_top import ALWAYS, Memory, StreamTop, joined, label_of, operand_wires, result_wires
from bitsmith.rtl.tokens import CoreResult, Layout, assignment, bits, converted, fields_layout, layout


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
        top.parts[self.name] = LayerPart(label_of(process.layers), None if core is None else core.latency)

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
        memory = CheckedMemory(label_of(self.process.layers), "tokens", depth, width, is_table=False)
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
        stored, spare, pieces = list[str](), list[str](), list[str]()
        ends = [0, *(np.flatnonzero(np.diff(zero)) + 1).tolist(), zero.size]
        for first, after in pairwise(ends):
            (spare if zero[first] else stored).append(f"{source}[{after - 1}:{first}]")
            left = int(np.sum(~zero[:first]))
            pieces.append(f"{after - first}'d0" if zero[first] else f"{held}[{left + after - first - 1}:{left}]")
        top.word(held, width)
        self.say(f"assign {target} = {joined(pieces)};")
        unused = top.word(self.named(f"unused_x{operand}"), zero.size - width)
        self.say(f"assign {unused} = {joined(spare)};")
        return joined(stored), held, width

    def large(self, operand: int = -1) -> dict[str, int]:
        """The parameter of memories that are larger ones than block memory: those within, or the FIFO of an operand."""
        column = self.top.larger.get((self.number, operand))
        return {} if column is None or self.top.single_port else {"LARGE": column}

    def check(self, width: int, depth: int = 0) -> int:
        """Check bits of the words of its memories of tokens, ``depth`` of which are needed, and which have ``width`` bits."""
        return self.top.checks.bits(width) if self._blocks(depth) else 0

    def _blocks(self, depth: int) -> list[int]:
        """The words of each of its memories of tokens in block memory or larger, but for those with checks of their own."""
        memories = self.process.kind.memories(self.process.takes, self.process.results, depth)
        own = (memory for memory in memories if not (memory.filled or memory.stays))
        taken = (one for one in own if takes_block(one.words, one.bits, self.top.memory) or self.large())
        return [memory.words for memory in taken for _ in range(memory.beside)]

    def fault(self, content: str, width: int) -> dict[str, str]:
        """The connection of a module that checks its memories itself."""
        if not self.check(width):
            return {"fault": self.top.word(f"unused_{self.named('fault')}", 2)}
        words = self._blocks(0)
        return {"fault": self.faults(content, max(words), width, len(words))}

    def faults(self, content: str, words: int, bits: int, number: int) -> str:
        """The wires for faults of ``number`` memories with check bits beside each other."""
        checked = CheckedMemory(label_of(self.process.layers), content, words, bits, is_table=False, number=number)
        return self.top.checks.wires([checked])

    def check_beside(self, words: int, bits: int) -> int:
        """Check bits of the words of a memory beside those of its kind."""
        return self.top.checks.bits(bits) if takes_block(words, bits, self.top.memory) else 0

    def buffer(self, module: str, parameters: Mapping[str, int], ports: Mapping[str, str], x: str, width: int) -> None:
        """Instantiate a module that gives the words of ``x``, or zeros, out of a memory."""
        check, y, checks = self.check(width, self.depth()), self.y[0], self.top.checks
        ends = self.ends(x)
        if check:
            name = self.named("buffer")
            memory = CheckedMemory(label_of(self.process.layers), "tokens", self.depth(), width, is_table=False)
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

    def actions(self, suffix: str, width: int, values: Sequence[int], act: str) -> tuple[str, str]:
        """The word of what the action that waits does, from a table, and whether it is the last one; ``act``: it is done.

        Large tables are read synchronously, so that they can be block memory.
        """
        clocked, size = self.top.memory.suits_table(len(values) * width), address_bits(len(values))
        index, word, last = self.word("index", size), self.word(f"{suffix}_word", width), self.wire(f"{suffix}_last")
        row = self.top.table(self.named(suffix), index, width, values, clocked=clocked)
        parameters = {"ACTIONS": len(values), "WIDTH": width, "AHEAD": int(clocked)}
        ports = {"act": act, "first": f"{width}'h{values[0]:x}", "index": index, "row": row, "word": word, "last": last}
        self.instance("actions", parameters, ports, f"_{suffix}_actions")
        self.say(f"assign {self.wire('unused_last')} = {last};")
        return word, last

    def core(self, program: Program, fire: str, data: str, copy: int = 0) -> tuple[str, list[CoreResult]]:
        """Instantiate the core of a token function; returns the wire that says that results are there, and the results.

        There may be copies of it, which have results at the same time.
        """
        core, suffix = self.top.cores[self.number], f"_{copy}" if copy else ""
        name = f"{self.core_name}{suffix}"
        self.top.parts |= {f"{name}.{part}": LayerPart(one.layer, one.cycles) for part, one in core.parts.items()}
        done = self.wire(f"done{suffix}")
        if copy:
            self.say(f"assign {self.wire(f'unused_done{suffix}')} = {done};")
        out = self.word(f"out{suffix}", max(core.out_width, 1))
        faults = f", .{FAULT}({self.top.checks.wires(core.checked)})" if core.checked else ""
        self.say(
            f"{core.top} {name} (.clk(clk), .rst({self.top.reset}), .in_valid({fire}), .in_data({data}),"
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
