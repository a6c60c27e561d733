"""A model's inputs and outputs as scripts ask for them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from bitsmith.ir.program import Program
from bitsmith.layers.network import Network
from bitsmith.report.summary import held_constant, input_format, rows

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Variable:
    """An input or output: its name, the shape of one sample, and its format as text."""

    name: str
    shape: tuple[int, ...]
    type: str

    def size(self) -> int:
        """Number of elements of one sample."""
        return math.prod(self.shape)


def inputs_of(program: Program) -> list[Variable]:
    """The inputs, in the order of the user's model."""
    return [Variable(op.name, op.shape, input_format(op)) for op in program.input_ops()]


def outputs_of(network: Network, program: Program) -> list[Variable]:
    """The outputs, in the order of the user's model; a format that is ``auto`` is that of the circuit's port."""
    found = {row.name: row for row in rows(network, program)}
    listed = []
    for row in (found[name] for name in network.outputs):
        result, text = row.result, row.declared
        if result is not None and row.declared in ("auto", "exact"):
            kind = "fixed" if result.signed else "ufixed"
            text = f"{kind}<{result.width_max},{result.width_max - result.frac_max}>"
        listed.append(Variable(row.name, row.shape, text))
    return listed


def weight_texts(network: Network, folder: str) -> dict[str, str]:
    """The values that the circuit has of all trained tensors: real numbers with commas between, in ``<layer>_<variable>.txt``.

    They are in C order, of the shapes that reports have of the tensors.
    """
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for node in network.nodes:
        for variable, values in () if node.inner else node.layer.weights().items():
            name = first = re.sub(r"[^A-Za-z0-9_-]", "_", f"{node.name}_{variable}")[-_LONGEST_NAME:]
            count = 0
            while name.casefold() in taken:
                count += 1
                name = f"{first}_{count}"
            taken.add(name.casefold())
            held = held_constant(node, variable, values).values
            texts[f"{folder}/{name}.txt"] = f"{', '.join(map(repr, held.ravel().tolist()))}\n"
    return texts
