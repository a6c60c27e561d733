"""Writes a network of processes as SystemVerilog: cores of the token functions, modules of ``rtl/lib``, and queues between.

The top's ports, per input and output of the program: ``<name>_valid``, ``<name>_ready``, ``<name>_data`` (one token), and
``<name>_last`` of outputs, with the last token of a frame; ``clk`` and ``rst`` (synchronous, active high). Weights that come
with each frame have ports as inputs have. A memory that can be loaded has ports ``<layer>_<tensor>_load_...`` for its elements;
from the first to the last of them everything else is held in reset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.ir import ops
from bitsmith.ir.ops import Ints
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.netlist.narrow import narrow
from bitsmith.netlist.netlist import Field
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.scalarise import scalarise
from bitsmith.plan import processes as kinds
from bitsmith.plan.delay import DelayModel
from bitsmith.plan.devices import Block
from bitsmith.plan.multipliers import Pairs, multipliers
from bitsmith.plan.processes import Loaded, Network, Process, Source, hull
from bitsmith.plan.schedule import Schedule, schedule
from bitsmith.plan.timing import REDUCE_LATENCY, fold_latency, is_monotone, timing
from bitsmith.rtl.design import RtlDesign
from bitsmith.rtl.memory import ram
from bitsmith.rtl.names import Names, identifier
from bitsmith.rtl.tokens import Element, Layout, bits, converted, fields, fields_layout, layout, uniform
from bitsmith.rtl.writer import Title, write

_BLOCK_TABLE_BITS = 2048
"""Tables from here on are read synchronously."""


@dataclass(frozen=True, slots=True)
class StreamPort:
    """A stream at the border: the elements of a token, and tokens per frame."""

    name: str
    fields: tuple[Field, ...]
    tokens: int

    @property
    def width(self) -> int:
        """Bits of ``<name>_data``."""
        return sum(field.width for field in self.fields)


@dataclass(frozen=True, slots=True)
class WeightPort:
    """A stream at the border for weights: the tokens of each frame, or one element per transfer into a memory."""

    port: StreamPort
    loaded: Loaded

    def tokens(self, raw: Ints) -> Ints:
        """The raw values of the tensor as rows, one per token."""
        return objects(self.loaded.tiles(raw).reshape(self.port.tokens, -1))


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory for tokens: the layers that take them, and the bits of each."""

    layers: str
    width: int


@dataclass(frozen=True, slots=True)
class StreamDesign:
    """Sources of a streaming top, its ports, and its schedule.

    ``weights`` come with each frame, ``loads`` are memories that can be loaded.
    """

    top: str
    sources: Mapping[str, str]
    inputs: tuple[StreamPort, ...]
    outputs: tuple[StreamPort, ...]
    schedule: Schedule
    too_slow: int
    """Operations that take longer than the clock period."""
    memories: Mapping[str, Memory]
    """Queues in front of processes, buffers that reorder tokens, and lines behind windows, by the instance's name."""
    weights: tuple[WeightPort, ...] = ()
    loads: tuple[WeightPort, ...] = ()


def lay_out(network: Network, delays: DelayModel, budget_ns: float, top: str, title: Title) -> StreamDesign:
    """The hardware of ``network``, its token functions pipelined for stages of ``budget_ns``."""
    top = identifier(top)
    cores: dict[int, RtlDesign] = {}
    too_slow = 0
    for number, process in enumerate(network.processes):
        program = _core_program(process)
        if program is not None:
            netlist = narrow(scalarise(program))
            stages = pipeline(netlist, delays, budget_ns)
            too_slow += len(stages.too_slow)
            cores[number] = write(netlist, stages, f"{top}_core{number}", title)
    latencies = {number: core.latency for number, core in cores.items()}
    for number, process in enumerate(network.processes):
        if isinstance(process.kind, kinds.Fold):
            latencies[number] = fold_latency(int(process.kind.weights.shape[2]))
        elif isinstance(process.kind, kinds.Reduce):
            latencies[number] = REDUCE_LATENCY
    return _Writer(network, cores, schedule(network, latencies), delays.block, top, title, too_slow).design()


