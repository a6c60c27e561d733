"""Programs as the emulator executes them, with the same values.

Circuits' parameters are constants. Constants that are added to products with constant matrices are one more row of the matrix:
BLAS adds them for nearly nothing.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.bounds import NumberKind, partial_products
from bitsmith.ir import ops
from bitsmith.ir.held import held_parameters
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


def settled(program: Program) -> Program:
    """``program`` with products with constant matrices, which are faster, where those are known here."""
    nodes = list(program.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node.op, ops.Scan):
            nodes[index] = _with_known_states(program, node, node.op)
        elif isinstance(node.op, ops.MatMul):
            nodes[index] = _with_constant(program, node)
    return replace(program, nodes=tuple(nodes))


def _with_known_states(program: Program, node: Node, op: ops.Scan) -> Node:
    """A recurrence whose states that are parameters all the time are in its body."""
    held = held_parameters(program, node)
    body = list(op.body.nodes)
    for number, parameter in held.items():
        body[op.body.inputs[number]] = parameter
    outputs = tuple(output for number, output in enumerate(op.body.outputs) if number not in held)
    inner = settled(replace(op.body, nodes=tuple(body), outputs=outputs))
    args = tuple(arg for number, arg in enumerate(node.args) if number not in held)
    return replace(node, op=ops.Scan(inner, op.states - len(held), op.kept), args=args)


def _with_constant(program: Program, node: Node) -> Node:
    """A product with a parameter, the values of which are known here, as that with a constant."""
    factor, x = program.nodes[node.args[1]], program.nodes[node.args[0]].type
    matrix = _values(program, factor)
    if matrix is not None and matrix.ndim == 2 and math.prod(x.frac.shape[:-1]) == 1:
        frac = np.broadcast_to(factor.type.frac, factor.type.shape)
        return replace(node, op=ops.Linear(matrix, frac), args=node.args[:1])
    return node


def _values(program: Program, node: Node) -> Ints | None:
    """The raw values of a parameter, or of a part of one; None of anything else."""
    if isinstance(node.op, ops.Parameter):
        return node.op.raw
    if not isinstance(node.op, ops.Slice):
        return None
    whole = _values(program, program.nodes[node.args[0]])
    if whole is None:
        return None
    return whole[tuple(map(slice, node.op.start, node.op.stop, node.op.step))]
