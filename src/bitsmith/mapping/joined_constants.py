"""Constant tokens that a token function alone reads in step come from one table, with one address and one FIFO.

Before: a bias, a factor and a term for each channel, from three tables. After: one table, whose words have all three.
"""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.kinds import Map, Rom
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects


def joined_constants(network: Network) -> Network:
    """``network`` with such tables; what they replace is gone."""
    readers = Counter(source.process for process in network.processes for source in process.args)
    tables: dict[int, Process] = {}
    changed = list(network.processes)
    for number, process in enumerate(network.processes):
        operands = _in_step(network, process, readers)
        if operands:
            first = process.args[operands[0]].process
            tables |= {process.args[operand].process: changed[first] for operand in operands}
            tables[first] = changed[first] = _table(changed, process, operands)
            changed[number] = _reading_one(process, operands, changed[first])
    kept = [number for number in range(len(changed)) if number not in tables or tables[number] is changed[number]]
    place = {number: index for index, number in enumerate(kept)}
    args = [tuple(OutputPort(place[one.process], one.port) for one in changed[number].args) for number in kept]
    return Network(tuple(replace(changed[number], args=read) for number, read in zip(kept, args, strict=True)))


def _in_step(network: Network, process: Process, readers: Counter[int]) -> list[int]:
    """The operands of ``process`` of one period of constant tokens that only it reads, at least two."""
    by_count = defaultdict[int, list[int]](list)
    for operand, source in enumerate(process.args):
        kind = network.processes[source.process].kind
        if isinstance(kind, Rom) and kind.loaded is None and readers[source.process] == 1:
            by_count[len(kind.words)].append(operand)
    operands = max(by_count.values(), key=len, default=[])
    return operands if isinstance(process.kind, Map) and len(operands) > 1 else []


def _table(processes: list[Process], reader: Process, operands: list[int]) -> Process:
    """The constant tokens of ``operands`` side by side."""
    roms = [processes[reader.args[operand].process] for operand in operands]
    raws = [objects(rom.kind.raw).reshape(rom.results[0].tokens, -1) for rom in roms if isinstance(rom.kind, Rom)]
    raw: Ints = np.concatenate(raws, axis=1)
    full = [rom.results[0].token.full() for rom in roms]
    frac, lo, hi = (
        objects(np.concatenate([objects(part).ravel() for part in parts])) for parts in zip(*full, strict=True)
    )
    token = TensorType.of((raw.shape[1],), frac, lo, hi)
    layers = tuple(dict.fromkeys(layer for rom in roms for layer in rom.layers))
    return Process(Rom(raw), (), (), (Stream(roms[0].results[0].grid, token),), layers)


def _reading_one(process: Process, operands: list[int], table: Process) -> Process:
    """``process`` with the tokens of ``table`` in place of all its ``operands``."""
    assert isinstance(process.kind, Map)
    first, *others = operands
    kept = [operand for operand in range(len(process.args)) if operand not in others]
    takes = tuple(table.results[0] if operand == first else process.takes[operand] for operand in kept)
    program = _sliced(process.kind.program, operands, table.results[0].token)
    return replace(process, kind=Map(program), args=tuple(process.args[operand] for operand in kept), takes=takes)


def _sliced(program: Program, operands: list[int], token: TensorType) -> Program:
    """``program`` with parts of one input of type ``token`` in place of its inputs ``operands``."""
    builder, values, first = ProgramBuilder(), list[Value](), 0
    replaced = {program.inputs[operand] for operand in operands}
    for index, node in enumerate(program.nodes):
        with builder.layer(node.layer):
            if index not in replaced:
                values.append(builder.apply(node.op, *(values[arg] for arg in node.args)))
                continue
            if first == 0:
                name = f"x{program.inputs.index(index)}"
                table = builder.apply(
                    ops.Input(name, token.shape, token.frac, token.lo, token.hi, Rounding.TRN, Overflow.WRAP, ())
                )
            part = builder.slice(table, (first,), (first + node.type.size,))
            values.append(builder.reshape(part, node.type.shape))
            first += node.type.size
    return builder.program([(output.name, values[output.node]) for output in program.outputs])
