"""A core program: nodes in evaluation order, each an op with operands, a type and the layer it came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bitsmith.ir.ops import Input, Op, Scan
from bitsmith.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Node:
    """One op: its operands are indices of earlier nodes; ``layer`` is the user's layer it came from ('' if none)."""

    op: Op
    args: tuple[int, ...]
    type: TensorType
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A named result of a program."""

    name: str
    node: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Program:
    """Nodes in evaluation order and the named outputs. Inputs are the :class:`Input` nodes in order of appearance.

    ``probes`` name further nodes whose values are of interest (layer outputs for traces); they do not keep hardware
    alive.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    probes: tuple[Output, ...] = ()

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the input nodes."""
        return tuple(index for index, node in enumerate(self.nodes) if isinstance(node.op, Input))

    @property
    def keeping(self) -> tuple[int, ...]:
        """Indices of the recurrences with states that live on between samples."""
        return tuple(index for index, node in enumerate(self.nodes) if isinstance(node.op, Scan) and node.op.kept)

    def input_ops(self) -> tuple[Input, ...]:
        """The input ops, in order."""
        return tuple(node.op for node in self.nodes if isinstance(node.op, Input))

    def ancestors(self, wanted: Iterable[int]) -> set[int]:
        """The nodes that ``wanted`` are computed of, and these."""
        reached = {*wanted}
        for index in reversed(range(len(self.nodes))):
            if index in reached:
                reached.update(self.nodes[index].args)
        return reached

    def types(self, indices: Sequence[int]) -> tuple[TensorType, ...]:
        """Types of the nodes of ``indices``."""
        return tuple(self.nodes[index].type for index in indices)
