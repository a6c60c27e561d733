"""Replaces values that are proved constant, and products with 1 by the other factor.

Before: ``%2 = add %0 %1`` of two constants. After: ``%2 = const``, the sum.
"""

from collections.abc import Sequence

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.rounding import drop_bits, fold_overflow
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Fracs, Ints, TensorType, frozen, objects
from bitsmith.passes.program.rewrite import Rewriter, rewrite

MAX_COPIES = 1 << 12
"""Constants that are only moved or repeated are not written out beyond this size: wiring costs nothing."""


def fold_constants(program: Program) -> Program:
    """The program with each value that can be one number only as a constant, and without products with 1."""
    return rewrite(program, _rule)


def _rule(new: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int | None:
    if isinstance(op, ops.Input | ops.Const | ops.Parameter):
        return None
    type_ = new.infer(op, args)
    if isinstance(op, ops.Mul):
        for place, other in (args, args[::-1]):
            factor = new.nodes[other].op
            if isinstance(factor, ops.Const) and np.all(factor.raw == 1) and new.type(place).shape == type_.shape:
                return (
                    new.append(ops.Shift(np.asarray(-factor.frac)), (place,), layer) if np.any(factor.frac) else place
                )
    if all(isinstance(new.nodes[arg].op, ops.Const) for arg in args) and type_.size <= MAX_COPIES:
        type_ = _on_constants(op, [new.type(arg) for arg in args], type_)
    if not is_one_value(type_) or (isinstance(op, ops.Movement) and type_.size > MAX_COPIES):
        return None
    return new.append(ops.Const(frozen(np.broadcast_to(type_.lo, type_.shape)), type_.frac), (), layer)


def _on_constants(op: Op, args: Sequence[TensorType], type_: TensorType) -> TensorType:
    """The type of ``op`` on operands of one value each: intervals tell the value of all but a few ops."""
    match op:
        case ops.Cast():
            rounded = drop_bits(args[0].lo, objects(args[0].frac - op.frac), op.rounding)
            return _one_value(type_.shape, op.frac, fold_overflow(rounded, op.lo, op.hi, op.overflow))
        case ops.Window():
            frac, raw, _ = args[0].full()
            source = moved(op, args[0].shape)  # -1 for the zeros of the padding
            taken = rescale(np.append(raw, 0)[source], np.append(frac, 0)[source], type_.frac)
            return _one_value(type_.shape, type_.frac, taken)
        case ops.Scan(kept=0):
            return _scanned(op, args, type_)
        case _:
            return type_


def _scanned(op: ops.Scan, args: Sequence[TensorType], type_: TensorType) -> TensorType:
    """The type of the results of all steps of a recurrence; ``type_`` if these are not known."""
    states, sequences = list(args[: op.states]), [sequence.full() for sequence in args[op.states :]]
    results = []
    for step in range(type_.shape[0]):
        items = [_one_value(raw.shape[1:], frac[step], raw[step]) for frac, raw, _ in sequences]
        operands, values = iter([*states, *items]), list[TensorType]()
        for node in op.body.nodes:
            if isinstance(node.op, ops.Input):
                value = next(operands)
            else:
                taken = [values[arg] for arg in node.args]
                value = _on_constants(node.op, taken, infer(node.op, taken))
            if not is_one_value(value):
                return type_
            # As it is stored, which is what tables are addressed by.
            raw = rescale(value.lo, value.frac, node.type.frac)
            values.append(_one_value(node.type.shape, node.type.frac, raw))
        *states, result = (values[output.node] for output in op.body.outputs)
        results.append(np.broadcast_to(result.lo, result.shape))
    return _one_value(type_.shape, type_.frac, np.stack(results))


def _one_value(shape: tuple[int, ...], frac: Fracs, raw: Ints) -> TensorType:
    return TensorType.of(shape, frac, raw, raw)


def is_one_value(type_: TensorType) -> bool:
    """True if each element has one possible value."""
    return type_.is_constant
