"""Which elements of a process's operand are zeros of the padding in every token: products with them disappear in synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.processes import Map, Network, WidthConverter
from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program

Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Padding:
    """The padding in the tokens of a network.

    A part of a token is chosen among zeros where all parts have them. Synthesis finds out that this is constant when it optimizes
    look-up tables, which is after it made multiplier blocks.
    """

    network: Network

    def of_operand(self, number: int, operand: int = 0, *, in_parts: bool = False) -> Flags:
        """The flat elements of an operand of a process, True where all tokens have a zero of the padding.

        Those that tokens have because all of their parts have them count if ``in_parts``.
        """
        process = self.network.processes[number]
        size, source = process.takes[operand].token.size, process.args[operand]
        maker = self.network.processes[source.process]
        match maker.kind:
            case WidthConverter() if in_parts or maker.takes[0].token.size <= size:
                found = self.of_operand(source.process, in_parts=in_parts)
                parts: Flags = np.all(found.reshape(-1, size), axis=0) if len(found) > size else found
                return np.tile(parts, size // len(parts))
            case Map() as kind if all(isinstance(node.op, ops.Input | ops.Movement) for node in kind.program.nodes):
                return self._of_nodes(source.process, kind.program, in_parts=in_parts)[
                    kind.program.outputs[source.port].node
                ]
            case _:
                return np.zeros(size, dtype=np.bool_)

    def of_products(self, number: int, program: Program) -> dict[int, float]:
        """The share of such elements in the operand of each product of a token function, by node."""
        linear = [index for index, node in enumerate(program.nodes) if isinstance(node.op, ops.Linear)]
        flags = self._of_nodes(number, program, in_parts=True) if linear else []
        return {index: float(flags[program.nodes[index].args[0]].mean()) for index in linear}

    def _of_nodes(self, number: int, program: Program, *, in_parts: bool) -> Sequence[Flags]:
        """The flags of all nodes of the token function of a process, of what it moves."""
        found: list[Flags] = []
        operands = iter(range(len(self.network.processes[number].args)))
        for node in program.nodes:
            match node.op:
                case ops.Input():
                    found.append(self.of_operand(number, next(operands), in_parts=in_parts))
                case ops.Reshape():
                    found.append(found[node.args[0]])
                case ops.Transpose() | ops.Slice() | ops.Pad() | ops.Gather() | ops.Broadcast() | ops.Window() as op:
                    places = moved(op, program.nodes[node.args[0]].type.shape).ravel()
                    found.append((places < 0) | found[node.args[0]][places])
                case _:
                    found.append(np.zeros(node.type.size, dtype=np.bool_))
        return found
