"""Which elements of a process's operand are zeros of the padding in every token: products with them disappear in synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.processes import Map, Network, Process, WidthConverter
from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program

Flags: TypeAlias = npt.NDArray[np.bool_]


def padding(network: Network, process: Process, operand: int = 0) -> Flags:
    """The flat elements of an operand, True where all tokens have a zero of the padding."""
    size, source = process.takes[operand].token.size, process.args[operand]
    maker = network.processes[source.process]
    match maker.kind:
        case WidthConverter():
            found = padding(network, maker)
            parts: Flags = np.all(found.reshape(-1, size), axis=0) if len(found) > size else found
            return np.tile(parts, size // len(parts))
        case Map() as kind if all(isinstance(node.op, ops.Input | ops.Movement) for node in kind.program.nodes):
            inputs = [padding(network, maker, number) for number in range(len(maker.args))]
            return _moved(kind.program, inputs, kind.program.outputs[source.port].node)
        case _:
            return np.zeros(size, dtype=np.bool_)


def _moved(program: Program, inputs: Sequence[Flags], wanted: int) -> Flags:
    """The flags of the node ``wanted`` of a program that moves its inputs."""
    found: list[Flags] = []
    left = iter(inputs)
    for node in program.nodes:
        match node.op:
            case ops.Input():
                found.append(next(left))
            case ops.Reshape():
                found.append(found[node.args[0]])
            case ops.Transpose() | ops.Slice() | ops.Pad() | ops.Gather() | ops.Broadcast() | ops.Window() as op:
                places = moved(op, program.nodes[node.args[0]].type.shape).ravel()
                found.append((places < 0) | found[node.args[0]][places])
            case _:
                found.append(np.zeros(node.type.size, dtype=np.bool_))
    return found[wanted]
