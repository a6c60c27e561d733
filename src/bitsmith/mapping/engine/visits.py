"""Parts of a program that share one engine although attention lies between them: visits, each with an operand and results.

The results of a visit are copied out of the memory of the engine. Other processes may make operands of later visits of them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from bitsmith.ir import ops
from bitsmith.ir.types import TensorType
from bitsmith.mapping.builder import DataflowBuilder, NodeId
from bitsmith.mapping.engine.places import Tensor
from bitsmith.mapping.engine.units import Unit, copied
from bitsmith.mapping.formats import whole_range


def joined(builder: DataflowBuilder, parts: Sequence[Sequence[Unit]]) -> tuple[Unit, ...] | None:
    """The units of all ``parts``, in the order of their results, of which each leaves, mostly as a copy; None if one cannot."""
    units = list[Unit]()
    for *others, last in sorted(parts, key=lambda part: part[-1].result):
        if last.computed is not None and (last.blocks == 1 or not last.computed.turned):
            units += [*others, replace(last, leaves=True)]
            continue
        copy = copied(builder, last.result, f"{last.name}_copy")
        if copy is None:
            return None
        reach = whole_range(*copy.total)  # other weights may make other numbers of as many bits
        sums = TensorType.of(copy.sums.shape, copy.fracs, *reach)
        units += [*others, last, replace(copy, total=reach, sums=sums, leaves=True)]
    return tuple(units)


def visits_of(units: Sequence[Unit]) -> list[list[Unit]]:
    """The units of each visit: those that read its operand, or results of others in it."""
    visits, known = list[list[Unit]](), set[Tensor]()
    for unit in units:
        if not known.issuperset(unit.reads):
            visits.append([])
            known = {*unit.reads}
        visits[-1].append(unit)
        known |= set() if unit.leaves else {unit.makes}
    return visits


def numbers_of(builder: DataflowBuilder, unit: Unit) -> tuple[int, int]:
    """From which number of its source on, and how many, come before the first ``unit`` of a visit."""
    return (unit.band and unit.band.loads) or (0, math.prod(builder.shape(unit.sources[0])))


def waiting(builder: DataflowBuilder, units: Sequence[Unit]) -> int:
    """Cycles that the products of two variables take which are not among ``units``, one after another; 0 if there are none."""
    cycles, directives = 0, builder.directives
    inside = frozenset[NodeId]().union(*(unit.nodes for unit in units))
    for index, node in enumerate(builder.program.nodes):
        operands = builder.operands(node)
        fixed = any(builder.is_constant(arg) or builder.is_parameter(arg) for arg in operands)
        if isinstance(node.op, ops.MatMul) and node.layer in directives.engine and not (fixed or index in inside):
            products = math.prod(builder.shape(operands[1])[-2:])
            cycles += math.prod(node.type.shape[:-1]) * min(directives.reuse_factor(node.layer), products)
    return cycles
