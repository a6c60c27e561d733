"""The adders of products with a constant matrix, before the circuit is made."""

from bitsmith.devices.family import Family
from bitsmith.ir import ops
from bitsmith.ir.scaling import machine_weights
from bitsmith.ir.types import TensorType
from bitsmith.netlist import csd
from bitsmith.netlist.adder_graph import InputRange, solve

_SOLVED = 1 << 9
"""Weights of a matrix whose graph is made, in some hundredths of a second."""

_SUMS_OF_THREE = 0.7
"""Area of sums of three terms at once, as a share of sums two by two: 0.65 to 0.75 in six perceptrons."""

_OF_LARGE = 0.56
"""The same for matrices whose graphs are not made: 0.51 to 0.57 in five perceptrons."""


def sums_share(family: Family) -> float:
    """The area of the sums of an adder graph as a share of that of its adders one by one."""
    return 1.0 if family.delays.ternary_ns is None else _SUMS_OF_THREE


def adders_of(op: ops.Linear, x: TensorType, y: TensorType, share: float) -> tuple[int, float]:
    """The adders of one position, and their mean width: of small matrices those of the graph, of others about as many.

    ``share`` is the family's `sums_share`.
    """
    if x.max_width == 1 or op.weights.size > _SOLVED:
        share = share if share == 1.0 or x.max_width == 1 else _OF_LARGE
        return csd.estimate(op.weights), share * csd.adder_width(float(x.width.mean()), float(y.width.mean()))
    _, lo, hi = (part.reshape(-1, x.shape[-1])[0] for part in x.union(range(len(x.shape) - 1)).full())
    ranges = [InputRange(*ends) for ends in zip(lo.tolist(), hi.tolist(), strict=True)]
    graph = solve(machine_weights(op, x)[0], ranges)
    return len(graph.adders), graph.cost(ranges, of_three=share < 1) / max(len(graph.adders), 1)