def _core_program(process: Process) -> Program | None:
    match process.kind:
        case kinds.Map():
            return process.kind.program
        case kinds.Scan():
            return process.kind.body
        case _:
            return None


class _Writer:
    """The text of the top module.

    Signals of operand ``k`` of process ``n`` are called ``p<n>_x<k>_...``, those of its result ``k`` ``p<n>_y<k>_...``.
    """

    def __init__(
        self,
        network: Network,
        cores: Mapping[int, RtlDesign],
        plan: Schedule,
        block: Block | None,
        top: str,
        title: Title,
        too_slow: int,
    ) -> None:
        self._network = network
        self._cores = cores
        self._plan = plan
        self._block = block
        self._top = top
        self._title = title
        self._too_slow = too_slow
        self._lines: list[str] = []
        self._sources: dict[str, str] = {}
        self._ports: list[str] = []
        self._names = Names()
        self._inputs: list[StreamPort] = []
        self._outputs: list[StreamPort] = []
        self._weights: list[WeightPort] = []
        self._loads: list[WeightPort] = []
        self._loading: list[str] = []
        """Signals that hold the network in reset, while weights are loaded."""
        has_memories = any(isinstance(p.kind, kinds.Rom | kinds.Fold) and p.kind.loaded for p in network.processes)
        self._reset = "halt" if has_memories else "rst"
        self._memories: dict[str, Memory] = {}
        self._readers: dict[Source, list[tuple[int, int]]] = {}
        for number, process in enumerate(network.processes):
            for operand, source in enumerate(process.args):
                self._readers.setdefault(source, []).append((number, operand))

    def design(self) -> StreamDesign:
        """All sources, the top's first."""
        for number, process in enumerate(self._network.processes):
            self._process(number, process)
        plan = self._plan
        header = [
            f"// Written by {self._title.tool}, project {self._title.digest}.",
            f"// Frames of tokens: latency {plan.latency} cycles, a frame every {plan.interval} cycles.",
        ]
        if self._loading:
            self._say("", f"assign halt = rst | {' | '.join(self._loading)};")
        ports = ["input logic clk", "input logic rst", *self._ports]
        text = [*header, f"module {self._top} (", ",\n".join(f"  {port}" for port in ports), ");"]
        text += ["  logic halt;"] if self._loading else []
        text += [f"  {line}" for line in self._lines]
        sources = {f"{self._top}.sv": "\n".join([*text, "endmodule", ""])}
        for core in self._cores.values():
            sources |= core.sources
        sources |= self._sources
        return StreamDesign(
            self._top, sources, tuple(self._inputs), tuple(self._outputs), self._plan, self._too_slow,
            self._memories, tuple(self._weights), tuple(self._loads),
        )  # fmt: skip

    def _say(self, *lines: str) -> None:
        self._lines += lines

    def _wire(self, name: str, width: int) -> None:
        self._say(f"logic {name};" if width == 1 else f"logic [{width - 1}:0] {name};")

    def _word(self, name: str, width: int) -> None:
        """A vector, also of one bit, so that slices of it are legal."""
        self._say(f"logic [{width - 1}:0] {name};")

    def _process(self, number: int, process: Process) -> None:
        about = f" ({', '.join(' '.join(layer.split()) for layer in process.layers)})" if process.layers else ""
        self._say("", f"// {number}: {type(process.kind).__name__.lower()}{about}")
        self._queues(number, process)
        for port, stream in enumerate(process.results):
            self._result(number, port, layout(stream.token))
        kind = process.kind
        match kind:
            case kinds.Entry():
                self._entry(number, kind, process)
            case kinds.Exit():
                self._exit(number, kind, process)
            case kinds.Rom():
                self._rom(number, kind, process)
            case kinds.Map():
                self._map(number, kind, process)
            case kinds.Fold():
                self._fold(number, kind, process)
            case kinds.Window():
                self._window(number, kind, process)
            case kinds.Reduce():
                self._reduce(number, kind, process)
            case kinds.Regroup():
                self._regroup(number, kind, process)
            case kinds.Reorder():
                self._reorder(number, kind, process)
            case kinds.Merge():
                self._merge(number, kind, process)
            case kinds.Scan():
                self._scan(number, kind, process)
            case _:
                assert_never(kind)

    def _queues(self, number: int, process: Process) -> None:
        """The queues in front of the operands; their producers come earlier, so their signals are declared."""
        for operand, source in enumerate(process.args):
            x, y = f"p{number}_x{operand}", f"p{source.process}_y{source.port}"
            width = bits(layout(process.takes[operand].token))
            for signal in ("valid", "take"):
                self._wire(f"{x}_{signal}", 1)
            self._word(f"{x}_data", width)
            depth = self._plan.depth(number, operand)
            self._holds(f"{x}_queue", process, width)
            self._instance(
                "queue", f"{x}_queue", {"WIDTH": width, "DEPTH": depth},
                {"free": f"{x}_free", "claim": f"{y}_claim", "put": f"{y}_put", "put_data": f"{y}_data",
                 "valid": f"{x}_valid", "take": f"{x}_take", "data": f"{x}_data"},
            )  # fmt: skip

    def _holds(self, instance: str, process: Process, width: int) -> None:
        self._memories[instance] = Memory(", ".join(process.layers), width)

    def _result(self, number: int, port: int, elements: Layout) -> None:
        """The signals of a result: free when each reader's queue is."""
        y = f"p{number}_y{port}"
        for signal in ("free", "claim", "put"):
            self._wire(f"{y}_{signal}", 1)
        self._word(f"{y}_data", bits(elements))
        readers = self._readers.get(Source(number, port), [])
        frees = [f"p{reader}_x{operand}_free" for reader, operand in readers]
        self._say(*(f"logic {free};" for free in frees))
        self._say(f"assign {y}_free = {' & '.join(frees) if frees else chr(49) + chr(39) + 'b1'};")

    def _instance(self, module: str, name: str, parameters: Mapping[str, int], ports: Mapping[str, str]) -> None:
        text = ", ".join(f".{key}({value})" for key, value in parameters.items())
        connections = ", ".join(
            f".{key}({value})" for key, value in {"clk": "clk", "rst": self._reset, **ports}.items()
        )
        self._say(f"bitsmith_{module} #({text}) {name} ({connections});")

    def _standard(self, number: int, x_data: str | None = None, y_data: str | None = None) -> dict[str, str]:
        """The connections of a process of one operand and one result."""
        x, y = f"p{number}_x0", f"p{number}_y0"
        return {
            "x_valid": f"{x}_valid", "x_data": x_data or f"{x}_data", "x_take": f"{x}_take",
            "y_free": f"{y}_free", "y_claim": f"{y}_claim", "y_put": f"{y}_put", "y_data": y_data or f"{y}_data",
        }  # fmt: skip

    def _prepared(self, name: str, source: str, have: Layout, want: Layout) -> str:
        """A word ``name`` with the elements of ``source`` in another layout."""
        self._word(name, bits(want))
        self._say(f"assign {name} = {converted(source, have, want)};")
        return name

    def _converted(self, number: int, have: Layout, want: Layout) -> None:
        """The result of a process from its elements in ``have``, all as wide as the widest: upper bits may repeat signs."""
        self._say(
            f"assign p{number}_y0_data = {converted(f'p{number}_y', have, want)};",
            f"logic unused_p{number}_y;",
            f"assign unused_p{number}_y = ^p{number}_y;",
        )

    def _table(
        self, name: str, index: str, width: int, values: Sequence[int], address_bits: int, *, clocked: bool = False
    ) -> str:
        """A look-up of ``values`` by ``index``, in a module of its own; the next cycle's if ``clocked``."""
        self._word(name, width)
        module = f"{self._top}_{name}_rom"
        ports = [
            *(["input logic clk"] if clocked else []),
            f"input logic [{address_bits - 1}:0] address",
            f"output logic [{width - 1}:0] value",
        ]
        assign = "<=" if clocked else "="
        lines = [
            f"// Written by {self._title.tool}, project {self._title.digest}.",
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
        self._sources[f"{module}.sv"] = "\n".join(lines)
        clock = ".clk(clk), " if clocked else ""
        self._say(f"{module} {name}_rom_inst ({clock}.address({index}), .value({name}));")
        return name

    def _loadable(self, name: str, index: str, values: Sequence[int], loaded: Loaded, elements: Sequence[Field]) -> str:
        """As a clocked ``_table`` of words of ``elements``, all of one format, that can be loaded."""
        width, words = sum(element.width for element in elements), len(values)
        port = StreamPort(
            self._names.unique(f"{identifier(f'{loaded.layer}_{loaded.name}')}_load"),
            (elements[0],),
            words * len(elements),
        )
        self._loads.append(WeightPort(port, loaded))
        self._ports += [
            f"input logic {port.name}_valid",
            f"output logic {port.name}_ready",
            f"input logic [{port.width - 1}:0] {port.name}_data",
        ]
        address_bits = max((words - 1).bit_length(), 1)
        for signal in ("loading", "write"):
            self._wire(f"{name}_{signal}", 1)
        self._word(f"{name}_address", address_bits)
        for word in (f"{name}_word", name):
            self._word(word, width)
        self._loading.append(f"{name}_loading")
        parameters = {"ELEMENT": port.width, "PARTS": len(elements), "WORDS": words}
        text = ", ".join(f".{key}({value})" for key, value in parameters.items())
        self._say(
            f"bitsmith_load #({text}) {name}_load (.clk(clk), .rst(rst), .load_valid({port.name}_valid),"
            f" .load_ready({port.name}_ready), .load_data({port.name}_data), .loading({name}_loading), .write({name}_write),"
            f" .address({name}_address), .word({name}_word));",
            f"{self._top}_{name}_ram {name}_ram_inst (.clk(clk), .write({name}_write), .write_address({name}_address),"
            f" .write_word({name}_word), .address({index}), .value({name}));",
        )
        self._sources[f"{self._top}_{name}_ram.sv"] = ram(f"{self._top}_{name}_ram", width, values, self._title)
        return name

    def _entry(self, number: int, kind: kinds.Entry, process: Process) -> None:
        name = self._names.unique(identifier(kind.name))
        stream = process.results[0]
        port = StreamPort(name, fields(kind.name, stream.token), stream.tokens)
        if kind.loaded:
            self._weights.append(WeightPort(port, kind.loaded))
        else:
            self._inputs.append(port)
        self._ports += [
            f"input logic {name}_valid",
            f"output logic {name}_ready",
            f"input logic [{port.width - 1}:0] {name}_data",
        ]
        y = f"p{number}_y0"
        self._say(
            f"assign {name}_ready = {y}_free & ~{self._reset};", f"assign {y}_claim = {name}_valid & {name}_ready;",
            f"assign {y}_put = {y}_claim;", f"assign {y}_data = {name}_data;",
        )  # fmt: skip

    def _exit(self, number: int, kind: kinds.Exit, process: Process) -> None:
        name = self._names.unique(identifier(kind.name))
        stream = process.takes[0]
        port = StreamPort(name, fields(kind.name, stream.token), stream.tokens)
        self._outputs.append(port)
        self._ports += [
            f"output logic {name}_valid", f"input logic {name}_ready", f"output logic [{port.width - 1}:0] {name}_data",
            f"output logic {name}_last",
        ]  # fmt: skip
        x = f"p{number}_x0"
        self._say(
            f"assign {name}_valid = {x}_valid;", f"assign {x}_take = {name}_valid & {name}_ready;",
            f"assign {name}_data = {x}_data;",
        )  # fmt: skip
        if stream.tokens == 1:
            self._say(f"assign {name}_last = 1'b1;")
            return
        width = (stream.tokens - 1).bit_length()
        self._word(f"p{number}_count", width)
        self._say(
            f"assign {name}_last = p{number}_count == {width}'d{stream.tokens - 1};",
            "always_ff @(posedge clk) begin",
            f"  if ({self._reset}) p{number}_count <= '0;",
            f"  else if ({x}_take) p{number}_count <= {name}_last ? '0 : p{number}_count + 1'b1;",
            "end",
        )

    def _rom(self, number: int, kind: kinds.Rom, process: Process) -> None:
        stream = process.results[0]
        width = bits(layout(stream.token))
        rows = kind.raw.reshape(stream.tokens, -1)
        rows = rows[: kind.loaded.steps * kind.loaded.groups if kind.loaded else _period(rows)]
        values = [_packed(token, layout(stream.token)) for token in rows]
        if kind.loaded:
            address, unused = f"p{number}_next_index", f"unused_p{number}_index"
            for word in (address, unused):
                self._word(word, max((len(rows) - 1).bit_length(), 1))
            ports = {"next_index": address, "index": unused}
            table = self._loadable(
                f"p{number}_values", address, values, kind.loaded, fields(kind.loaded.name, stream.token)
            )
        else:
            ports, table = self._looked_up(number, "values", width, values)
        y = f"p{number}_y0"
        self._instance(
            "source", f"p{number}", {"WIDTH": width, "TOKENS": len(rows)},
            {**ports, "table_data": table, "y_free": f"{y}_free", "y_claim": f"{y}_claim", "y_put": f"{y}_put",
             "y_data": f"{y}_data"},
        )  # fmt: skip

    def _looked_up(self, number: int, name: str, width: int, values: Sequence[int]) -> tuple[dict[str, str], str]:
        """A table of what each action of process ``number`` does: the ports that give its address, and its word.

        Large tables are read synchronously, so that they can be block memory.
        """
        address_bits = max((len(values) - 1).bit_length(), 1)
        clocked = len(values) * width >= _BLOCK_TABLE_BITS
        used, unused = ("next_index", "index") if clocked else ("index", "next_index")
        address, other = f"p{number}_{used}", f"unused_p{number}_{unused}"
        for word in (address, other):
            self._word(word, address_bits)
        table = self._table(f"p{number}_{name}", address, width, values, address_bits, clocked=clocked)
        return {used: address, unused: other}, table

    def _core(self, number: int, program: Program, fire: str, data: str) -> list[tuple[Layout, int]]:
        """The core of a token function: for each of its results, how it lies in the word ``p<n>_out``, and from which bit up."""
        core = self._cores[number]
        self._wire(f"p{number}_done", 1)
        self._word(f"p{number}_out", max(core.out_width, 1))
        self._say(
            f"{core.top} p{number}_core (.clk(clk), .rst({self._reset}), .in_valid({fire}), .in_data({data}),"
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

    def _map(self, number: int, kind: kinds.Map, process: Process) -> None:
        fire = f"p{number}_fire"
        self._wire(fire, 1)
        operands = [f"p{number}_x{k}" for k in range(len(process.args))]
        results = [f"p{number}_y{k}" for k in range(len(process.results))]
        self._say(
            f"assign {fire} = {' & '.join([*(f'{x}_valid' for x in operands), *(f'{y}_free' for y in results)])};"
        )
        self._say(*(f"assign {x}_take = {fire};" for x in operands))
        data = f"{{{', '.join(f'{x}_data' for x in reversed(operands))}}}" if operands else "'0"
        outputs = self._core(number, kind.program, fire, data)
        for y, stream, (have, low) in zip(results, process.results, outputs, strict=True):
            self._say(
                f"assign {y}_claim = {fire};", f"assign {y}_put = p{number}_done;",
                f"assign {y}_data = {converted(f'p{number}_out', have, layout(stream.token), low)};",
            )  # fmt: skip

    def _fold(self, number: int, kind: kinds.Fold, process: Process) -> None:
        groups, steps, n, m = kind.weights.shape
        lanes = process.takes[0].token.shape[0]
        have = layout(process.takes[0].token)
        each = hull(process.takes[0].token, 1)
        wanted = [element for _ in range(lanes) for element in layout(each)]
        signed = any(element.signed for element in wanted)
        x_width = uniform(wanted)[0].width if signed else max(max(element.width for element in wanted), 1)
        operand = [Element(x_width, signed, element.frac) for element in wanted]
        x = self._prepared(f"p{number}_x", f"p{number}_x0_data", have, operand)
        made = multipliers(kind, process.takes[0].token, process.results[0].token, self._block)
        w_width = made.weight
        elements = fields(kind.loaded.name, kind.loaded.token((n, m))) if kind.loaded else ()
        want = layout(process.results[0].token)
        results = uniform(want)
        y_width = results[0].width
        address_bits = max((groups * steps - 1).bit_length(), 1)
        self._word(f"p{number}_address", address_bits)
        tiles = kind.weights.reshape(groups * steps, n * m)
        if kind.loaded:
            stored = fields_layout(elements)
            words = [_packed(tile, stored) for tile in tiles]
            memory = self._loadable(f"p{number}_stored", f"p{number}_address", words, kind.loaded, elements)
            table = self._prepared(f"p{number}_weights", memory, stored, uniform(stored))
        else:
            values = [_packed_signed([int(w) for w in tile.ravel()], w_width) for tile in tiles]
            table = self._table(
                f"p{number}_weights", f"p{number}_address", n * m * w_width, values, address_bits, clocked=True
            )
        self._word(f"p{number}_y", bits(results))
        self._instance(
            "fold", f"p{number}",
            {"LANES": lanes, "N": n, "M": m, "X_WIDTH": x_width, "X_SIGNED": int(signed), "W_WIDTH": w_width,
             "P_WIDTH": made.product, "LANE_PAIRS": int(made.pairs is Pairs.LANES),
             "COLUMN_PAIRS": int(made.pairs is Pairs.COLUMNS), "PACKED_WIDTH": made.packed, "Y_WIDTH": y_width,
             "STEPS": steps, "GROUPS": groups},
            {**self._standard(number, x, f"p{number}_y"), "rom_address": f"p{number}_address", "rom_data": table},
        )  # fmt: skip
        self._converted(number, results, want)

    def _window(self, number: int, kind: kinds.Window, process: Process) -> None:
        taken, given = process.takes[0], process.results[0]
        rank, taps = len(kind.op.size), int(np.prod(kind.op.size))
        want = layout(given.token)[: len(layout(given.token)) // taps]
        x = self._prepared(f"p{number}_x", f"p{number}_x0_data", layout(taken.token), want)
        parameters = {"WIDTH": bits(want)}
        for axis in range(3):
            inner = axis - (3 - rank)
            before, after = kind.op.padding[inner] if inner >= 0 else (0, 0)
            values = {
                "SIZE": taken.grid[inner] if inner >= 0 else 1,
                "TAPS": kind.op.size[inner] if inner >= 0 else 1,
                "STRIDE": kind.op.stride[inner] if inner >= 0 else 1,
                "DILATION": kind.op.dilation[inner] if inner >= 0 else 1,
                "BEFORE": before,
                "AFTER": after,
            }
            parameters |= {f"{key}_{axis}": value for key, value in values.items()}
        self._holds(f"p{number}_lines", process, bits(want))
        self._instance("window", f"p{number}_lines", parameters, self._standard(number, x))

    def _reduce(self, number: int, kind: kinds.Reduce, process: Process) -> None:
        want = layout(process.results[0].token)
        inner = uniform(want)
        x = self._prepared(f"p{number}_x", f"p{number}_x0_data", layout(process.takes[0].token), inner)
        self._word(f"p{number}_y", bits(inner))
        parameters = {
            "COUNT": kind.count,
            "ELEMENTS": len(inner),
            "WIDTH": inner[0].width,
            "GREATEST": int(isinstance(kind.op, ops.AMax)),
        }
        self._instance("reduce", f"p{number}", parameters, self._standard(number, x, f"p{number}_y"))
        self._converted(number, inner, want)

    def _regroup(self, number: int, kind: kinds.Regroup, process: Process) -> None:
        have, want = layout(process.takes[0].token), layout(process.results[0].token)
        if len(have) < len(want):
            parts = len(want) // len(have)
            self._instance("gather", f"p{number}", {"PARTS": parts, "WIDTH": bits(have)}, self._standard(number))
            return
        parts = len(have) // len(want)
        x = self._prepared(f"p{number}_x", f"p{number}_x0_data", have, want * parts)
        self._instance(
            "split", f"p{number}", {"PARTS": parts, "TIMES": kind.times, "WIDTH": bits(want)}, self._standard(number, x)
        )

    def _reorder(self, number: int, kind: kinds.Reorder, process: Process) -> None:
        want = layout(process.results[0].token)
        x = self._prepared(f"p{number}_x", f"p{number}_x0_data", layout(process.takes[0].token), want)
        tokens = process.takes[0].tokens
        sequencer = timing(process, 0).sequencers[-1]
        actions = sequencer.actions
        before = np.concatenate([[0], sequencer.takes[0][:-1]])
        takes = sequencer.takes[0] - before
        if is_monotone(kind.source):
            gives = np.diff(sequencer.fills[0], prepend=0)
            needs = (sequencer.needs[0] > before).astype(np.int64)
            flags = [int(n | t << 1 | g << 2) for n, t, g in zip(needs, takes, gives, strict=True)]
            flags = flags[: _period(np.array(flags).reshape(-1, 1))]
            ports, table = self._looked_up(number, "flags", 3, flags)
            ports = {**self._standard(number, x), **ports, "flags": table}
            self._instance("order", f"p{number}", {"ACTIONS": len(flags), "WIDTH": bits(want)}, ports)
            return
        depth = self._plan.depth(number, -1)
        address_bits, count_bits = max((depth - 1).bit_length(), 1), depth.bit_length()
        rows = [
            max(int(place), 0) % (1 << address_bits)
            | int(place < 0) << address_bits
            | int(need) << (address_bits + 1)
            | int(take) << (address_bits + 1 + count_bits)
            for place, need, take in zip(kind.source, sequencer.needs[0] - before, takes, strict=True)
        ]
        width = address_bits + 1 + 2 * count_bits
        ports, table = self._looked_up(number, "reads", width, rows)
        ports |= {
            "address": f"{table}[{address_bits - 1}:0]",
            "zero": f"{table}[{address_bits}]",
            "needed": f"{table}[{address_bits + count_bits}:{address_bits + 1}]",
            "freed": f"{table}[{width - 1}:{address_bits + count_bits + 1}]",
        }
        parameters = {"WIDTH": bits(want), "DEPTH": depth, "TOKENS": tokens, "READS": actions}
        self._holds(f"p{number}_buffer", process, bits(want))
        self._instance("reorder", f"p{number}_buffer", parameters, {**self._standard(number, x), **ports})

    def _merge(self, number: int, kind: kinds.Merge, process: Process) -> None:
        operands = len(process.args)
        want = layout(process.results[0].token)
        # What comes may be known to lie in less than the result holds.
        words = [
            self._prepared(f"p{number}_in{k}", f"p{number}_x{k}_data", layout(stream.token), want)
            for k, stream in enumerate(process.takes)
        ]
        which = max((operands - 1).bit_length(), 1)
        source = kind.source[: _period(kind.source.reshape(-1, 1))]
        index, table = self._looked_up(number, "which", which, [int(k) for k in source])
        joined = {
            f"x_{signal}": f"{{{', '.join(f'p{number}_x{k}_{signal}' for k in reversed(range(operands)))}}}"
            for signal in ("valid", "take")
        }
        joined["x_data"] = f"{{{', '.join(reversed(words))}}}"
        ports = {**self._standard(number), **joined, **index, "which": table}
        parameters = {"OPERANDS": operands, "WIDTH": bits(want), "ACTIONS": len(source)}
        self._instance("merge", f"p{number}", parameters, ports)

    def _scan(self, number: int, kind: kinds.Scan, process: Process) -> None:
        # What comes may be known to lie in less than the body's inputs hold.
        declared = [layout(kind.body.nodes[index].type) for index in kind.body.inputs]
        for k, (stream, want) in enumerate(zip(process.takes, declared, strict=True)):
            self._prepared(f"p{number}_in{k}", f"p{number}_x{k}_data", layout(stream.token), want)
        states = declared[: kind.states]
        state_bits = max(bits([element for state in states for element in state]), 1)
        initial, items = range(kind.states), range(kind.states, len(process.args))

        def joined(operands: Sequence[int], signal: str, junction: str) -> str:
            return junction.join(f"p{number}_x{k}_{signal}" for k in operands)

        def words(operands: Sequence[int]) -> list[str]:
            """The operands' words, the first in the lowest bits."""
            return [f"p{number}_in{k}" for k in reversed(operands)]

        for name in ("start_take", "item_take", "core_valid"):
            self._wire(f"p{number}_{name}", 1)
        for name in ("state", "next"):
            self._word(f"p{number}_{name}", state_bits)
        self._say(*(f"assign p{number}_x{k}_take = p{number}_start_take;" for k in initial))
        self._say(*(f"assign p{number}_x{k}_take = p{number}_item_take;" for k in items))
        data = ", ".join([*words(items), *([f"p{number}_state"] if words(initial) else [])])
        outputs = self._core(number, kind.body, f"p{number}_core_valid", f"{{{data}}}")
        following = [
            converted(f"p{number}_out", have, want, low) for (have, low), want in zip(outputs[:-1], states, strict=True)
        ]
        self._say(
            f"assign p{number}_next = {{{', '.join(reversed(following))}}};"
            if following
            else f"assign p{number}_next = '0;"
        )
        have, low = outputs[-1]
        y = f"p{number}_y0"
        self._say(
            f"assign {y}_data = {converted(f'p{number}_out', have, layout(process.results[0].token), low)};",
        )
        starts = ", ".join(words(initial))
        ports = {
            "initial_valid": joined(initial, "valid", " & ") or "1'b1",
            "initial_data": f"{{{starts}}}" if starts else "'0",
            "initial_take": f"p{number}_start_take",
            "x_valid": joined(items, "valid", " & ") or "1'b1",
            "x_take": f"p{number}_item_take",
            "core_valid": f"p{number}_core_valid",
            "core_states": f"p{number}_state",
            "core_answers": f"p{number}_done",
            "next_states": f"p{number}_next",
            **{signal: f"{y}_{signal.removeprefix('y_')}" for signal in ("y_free", "y_claim", "y_put")},
        }
        self._instance("scan", f"p{number}", {"STEPS": kind.steps, "STATES_WIDTH": state_bits}, ports)


def _period(rows: npt.NDArray[np.generic]) -> int:
    """The least number of rows of which all are repetitions."""
    for period in range(1, len(rows) // 2 + 1):
        if len(rows) % period == 0 and bool(np.all(rows[period:] == rows[:-period])):
            return period
    return len(rows)


def _packed(values: Ints, elements: Layout) -> int:
    """Raw values as the bits of a token."""
    word, low = 0, 0
    for value, element in zip(values.tolist(), elements, strict=True):
        word |= (int(value) & ((1 << element.width) - 1)) << low
        low += element.width
    return word


def _packed_signed(values: Sequence[int], width: int) -> int:
    word = 0
    for k, value in enumerate(values):
        word |= (value & ((1 << width) - 1)) << (k * width)
    return word
