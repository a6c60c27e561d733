"""Writes a pipelined netlist as SystemVerilog: a module per layer, one per look-up table, and the top module.

The top's ports: ``clk``, ``rst`` (synchronous, active high, clears the valid pipeline only), ``in_valid``, ``in_data``,
``out_valid``, ``out_data``, or without valid signals ``clk``, ``in_data`` and ``out_data``; fixed latency, a sample per cycle. A
word of layer ``fc1`` is called ``fc1_<op>_<element>``, or ``fc1_<op>_t<n>`` inside of an op; ``_r2`` is the word two registers
later.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from bitsmith.devices.protection import Protection
from bitsmith.errors import ProgramError
from bitsmith.ir.types import low_zeros
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.pipeline import PipelineStages
from bitsmith.rtl.design import DATA, TAKES, LayerPart, RtlDesign, pipeline_ports, tap_ports, valid_pipeline
from bitsmith.rtl.expressions import Expressions, Operand, Select
from bitsmith.rtl.hierarchy import TOP, Bits, Layout, Part, Signal
from bitsmith.rtl.library import PROTECTION_LIBRARY, TERNARY_LIBRARY, library
from bitsmith.rtl.names import Names, identifier
from bitsmith.rtl.protection import FAULT, CheckedMemory, Checks
from bitsmith.rtl.tables import MODULE_IN_LOGIC, TableShape

_INDENT = "  "

_IN_BLOCK = '(* use_dsp = "yes", multstyle = "dsp", syn_multstyle = "block_mult" *)'
"""For Vivado (UG901), Quartus (HDL coding recommendations) and Lattice's synthesis; Yosys needs none."""


@dataclass(frozen=True, slots=True)
class Title:
    """The header comment of every file: its author, and the ``digest`` of the project."""

    tool: str
    digest: str

    @property
    def line(self) -> str:
        """The comment, without what begins one."""
        return f"Written by {self.tool}, project {self.digest}."

    def module(
        self, name: str, ports: Sequence[str], body: Sequence[str], about: Sequence[str] = (), *attributes: str
    ) -> str:
        """The text of a module, ``about`` which there are further comments."""
        lines = [*(f"// {line}".rstrip() for line in (self.line, *about)), *attributes, f"module {name} ("]
        lines += [f"{_INDENT}{port}{',' if k + 1 < len(ports) else ''}" for k, port in enumerate(ports)]
        return "\n".join([*lines, ");", *(f"{_INDENT}{line}" for line in body), "endmodule", ""])


def write(
    netlist: cells.Netlist,
    schedule: PipelineStages,
    top: str,
    title: Title,
    protection: Protection = Protection.NONE,
    kept: int | None = None,
    *,
    valid: bool = True,
) -> RtlDesign:
    """The sources of ``netlist`` with the stages of ``schedule``; ``top`` names the top module.

    Tables in block memory have the check bits of ``protection``. Only the first ``kept`` elements of the netlist's outputs
    are those of the circuit; the others are layers' results for monitors. Without ``valid`` nothing says which samples are.
    """
    elements = len(netlist.outputs) if kept is None else kept
    return _Writer(netlist, schedule, identifier(top), title, protection, elements, valid).design()


def _layer_part(part: Part) -> LayerPart:
    stages = [signal.stage for signal in part.computed]
    return LayerPart(part.layer, max(stages) - min(stages) + 1, min(stages), max(stages))


def _range(bits: Bits) -> str:
    return f"[{bits.high - 1}:{bits.low}]"


