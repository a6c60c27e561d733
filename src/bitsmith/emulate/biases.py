"""Constants added to products with constant matrices, as one more row of the matrix: BLAS adds them for nearly nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.bounds import NumberKind, partial_products
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Fracs, Ints, objects

Scaled: TypeAlias = tuple[Ints | npt.NDArray[np.int64], Fracs]
"""Integer weights of a linear op and the ``frac`` of its results: see :func:`bitsmith.ir.scaling.machine_weights`."""


def biased(
    program: Program,
    kinds: Mapping[int, NumberKind],
    weights: Mapping[int, Scaled],
    wanted: Collection[int],
    written_out: Collection[int],
) -> dict[int, int]:
    """The sum that each linear op computes too, where that is exact and saves time.

    Args:
        program: what is executed.
        kinds: how the results of nodes are stored.
        weights: of the linear ops.
        wanted: nodes whose own results are read.
        written_out: operands that are copied row by row anyway.
    """
    varying = set(program.inputs)
    for index in kinds:
        if not varying.isdisjoint(program.nodes[index].args):
            varying.add(index)
    readers = Counter(arg for index in kinds for arg in program.nodes[index].args)
    sums = {}
    for index in kinds:
        node = program.nodes[index]
        if not isinstance(node.op, ops.Add):
            continue
        for linear, bias in (node.args, node.args[::-1]):
            alone = readers[linear] == 1 and linear not in wanted and kinds[linear] is kinds[index]
            if alone and linear in weights and kinds[index] is not NumberKind.LIMBS:
                x = program.nodes[linear].args[0]
                shape, size = program.nodes[x].type.shape, program.nodes[linear].type.shape[-1]
                # The operand need not be copied for it, or is copied in less time than a sum takes.
                worth = x in varying and (x in written_out or len(shape) == 1 or shape[-1] <= 2 * size)
                if worth and _is_exact(program, index, linear, bias, kinds[index], weights[linear]):
                    sums[linear] = index
    return sums


def per_channel(node: Node, channels: int) -> tuple[Ints, Fracs] | None:
    """Integers and ``frac`` of a constant that is the same at all positions, one for each channel; None for others."""
    if not isinstance(node.op, ops.Const | ops.Parameter):
        return None
    raw = node.op.raw if isinstance(node.op, ops.Parameter) else node.type.lo
    if any(n != 1 for shape in (raw.shape, node.type.frac.shape) for n in shape[:-1]):
        return None
    return (
        np.broadcast_to(objects(raw).reshape(-1), (channels,)),
        np.broadcast_to(node.type.frac.reshape(-1), (channels,)),
    )


def _is_exact(program: Program, index: int, linear: int, bias: int, kind: NumberKind, weights: Scaled) -> bool:
    """Return True if all partial sums of products and the constant are numbers of ``kind``."""
    node, x = program.nodes[index], program.nodes[program.nodes[linear].args[0]]
    constant = per_channel(program.nodes[bias], node.type.shape[-1])
    if constant is None or node.type.shape != program.nodes[linear].type.shape:
        return False
    raw, frac = constant
    last = int(max(node.type.frac.max(), frac.max(), weights[1].max()))
    products = partial_products(weights[0], x.type) << (last - int(weights[1].min()))
    return products + int(max(abs(raw))) * (1 << (last - int(frac.min()))) <= 1 << kind.bits
