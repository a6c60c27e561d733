"""Replaces values that are proved constant.

Before: ``%2 = add %0 %1`` of two constants. After: ``%2 = const``, the sum.
"""

from __future__ import annotations

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.ops import Op
from bitsmith.ir.oracle import evaluate
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import TensorType
from bitsmith.passes.program.rewrite import Rewriter, rewrite

MAX_COPIES = 1 << 12
"""Constants that are only moved or repeated are not written out beyond this size: wiring costs nothing."""


def fold_constants(program: Program) -> Program:
    """The program with each value that can be one number only as a constant."""
    return rewrite(program, _rule)


def _rule(new: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int | None:
    if isinstance(op, ops.Input | ops.Const | ops.Parameter):
        return None
    type_ = new.infer(op, args)
    if (
        not is_one_value(type_)
        and type_.size <= MAX_COPIES
        and all(isinstance(new.nodes[arg].op, ops.Const) for arg in args)
    ):
        return new.append(_evaluated(new, op, args, type_), (), layer)  # a recurrence, whose type is that of its states
    if not is_one_value(type_) or (isinstance(op, ops.Movement) and type_.size > MAX_COPIES):
        return None
    raw = np.array(np.broadcast_to(type_.lo, type_.shape), dtype=np.object_)
    raw.setflags(write=False)
    return new.append(ops.Const(raw, type_.frac), (), layer)


def _evaluated(new: Rewriter, op: Op, args: tuple[int, ...], type_: TensorType) -> ops.Const:
    nodes = (*(new.nodes[arg] for arg in args), Node(op, tuple(range(len(args))), type_))
    (raw,) = evaluate(Program(nodes, (Output("value", len(args)),)), [])
    raw.setflags(write=False)
    return ops.Const(raw, type_.frac)


def is_one_value(type_: TensorType) -> bool:
    """True if each element has one possible value."""
    return type_.is_constant