class _Writer:
    def __init__(
        self,
        netlist: cells.Netlist,
        schedule: PipelineStages,
        top: str,
        title: Title,
        protection: Protection,
        kept: int,
        valid: bool,
    ) -> None:
        self._netlist = netlist
        self._valid = valid
        self._protection = protection
        self._outputs = netlist.outputs[:kept]
        self._taps = tuple(tuple(own) for _, own in groupby(netlist.outputs[kept:], key=lambda x: x.tensor))
        self._schedule = schedule
        self._top = top
        self._title = title
        self._layout = Layout(netlist, schedule, top, kept)
        self._expressions = Expressions(netlist)
        self._live = {signal.word for part in self._layout.parts.values() for signal in part.computed}
        self._tables = self._name_tables()
        self._checks = {layer: Checks(protection) for layer in self._layout.parts}
        self._starts = [0, *accumulate(item.width for item in netlist.inputs)]
        """The first bit of each input element."""

    def design(self) -> RtlDesign:
        parts = [part for part in self._layout.parts.values() if part.layer != TOP and part.computed]
        modules = {f"{part.name}.sv": self._layer_module(part) for part in parts}
        sources = {f"{self._top}.sv": self._top_module(parts), **modules}
        checked = self._checks[TOP].memories
        for shape, name in self._tables.items():
            attributes, body = [MODULE_IN_LOGIC] * shape.in_logic, shape.body(self._netlist)
            sources[f"{name}.sv"] = self._title.module(name, shape.ports(), body, ["Look-up table."], *attributes)
        if any(isinstance(self._netlist.words[word].cell, cells.TernaryAdder) for word in self._live):
            sources |= library(TERNARY_LIBRARY)
        sources |= library(PROTECTION_LIBRARY) if checked else {}
        return RtlDesign(
            self._top,
            sources,
            self._netlist.inputs,
            self._outputs,
            self._schedule.stages,
            Counter(type(self._netlist.words[word].cell).__name__ for word in sorted(self._live)),
            {self._instance(part): _layer_part(part) for part in parts},
            tuple(checked),
            self._taps,
        )

    def _name_tables(self) -> dict[TableShape, str]:
        """Modules of look-up tables, each named after the first layer that uses it."""
        names = Names()
        for part in self._layout.parts.values():
            names.unique(part.name)
        tables: dict[TableShape, str] = {}
        for index in sorted(self._live):
            word = self._netlist.words[index]
            if isinstance(word.cell, cells.RomRead):
                shape = self._table(index, word.cell)
                if shape not in tables:
                    layer = self._netlist.origins[word.origin].layer
                    tables[shape] = names.unique(
                        "_".join([self._top, *([identifier(layer)] if layer else []), "table"])
                    )
        return tables

    def _table(self, index: int, rom: cells.RomRead) -> TableShape:
        """The table of a word, with the register that follows it where there is one."""
        return TableShape.of(
            *(self._netlist, self._netlist.words[index], rom, self._protection),
            clocked=self._layout.is_registered(index),
            in_block=index in self._schedule.memories,
            of_bits=index in self._schedule.tables_of_bits,
        )

    def _in_table(self, signal: Signal) -> bool:
        """Return True if the signal is inside of a table with a register."""
        is_rom = isinstance(self._netlist.words[signal.word].cell, cells.RomRead)
        return is_rom and signal.stage == self._schedule.stage[signal.word] and self._layout.is_registered(signal.word)

    def _declared(self, signal: Signal) -> str:
        """Type and name of a signal."""
        word = self._netlist.words[signal.word]
        bits = self._layout.extent(signal)
        whole = bits == (0, word.width)
        name = self._layout.name(signal)
        if whole and word.width == 1 and not word.signed:
            return f"logic {name}"
        return f"logic {'signed ' if whole and word.signed else ''}{_range(bits)} {name}"

    def _defined(self, signal: Signal) -> str:
        """The same where the signal is made: products with constants are to be blocks, as each vendor's manual says it."""
        cell = self._netlist.words[signal.word].cell
        here = signal.stage == self._schedule.stage[signal.word]
        factors = (cell.a, cell.b) if here and isinstance(cell, cells.Multiplier) else ()
        is_constant = any(isinstance(self._netlist.words[word].cell, cells.Literal) for word in factors)
        return f"{_IN_BLOCK} {self._declared(signal)}" if is_constant else self._declared(signal)

    def _bits(self, signal: Signal, low: int, high: int) -> str:
        """Bits of a signal; the whole signal by its name alone."""
        bits, name = self._layout.extent(signal), self._layout.name(signal)
        if bits == (low, high):
            return name
        if not bits.low <= low < high <= bits.high:
            raise ProgramError(f"bits {low} to {high - 1} of {name}, which has bits {bits.low} to {bits.high - 1}")
        return f"{name}[{low}]" if high == low + 1 else f"{name}{_range(Bits(low, high))}"

    def _body(self, part: Part) -> list[str]:
        """Declarations and statements of all words and registers of a module."""
        declared = [signal for signal in (*part.computed, *part.delayed) if not self._in_table(signal)]
        exported = set(part.exports)
        lines = [f"{self._defined(signal)};" for signal in declared if signal not in exported]
        lines += [line for signal in part.computed for line in self._computed(signal, self._checks[part.layer])]
        sources = {signal: Signal(signal.word, signal.stage - 1) for signal in sorted(part.delayed)}
        registers = {signal: source for signal, source in sources.items() if not self._in_table(source)}
        if registers:
            lines.append("always_ff @(posedge clk) begin")
            for signal, source in registers.items():
                bits = self._bits(source, *self._layout.extent(signal))
                lines.append(f"{_INDENT}{self._layout.name(signal)} <= {bits};")
            lines.append("end")
        return lines

    def _computed(self, signal: Signal, checks: Checks) -> list[str]:
        word = self._netlist.words[signal.word]
        name = self._layout.name(signal)

        def select(operand: int, low: int, high: int) -> str:
            return self._bits(Signal(operand, signal.stage), low, high)

        if isinstance(word.cell, cells.InputPort):
            return [f"assign {name} = {self._port(word.cell.element, word.drop, word.width, word.signed)};"]
        if isinstance(word.cell, cells.RomRead):
            table = self._table(signal.word, word.cell)
            address = select(word.cell.address, 0, self._netlist.words[word.cell.address].width)
            value = self._layout.name(Signal(signal.word, signal.stage + 1)) if table.clocked else name
            clock = ".clk(clk), " if table.clocked else ""
            if not table.check:
                return [f"{self._tables[table]} {name}_rom ({clock}.address({address}), .value({value}));"]
            # No port of a signal with a sign, as for sums of three.
            bits = f"{name}_bits" if word.signed else value
            return [
                *([f"logic {_range(Bits(0, word.width))} {bits};", f"assign {value} = $signed({bits});"] * word.signed),
                *checks.decoded(name, bits, self._memory(word, table)),
                f"{self._tables[table]} {name}_rom ({clock}.address({address}), .value({name}_stored));",
            ]
        if isinstance(word.cell, cells.TernaryAdder):
            return self._ternary(word, word.cell, name, select)
        return [f"assign {name} = {self._expressions.of(word, select)};"]

    def _memory(self, word: cells.Word, table: TableShape) -> CheckedMemory:
        """A table with check bits."""
        layer, words = self._netlist.origins[word.origin].layer, len(self._netlist.tables[table.table])
        return CheckedMemory(layer, "table", words, table.width, is_table=True)

    def _ternary(self, word: cells.Word, cell: cells.TernaryAdder, name: str, select: Select) -> list[str]:
        """A sum of three, which is a module so that families can have it made of their own cells."""
        width = word.width + word.drop
        parameters = {
            "WIDTH": f"{width}",
            "DROP": f"{word.drop}",
            "PASSED": f"{min(cell.passed, width)}",
            "SUBTRACT_B": f"1'b{cell.subtract_b:d}",
            "SUBTRACT_C": f"1'b{cell.subtract_c:d}",
        }
        # One port for all terms, and none of a signal with a sign: Yosys refuses such signals, other tools warn of them.
        terms = (self._expressions.value(ref, width, False, select) for ref in (cell.c, cell.b, cell.a))
        bits = f"{name}_bits" if word.signed else name
        given = ", ".join(f".{key}({value})" for key, value in parameters.items())
        lines = [
            f"bitsmith_ternary_adder #({given}) {name}_sum (",
            f"{_INDENT}.terms({{{', '.join(terms)}}}),",
            f"{_INDENT}.sum({bits})",
            ");",
        ]
        if not word.signed:
            return lines
        return [f"logic {_range(Bits(0, word.width))} {bits};", *lines, f"assign {name} = $signed({bits});"]

    def _port(self, element: int, drop: int, width: int, signed: bool) -> str:
        """Bits of an input element."""
        low = self._starts[element] + drop
        text = f"in_data[{low}]" if width == 1 else f"in_data{_range(Bits(low, low + width))}"
        return Operand(text, width, False).with_sign(signed).text

    def _unread(self, part: Part, extra: Sequence[str] = ()) -> list[str]:
        """A sink for bits that nothing reads, so that linters know that this is meant."""
        exported = set(part.exports)
        texts = list(extra)
        signals = {*part.computed, *part.delayed, *part.imports} - exported
        for signal in sorted(signal for signal in signals if not self._in_table(signal)):
            bits = self._layout.extent(signal)
            left = ((1 << bits.high) - (1 << bits.low)) & ~part.used.get(signal, 0)
            while left:
                low = low_zeros(left)
                run = left >> low
                high = low + low_zeros(run + 1)
                texts.append(self._bits(signal, low, high))
                left &= ~((1 << high) - 1)
        if not texts:
            return []
        return [
            "// Bits that nothing reads.",
            "(* maybe_unused *) logic unused;",
            f"assign unused = &{{1'b0, {', '.join(texts)}}};",
        ]

    def _layer_module(self, part: Part) -> str:
        ports = ["input logic clk"] if part.delayed else []
        ports += [f"input {self._declared(signal)}" for signal in part.imports]
        ports += [f"output {self._declared(signal)}" for signal in part.exports]
        body = [*self._body(part), *self._unread(part)]
        ports += self._checks[part.layer].port()
        return self._title.module(part.name, ports, body, [f"Layer {' '.join(part.layer.split())}."])

    def _top_module(self, parts: Sequence[Part]) -> str:
        netlist, stages = self._netlist, self._schedule.stages
        part = self._layout.parts[TOP]
        in_width, out_width = (sum(item.width for item in items) for items in (netlist.inputs, self._outputs))
        ports = pipeline_ports(in_width, out_width, valid=self._valid)
        body = valid_pipeline(stages) if self._valid else []
        body += [f"{self._declared(signal)};" for signal in part.imports]
        known = {*part.imports, *part.exports}
        wires = sorted({signal for other in parts for signal in other.exports} - known)
        body += [f"{self._declared(signal)};" for signal in [*part.exports, *wires]]
        body += self._body(part)
        for other in parts:
            signals = [*other.imports, *other.exports]
            names = [*(["clk"] if other.delayed else []), *(self._layout.name(signal) for signal in signals)]
            pins = {name: name for name in names}
            if memories := self._checks[other.layer].memories:
                pins[FAULT] = self._checks[TOP].wires(memories)
            connections = ",\n".join(f"{_INDENT * 2}.{name}({wire})" for name, wire in pins.items())
            body += [*f"{other.name} {self._instance(other)} (\n{connections}".split("\n"), ");"]
        body += [*self._given(), *self._tapped(stages)]
        idle = not self._valid and not any(each.delayed for each in (part, *parts))
        body += self._unread(part, [*(["clk"] if idle else []), *self._unread_inputs()])
        comment = [
            f"A sample per clock cycle, results {stages} cycle{'s' if stages > 1 else ''} later.",
            *_described("in_data", netlist.inputs),
            *_described("out_data", self._outputs),
        ]
        return self._title.module(self._top, [*ports, *self._checks[TOP].port(), *tap_ports(self._taps)], body, comment)

    def _instance(self, part: Part) -> str:
        return f"{part.name.removeprefix(f'{self._top}_')}_inst"  # no word's name ends like this

    def _given(self) -> list[str]:
        """Outputs of the circuit."""
        stages = [self._schedule.stages] * len(self._outputs)
        return self._assigned("out_data", self._outputs, self._netlist.results[: len(stages)], stages)

    def _tapped(self, stages: int) -> list[str]:
        """Layers' results for monitors."""
        assert self._valid or not self._taps
        named, kept = self._layout.tap_stages, len(self._outputs)
        wires = ["out_valid" if stages == 1 else f"valid[{named[tap[0].tensor] - 1}]" for tap in self._taps]
        items = self._netlist.outputs[kept:]
        data = self._assigned(DATA, items, self._netlist.results[kept:], [named[item.tensor] for item in items])
        return [*(f"assign {TAKES}[{k}] = {wire};" for k, wire in enumerate(wires)), *data]

    def _assigned(
        self, port: str, items: Sequence[cells.Field], refs: Sequence[cells.WordRef], stages: Sequence[int]
    ) -> list[str]:
        """The lines that give a port the elements ``refs``, each as it is in a stage."""
        lines: list[str] = []
        low = 0
        for item, ref, stage in zip(items, refs, stages, strict=True):

            def select(operand: int, low: int, high: int, stage: int = stage) -> str:
                return self._bits(Signal(operand, stage), low, high)

            text = self._expressions.value(ref, item.width, self._netlist.words[ref.word].signed, select)
            operand = Operand(text, item.width, self._netlist.words[ref.word].signed)
            lines.append(f"assign {port}{_range(Bits(low, low + item.width))} = {operand.with_sign(False).text};")
            low += item.width
        return lines

    def _unread_inputs(self) -> list[str]:
        """Bits of input elements that no word reads."""
        read = {}
        for index in self._live:
            word = self._netlist.words[index]
            if isinstance(word.cell, cells.InputPort):
                read[word.cell.element] = Bits(word.drop, word.drop + word.width)
        ports: list[str] = []
        for element, item in enumerate(self._netlist.inputs):
            bits = read.get(element, Bits(item.width, item.width))
            if bits.low:
                ports.append(self._port(element, 0, bits.low, False))
            if bits.high < item.width:
                ports.append(self._port(element, bits.high, item.width - bits.high, False))
        return ports


def _described(port: str, items: Sequence[cells.Field]) -> list[str]:
    """The packing of a port, runs of like elements in one line each."""
    lines, low = [f"{port}, from bit 0 up:"], 0
    for _, equal in groupby(items, key=lambda item: (item.tensor, item.width, item.signed, item.frac)):
        item, *others = equal
        span = f"{item.index}..{others[-1].index}" if others else f"{item.index}"
        high, kind = low + item.width * (1 + len(others)), "signed" if item.signed else "unsigned"
        lines.append(
            f"  [{high - 1}:{low}] {' '.join(item.tensor.split())}[{span}], {item.width} bits each, {kind}, "
            f"{item.frac} fractional bits"
        )
        low = high
    return lines
