"""Programs cut into parts that hand values on, and programs joined to one: the numbers stay the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitsmith.errors import ConfigError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Cast, Const, Input
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Overflow, Rounding, TensorType

OWN = "_output"
"""Ends the name of a part's port for an output of the whole that crosses, too."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A value that one part computes and later ones read, by its node in the whole program."""

    node: int
    source: int
    readers: tuple[int, ...]


def numbered_parts(program: Program, cuts: Sequence[int]) -> list[int]:
    """The number of the part of each node: the first whose cut needs it, or the last part of all.

    Constants are in every part, and have the number of the last one.
    """
    numbers = [len(cuts)] * len(program.nodes)
    for number, cut in reversed(list(enumerate(cuts))):
        for index in program.ancestors([cut]):
            numbers[index] = number
    return [len(cuts) if isinstance(node.op, Const) else k for node, k in zip(program.nodes, numbers, strict=True)]


def crossings(program: Program, numbers: Sequence[int]) -> list[Crossing]:
    """The values that parts hand on, in order."""
    readers: dict[int, set[int]] = {}
    for node, number in zip(program.nodes, numbers, strict=True):
        for arg in node.args:
            if not isinstance(program.nodes[arg].op, Const) and numbers[arg] != number:
                readers.setdefault(arg, set()).add(number)
    return [Crossing(node, numbers[node], tuple(sorted(readers[node]))) for node in sorted(readers)]


def part(program: Program, numbers: Sequence[int], number: int, names: Mapping[int, str]) -> Program:
    """One part as a program of its own: what crosses has a port of exactly its type, with the name that ``names`` has.

    Ports of crossing values come before the program's own outputs, of which the part has those that it computes. One that
    crosses, too, has a port for each, since a stream has one reader. The name of an output that a port has, too, ends with `OWN`.
    """
    builder, values = ProgramBuilder(), dict[int, Value]()
    crossing = crossings(program, numbers)
    for one in crossing:
        if number in one.readers:
            values[one.node] = builder.apply(port(names[one.node], program.nodes[one.node].type))
    for index, node in enumerate(program.nodes):
        if numbers[index] == number or isinstance(node.op, Const):
            values[index] = applied(builder, node, [values[arg] for arg in node.args])
    outputs = [(names[one.node], values[one.node]) for one in crossing if one.source == number]
    names_that_cross = {names[one.node] for one in crossing}
    outputs += [
        (one.name + OWN * (one.name in names_that_cross), values[one.node])
        for one in program.outputs
        if numbers[one.node] == number
    ]
    probes = [(one.name, values[one.node]) for one in program.probes if numbers[one.node] == number]
    return builder.program(outputs, probes)


def port(name: str, kind: TensorType) -> Input:
    """An input of exactly this type: nothing is rounded or saturated that it can hold."""
    return Input(name, kind.shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT, ())


def applied(builder: ProgramBuilder, node: Node, operands: Sequence[Value], layer: str | None = None) -> Value:
    """A node of another program, on operands of this one."""
    with builder.layer(node.layer if layer is None else layer):
        return builder.apply(node.op, *operands)


def joined(programs: Mapping[str, Program], wires: Mapping[tuple[str, str], tuple[str, str]]) -> Program:
    """The programs as one. An input with a wire is cast from an output, as real numbers are that reach it from outside.

    Args:
        programs: by name, which comes in front of the names of all layers, inputs and outputs: ``name.layer``.
        wires: from (program, input) to (program, output). Outputs with a wire are inner ones.

    Raises:
        ConfigError: wires that run in a circle.
    """
    builder, results = ProgramBuilder(), dict[tuple[str, str], Value]()
    outputs: list[tuple[str, Value]] = []
    probes: list[tuple[str, Value]] = []
    for name in _order(programs, wires):
        program, values = programs[name], list[Value]()
        for node in program.nodes:
            op, layer = node.op, f"{name}.{node.layer}" if node.layer else ""
            operands = [values[arg] for arg in node.args]
            if isinstance(op, Input):
                wire = wires.get((name, op.name))
                if wire is not None:
                    operands, op = [results[wire]], Cast(op.frac, op.lo, op.hi, op.rounding, op.overflow)
                else:
                    op = replace(op, name=f"{name}.{op.name}")
            values.append(applied(builder, replace(node, op=op), operands, layer))
        for one in program.outputs:
            results[name, one.name] = values[one.node]
            if (name, one.name) not in wires.values():
                outputs.append((f"{name}.{one.name}", values[one.node]))
        probes += [(f"{name}.{one.name}", values[one.node]) for one in program.probes]
    return builder.program(outputs, probes)


def _order(programs: Mapping[str, Program], wires: Mapping[tuple[str, str], tuple[str, str]]) -> list[str]:
    """The names such that each comes after those that it reads."""
    ordered: list[str] = []
    while len(ordered) < len(programs):
        ready = [
            name
            for name in programs
            if name not in ordered
            and all(source in ordered for (reader, _), (source, _) in wires.items() if reader == name)
        ]
        if not ready:
            raise ConfigError(
                "wires that run in a circle", where="compose", accepted="models that do not wait for each other"
            )
        ordered.append(ready[0])
    return ordered
