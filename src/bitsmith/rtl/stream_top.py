"""The text of a streaming top in the making: signals, instances, FIFOs, tables and ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bitsmith.dataflow import processes as kinds
from bitsmith.dataflow.processes import LoadableWeights, Network, OutputPort, Process
from bitsmith.dataflow.schedule import Schedule
from bitsmith.devices.blocks import MemoryBlock, MultiplierBlock
from bitsmith.ir.program import Program
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.design import RtlDesign
from bitsmith.rtl.memory import ram
from bitsmith.rtl.names import Names, identifier
from bitsmith.rtl.stream_ports import Memory, StreamDesign, StreamPort, WeightPort
from bitsmith.rtl.tokens import Layout, bits, converted, fields_layout, layout
from bitsmith.rtl.writer import Title


class StreamTop:
    """The text of the top module.

    Signals of operand ``k`` of process ``n`` are called ``p<n>_x<k>_...``, those of its result ``k`` ``p<n>_y<k>_...``.
    """

    def __init__(
        self,
        network: Network,
        cores: Mapping[int, RtlDesign],
        plan: Schedule,
        block: MultiplierBlock | None,
        memory: MemoryBlock,
        top: str,
        title: Title,
        over_budget: int,
    ) -> None:
        self.network = network
        self.cores = cores
        self.plan = plan
        self.block = block
        self.memory = memory
        self.top = top
        self.title = title
        self.over_budget = over_budget
        self.lines: list[str] = []
        self.sources: dict[str, str] = {}
        self.ports: list[str] = []
        self.names = Names()
        self.inputs: list[StreamPort] = []
        self.outputs: list[StreamPort] = []
        self.weights: list[WeightPort] = []
        self.loads: list[WeightPort] = []
        self.loading: list[str] = []
        """Signals that hold the network in reset, while weights are loaded."""
        has_memories = any(
            isinstance(p.kind, kinds.Rom | kinds.FoldedProduct) and p.kind.loaded for p in network.processes
        )
        self.reset = "halt" if has_memories else "rst"
        self.memories: dict[str, Memory] = {}
        self.readers: dict[OutputPort, list[tuple[int, int]]] = {}
        for number, process in enumerate(network.processes):
            for operand, source in enumerate(process.args):
                self.readers.setdefault(source, []).append((number, operand))

    def design(self) -> StreamDesign:
        """All sources, the top's first."""
        plan = self.plan
        header = [
            f"// Written by {self.title.tool}, project {self.title.digest}.",
            f"// Frames of tokens: latency {plan.latency} cycles, a frame every {plan.interval} cycles.",
        ]
        if self.loading:
            self.say("", f"assign halt = rst | {' | '.join(self.loading)};")
        ports = ["input logic clk", "input logic rst", *self.ports]
        text = [*header, f"module {self.top} (", ",\n".join(f"  {port}" for port in ports), ");"]
        text += ["  logic halt;"] if self.loading else []
        text += [f"  {line}" for line in self.lines]
        sources = {f"{self.top}.sv": "\n".join([*text, "endmodule", ""])}
        for core in self.cores.values():
            sources |= core.sources
        sources |= self.sources
        return StreamDesign(
            self.top,
            sources,
            tuple(self.inputs),
            tuple(self.outputs),
            self.plan,
            self.over_budget,
            self.memories,
            tuple(self.weights),
            tuple(self.loads),
        )

    def say(self, *lines: str) -> None:
        self.lines += lines

    def wire(self, name: str, width: int) -> None:
        self.say(f"logic {name};" if width == 1 else f"logic [{width - 1}:0] {name};")

    def word(self, name: str, width: int) -> None:
        """A vector, also of one bit, so that slices of it are legal."""
        self.say(f"logic [{width - 1}:0] {name};")

    def fifos(self, number: int, process: Process) -> None:
        """The FIFOs in front of the operands; their producers come earlier, so their signals are declared."""
        for operand, source in enumerate(process.args):
            x, y = f"p{number}_x{operand}", f"p{source.process}_y{source.port}"
            width = bits(layout(process.takes[operand].token))
            for signal in ("valid", "take"):
                self.wire(f"{x}_{signal}", 1)
            self.word(f"{x}_data", width)
            depth = self.plan.depth(number, operand)
            self.holds(f"{x}_fifo", process, width)
            self.instance(
                "fifo",
                f"{x}_fifo",
                {"WIDTH": width, "DEPTH": depth},
                {
                    "free": f"{x}_free",
                    "claim": f"{y}_claim",
                    "put": f"{y}_put",
                    "put_data": f"{y}_data",
                    "valid": f"{x}_valid",
                    "take": f"{x}_take",
                    "data": f"{x}_data",
                },
            )

    def holds(self, instance: str, process: Process, width: int) -> None:
        self.memories[instance] = Memory(", ".join(process.layers), width)

    def result(self, number: int, port: int, elements: Layout) -> None:
        """The signals of a result: free when each reader's FIFO is."""
        y = f"p{number}_y{port}"
        for signal in ("free", "claim", "put"):
            self.wire(f"{y}_{signal}", 1)
        self.word(f"{y}_data", bits(elements))
        readers = self.readers.get(OutputPort(number, port), [])
        frees = [f"p{reader}_x{operand}_free" for reader, operand in readers]
        self.say(*(f"logic {free};" for free in frees))
        self.say(f"assign {y}_free = {' & '.join(frees) if frees else chr(49) + chr(39) + 'b1'};")

    def instance(self, module: str, name: str, parameters: Mapping[str, int], ports: Mapping[str, str]) -> None:
        text = ", ".join(f".{key}({value})" for key, value in parameters.items())
        connections = ", ".join(f".{key}({value})" for key, value in {"clk": "clk", "rst": self.reset, **ports}.items())
        self.say(f"bitsmith_{module} #({text}) {name} ({connections});")

    def standard(self, number: int, x_data: str | None = None, y_data: str | None = None) -> dict[str, str]:
        """The connections of a process of one operand and one result."""
        x, y = f"p{number}_x0", f"p{number}_y0"
        return {
            "x_valid": f"{x}_valid",
            "x_data": x_data or f"{x}_data",
            "x_take": f"{x}_take",
            "y_free": f"{y}_free",
            "y_claim": f"{y}_claim",
            "y_put": f"{y}_put",
            "y_data": y_data or f"{y}_data",
        }

    def prepared(self, name: str, source: str, have: Layout, want: Layout) -> str:
        """A word ``name`` with the elements of ``source`` in another layout."""
        self.word(name, bits(want))
        self.say(f"assign {name} = {converted(source, have, want)};")
        return name

    def converted(self, number: int, have: Layout, want: Layout) -> None:
        """The result of a process from its elements in ``have``, all as wide as the widest: upper bits may repeat signs."""
        self.say(
            f"assign p{number}_y0_data = {converted(f'p{number}_y', have, want)};",
            f"logic unused_p{number}_y;",
            f"assign unused_p{number}_y = ^p{number}_y;",
        )

    def table(
        self, name: str, index: str, width: int, values: Sequence[int], address_bits: int, *, clocked: bool = False
    ) -> str:
        """A look-up of ``values`` by ``index``, in a module of its own; the next cycle's if ``clocked``."""
        self.word(name, width)
        module = f"{self.top}_{name}_rom"
        ports = [
            *(["input logic clk"] if clocked else []),
            f"input logic [{address_bits - 1}:0] address",
            f"output logic [{width - 1}:0] value",
        ]
        assign = "<=" if clocked else "="
        lines = [
            f"// Written by {self.title.tool}, project {self.title.digest}.",
            f"module {module} (",
            ",\n".join(f"  {port}" for port in ports),
            ");",
            "  always_ff @(posedge clk) begin" if clocked else "  always_comb begin",
            "    case (address)",
            *(f"      {address_bits}'d{at}: value {assign} {width}'h{value:x};" for at, value in enumerate(values)),
            f"      default: value {assign} '0;",
            "    endcase",
            "  end",
            "endmodule",
            "",
        ]
        self.sources[f"{module}.sv"] = "\n".join(lines)
        clock = ".clk(clk), " if clocked else ""
        self.say(f"{module} {name}_rom_inst ({clock}.address({index}), .value({name}));")
        return name

    def loadable(
        self, name: str, index: str, values: Sequence[int], loaded: LoadableWeights, elements: Sequence[Field]
    ) -> str:
        """As a clocked ``_table`` of words of ``elements``, all of one format, that can be loaded."""
        width, words = sum(element.width for element in elements), len(values)
        port = StreamPort(
            self.names.unique(f"{identifier(f'{loaded.layer}_{loaded.name}')}_load"),
            (elements[0],),
            words * len(elements),
        )
        self.loads.append(WeightPort(port, loaded))
        self.ports += [
            f"input logic {port.name}_valid",
            f"output logic {port.name}_ready",
            f"input logic [{port.width - 1}:0] {port.name}_data",
        ]
        address_bits = max((words - 1).bit_length(), 1)
        for signal in ("loading", "write"):
            self.wire(f"{name}_{signal}", 1)
        self.word(f"{name}_address", address_bits)
        for word in (f"{name}_word", name):
            self.word(word, width)
        self.loading.append(f"{name}_loading")
        parameters = {"ELEMENT": port.width, "PARTS": len(elements), "WORDS": words}
        text = ", ".join(f".{key}({value})" for key, value in parameters.items())
        self.say(
            f"bitsmith_load #({text}) {name}_load (.clk(clk), .rst(rst), .load_valid({port.name}_valid),"
            f" .load_ready({port.name}_ready), .load_data({port.name}_data), .loading({name}_loading), .write({name}_write),"
            f" .address({name}_address), .word({name}_word));",
            f"{self.top}_{name}_ram {name}_ram_inst (.clk(clk), .write({name}_write), .write_address({name}_address),"
            f" .write_word({name}_word), .address({index}), .value({name}));",
        )
        self.sources[f"{self.top}_{name}_ram.sv"] = ram(f"{self.top}_{name}_ram", width, values, self.title)
        return name

    def looked_up(self, number: int, name: str, width: int, values: Sequence[int]) -> tuple[dict[str, str], str]:
        """A table of what each action of process ``number`` does: the ports that give its address, and its word.

        Large tables are read synchronously, so that they can be block memory.
        """
        address_bits = max((len(values) - 1).bit_length(), 1)
        clocked = self.memory.suits_table(len(values) * width)
        used, unused = ("next_index", "index") if clocked else ("index", "next_index")
        address, other = f"p{number}_{used}", f"unused_p{number}_{unused}"
        for word in (address, other):
            self.word(word, address_bits)
        table = self.table(f"p{number}_{name}", address, width, values, address_bits, clocked=clocked)
        return {used: address, unused: other}, table

    def core(self, number: int, program: Program, fire: str, data: str) -> list[tuple[Layout, int]]:
        """The core of a token function: for each of its results, how it lies in the word ``p<n>_out``, and from which bit up."""
        core = self.cores[number]
        self.wire(f"p{number}_done", 1)
        self.word(f"p{number}_out", max(core.out_width, 1))
        self.say(
            f"{core.top} p{number}_core (.clk(clk), .rst({self.reset}), .in_valid({fire}), .in_data({data}),"
            f" .out_valid(p{number}_done), .out_data(p{number}_out));"
        )
        found: list[tuple[Layout, int]] = []
        first, low = 0, 0
        for output in program.outputs:
            mine = core.outputs[first : first + program.nodes[output.node].type.size]
            found.append((fields_layout(mine), low))
            first += len(mine)
            low += sum(field.width for field in mine)
        return found
