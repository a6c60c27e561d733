"""A model's inputs, outputs and trained tensors as scripts ask for them."""

import math
import re
from dataclasses import dataclass

import numpy as np

from bitsmith.config.precision import parse_precision
from bitsmith.errors import ConfigError
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.report.summary import held_constant, input_format, rows

_LONGEST_NAME = 100


class FormatText(str):
    """A format as text."""

    __slots__ = ()

    @property
    def precision(self) -> FixedFormat:
        """The format: ``width`` bits, of which ``integer`` are integer bits, ``signed``, ``rounding`` and ``overflow``.

        Raises:
            ConfigError: a text that is not that of a single format.
        """
        parsed = parse_precision(self, "type") if ".." not in self else None
        if parsed is None:
            remedy = "read the text, or the values themselves"
            raise ConfigError(
                f"{self!s:.60}", where="type.precision", accepted="one format for all elements", remedy=remedy
            )
        return parsed


@dataclass(frozen=True, slots=True)
class Variable:
    """An input or output: its name, the shape of one sample, and its format as text."""

    name: str
    shape: tuple[int, ...]
    type: FormatText

    def size(self) -> int:
        """Number of elements of one sample."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class WeightVariable(Variable):
    """A trained tensor: ``<layer>_<variable>``, shape, format as text, and ``data``, the values that the circuit has."""

    data: Floats

    @property
    def nzeros(self) -> int:
        """Number of zeros."""
        return self.data.size - self.nonzeros

    @property
    def nonzeros(self) -> int:
        """Number of values that are not 0."""
        return int(np.count_nonzero(self.data))

    @property
    def min(self) -> float:
        """The least value."""
        return float(self.data.min())

    @property
    def max(self) -> float:
        """The greatest value."""
        return float(self.data.max())


def inputs_of(program: Program) -> list[Variable]:
    """The inputs, in the order of the user's model."""
    return [Variable(op.name, op.shape, FormatText(input_format(op))) for op in program.input_ops()]


def outputs_of(network: Network, program: Program) -> list[Variable]:
    """The outputs, in the order of the user's model; a format that is ``auto`` is that of the circuit's port."""
    found = {row.name: row for row in rows(network, program)}
    listed = []
    for row in (found[name] for name in network.outputs):
        result, text = row.result, row.declared
        if result is not None and row.declared in ("auto", "exact"):
            kind = "fixed" if result.signed else "ufixed"
            text = f"{kind}<{result.width_max},{result.width_max - result.frac_max}>"
        listed.append(Variable(row.name, row.shape, FormatText(text)))
    return listed


def weights_of(network: Network) -> list[WeightVariable]:
    """The trained tensors of the user's layers, in order, of the shapes that reports have of them.

    Raises:
        UnsupportedError: values that are not finite.
    """
    listed = []
    for node in network.nodes:
        for variable, values in () if node.inner else node.layer.weights().items():
            held = held_constant(node, variable, values)
            listed.append(WeightVariable(f"{node.name}_{variable}", values.shape, FormatText(held.text), held.values))
    return listed


def weight_texts(network: Network, folder: str) -> dict[str, str]:
    """The values that the circuit has of all trained tensors: real numbers with commas between, in ``<layer>_<variable>.txt``.

    They are in C order, of the shapes that reports have of the tensors.
    """
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for weight in weights_of(network):
        name = first = re.sub(r"[^A-Za-z0-9_-]", "_", weight.name)[-_LONGEST_NAME:]
        count = 0
        while name.casefold() in taken:
            count += 1
            name = f"{first}_{count}"
        taken.add(name.casefold())
        texts[f"{folder}/{name}.txt"] = f"{', '.join(map(repr, weight.data.ravel().tolist()))}\n"
    return texts
