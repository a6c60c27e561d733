"""Constants that are added to the operand of a product with constants become part of what is added to its result.

Before: ``linear(x + c, W) + b``. After: ``linear(x, W) + (linear(c, W) + b)``: one sum for each result, none for each operand.
"""

import math

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.types import frozen, objects
from bitsmith.passes.program.fold_constants import MAX_COPIES
from bitsmith.passes.program.rewrite import Rewriter, rewrite


def fold_offsets(program: Program) -> Program:
    """``program`` with constants behind products, where one is added there anyway, and sums with one constant for two."""
    return rewrite(program, _rule)


def _rule(new: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int | None:
    if not isinstance(op, ops.Add):
        return None
    sums = _with_constant(new, args)
    if sums is None:
        return None
    inner, constant = sums
    product = new.nodes[inner]
    if isinstance(product.op, ops.Add):
        before = _with_constant(new, product.args)
        if before is None:
            return None
        return new.append(op, (before[0], _evaluated(new, op, (before[1], constant), layer)), layer)
    if not isinstance(product.op, ops.Linear):
        return None
    moved = _without_offset(new, product.args[0])
    if moved is None:
        return None
    operand, offset = moved
    linear = new.append(product.op, (operand,), product.layer)
    behind = _evaluated(new, product.op, (offset,), product.layer)
    return new.append(op, (linear, _evaluated(new, op, (behind, constant), layer)), layer)


def _with_constant(new: Rewriter, args: tuple[int, ...]) -> tuple[int, int] | None:
    """The variable and the constant among the operands of a sum; None of others."""
    constants = [arg for arg in args if isinstance(new.nodes[arg].op, ops.Const)]
    if len(constants) != 1:
        return None
    (variable,) = (arg for arg in args if arg not in constants)
    return variable, constants[0]


def _without_offset(new: Rewriter, place: int, whole: bool = False) -> tuple[int, int] | None:
    """The variable of a sum with a constant, and the constant, both reshaped as the sum is; None of others.

    Constants have channels alone where all positions have the same, unless they are wanted ``whole``; large ones have no others.
    """
    node = new.nodes[place]
    if isinstance(node.op, ops.Reshape):
        split = _without_offset(new, node.args[0], whole=True)
        if split is None:
            return None
        return new.append(node.op, (split[0],), node.layer), _evaluated(new, node.op, (split[1],), node.layer)
    split = _with_constant(new, node.args) if isinstance(node.op, ops.Add) else None
    shape = node.type.shape
    if split is None or new.type(split[0]).shape != shape:
        return None
    own = new.type(split[1]).shape
    by_position = whole or math.prod(own[:-1]) > 1
    if node.type.size > MAX_COPIES and by_position:
        return None
    shape = shape if by_position else shape[-1:]
    constant = new.nodes[split[1]].op
    assert isinstance(constant, ops.Const)
    frac = int(constant.frac.max())
    raw = objects(constant.raw << objects(frac - constant.frac)).reshape(own[-len(shape) :])
    full = ops.Const(objects(np.broadcast_to(raw, shape)), np.array(frac, dtype=np.int64))
    return split[0], new.append(full, (), node.layer)


def _evaluated(new: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int:
    """The value of an op on constants, which its type tells."""
    kind = new.infer(op, args)
    return new.append(ops.Const(frozen(np.broadcast_to(kind.lo, kind.shape)), kind.frac), (), layer)
