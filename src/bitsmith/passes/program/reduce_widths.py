"""Removes ops that change none of the values that reach them, and tightens types.

Before: ``%1 = cast %0`` to a format that holds all of ``%0`` with as many fractional bits. After: ``%0`` itself.

The states of a recurrence are in the range of the first and the next ones, where their formats hold more.
"""

from dataclasses import replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import step_type
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Node, Program
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import Overflow, Rounding, TensorType, compact, objects
from bitsmith.passes.program.rewrite import Rewriter, rewrite


def reduce_widths(program: Program) -> Program:
    """The program without casts, extremes, selections and wiring that change nothing, and with the tightest types."""
    return rewrite(program, _rule)


def _rule(new: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int | None:
    match op:
        case ops.Cast():
            return _cast(new, op, args[0], layer)
        case ops.Max() | ops.Min():
            return _extreme(new, op, args)
        case ops.Select():
            return _select(new, op, args)
        case ops.Abs() if bool(np.all(new.type(args[0]).lo >= 0)):
            return args[0]
        case ops.Neg() if isinstance(new.nodes[args[0]].op, ops.Neg):
            return new.nodes[args[0]].args[0]
        case ops.Shift() if not np.any(op.amount):
            return args[0]
        case ops.Reshape() | ops.Broadcast() if op.shape == new.type(args[0]).shape:
            return args[0]
        case ops.Reshape() if isinstance(new.nodes[args[0]].op, ops.Reshape):
            return new.append(op, new.nodes[args[0]].args, layer)
        case ops.Transpose() if isinstance(inner := new.nodes[args[0]].op, ops.Transpose):
            both = ops.Transpose(tuple(inner.perm[axis] for axis in op.perm))
            merged = _rule(new, both, new.nodes[args[0]].args, layer)
            return new.append(both, new.nodes[args[0]].args, layer) if merged is None else merged
        case ops.Transpose() if op.perm == tuple(range(len(op.perm))):
            return args[0]
        case ops.Transpose() if not _moves(op, new.type(args[0]).shape):
            shape = new.infer(op, args).shape
            return new.append(ops.Reshape(shape), args, layer)
        case ops.Slice() if new.infer(op, args).shape == new.type(args[0]).shape:
            return args[0]
        case ops.Concat() if len(args) == 1:
            return args[0]
        case ops.Pad() if not any((*op.before, *op.after)):
            return args[0]
        case ops.Window() if isinstance(inner := new.nodes[args[0]].op, ops.Pad):
            padded = _padded(op, inner)
            return None if padded is None else new.append(padded, new.nodes[args[0]].args, layer)
        case ops.Window() if isinstance(new.nodes[args[0]].op, ops.AMax | ops.Sum):
            return _padded_later(new, op, new.nodes[args[0]], layer)
        case ops.Scan():
            return _scan(new, op, args, layer)
        case _:
            return None


def _moves(op: ops.Transpose, shape: tuple[int, ...]) -> bool:
    """True if the transposition changes more than the places of axes of size 1."""
    kept = [axis for axis in op.perm if shape[axis] > 1]
    return kept != sorted(kept)


def _padded(op: ops.Window, pad: ops.Pad) -> ops.Window | None:
    """The windows over a tensor that is not padded before, padded themselves; None if other axes are padded, too."""
    pairs, rank = tuple(zip(pad.before, pad.after, strict=True)), len(op.size)
    if any(map(any, pairs[rank:])):
        return None
    own = zip(op.padding, pairs[:rank], strict=True)
    return replace(op, padding=tuple((a + before, b + after) for (a, b), (before, after) in own))


def _padded_later(new: Rewriter, op: ops.Window, reduced: Node, layer: str) -> int | None:
    """``op`` with the padding of what is ``reduced`` over windows, along axes that these leave as they are; None without any.

    Zeros give zeros there. So a pooling axis by axis pads each axis where it pools along it, and makes no rows of zeros before.
    """
    inner, rank = new.nodes[reduced.args[0]], len(op.size)
    assert isinstance(reduced.op, ops.AMax | ops.Sum)
    if not isinstance(inner.op, ops.Window) or reduced.op.axes != tuple(range(rank, 2 * rank)):
        return None
    before, axes = inner.op, range(len(inner.op.size))
    idle = [before.size[k] == before.stride[k] == 1 and any(before.padding[k]) for k in axes]
    if len(axes) != rank or not any(idle):
        return None
    none = tuple((0, 0) if idle[k] else before.padding[k] for k in axes)
    windows = new.append(replace(before, padding=none), inner.args, inner.layer)
    without = new.append(reduced.op, (windows,), reduced.layer)
    pairs = zip(op.padding, before.padding, idle, strict=True)
    both = tuple((a + first, b + last) if moves else (a, b) for (a, b), (first, last), moves in pairs)
    return new.append(replace(op, padding=both), (without,), layer)


def _cast(new: Rewriter, op: ops.Cast, arg: int, layer: str) -> int | None:
    inner = new.nodes[arg]
    if isinstance(inner.op, ops.Cast) and _absorbed(op, inner.op, new.type(inner.args[0])):
        merged = _cast(new, op, inner.args[0], layer)
        return new.append(op, inner.args, layer) if merged is None else merged
    x = new.type(arg)
    return arg if bool(np.all(x.frac == op.frac)) and holds(op, x) else None


def holds(op: ops.Cast, x: TensorType) -> bool:
    """True if every rounded value of ``x`` is within the range of the cast."""
    least = objects(np.maximum(op.lo, -op.hi)) if op.overflow is Overflow.SAT_SYM else op.lo
    lo, hi = rounded_range(x, op.frac, op.rounding)
    return bool(np.all(lo >= least)) and bool(np.all(hi <= op.hi))


def _absorbed(outer: ops.Cast, inner: ops.Cast, x: TensorType) -> bool:
    """True if ``outer(inner(x)) == outer(x)`` for all ``x``.

    This holds if ``inner`` loses nothing, or only floors what ``outer`` floors further.
    """
    if not holds(inner, x):
        return False
    lossless = bool(np.all(inner.frac >= x.frac))
    floors = inner.rounding is outer.rounding is Rounding.TRN and bool(np.all(inner.frac >= outer.frac))
    return lossless or floors


def _extreme(new: Rewriter, op: ops.Max | ops.Min, args: tuple[int, ...]) -> int | None:
    result = new.infer(op, args)
    for kept, other in (args, args[::-1]):
        x, y = new.type(kept), new.type(other)
        if x.shape != result.shape or not bool(np.all(x.frac == result.frac)):
            continue
        if kept == other:
            return kept
        # In units of the result, of which both are multiples if their fractional bits are no more.
        if not bool(np.all(y.frac <= result.frac)):
            continue
        shift = objects(objects(result.frac) - objects(y.frac))
        lo, hi = objects(y.lo << shift), objects(y.hi << shift)
        if bool(np.all(x.lo >= hi)) if isinstance(op, ops.Max) else bool(np.all(x.hi <= lo)):
            return kept
    return None


def _select(new: Rewriter, op: ops.Select, args: tuple[int, ...]) -> int | None:
    condition, x, y = args
    type_ = new.type(condition)
    if bool(np.all((type_.lo > 0) | (type_.hi < 0))):
        chosen = x
    elif x == y or bool(np.all((type_.lo == 0) & (type_.hi == 0))):
        chosen = y
    else:
        return None
    result = new.infer(op, args)
    same = new.type(chosen).shape == result.shape and bool(np.all(new.type(chosen).frac == result.frac))
    return chosen if same else None


def _scan(new: Rewriter, op: ops.Scan, args: tuple[int, ...], layer: str) -> int | None:
    """The recurrence with a body that takes no more than what reaches it; None if it takes just that."""
    body, tight = op.body, dict[int, ops.Input]()
    for number, (index, arg) in enumerate(zip(body.inputs, args, strict=True)):
        declared, taken = body.nodes[index].op, new.type(arg)
        assert isinstance(declared, ops.Input)
        if number < op.states:
            following = body.nodes[body.outputs[number].node].type
            lo, hi = np.minimum(taken.lo, following.lo), np.maximum(taken.hi, following.hi)
        else:
            lo, hi = step_type(taken).lo, step_type(taken).hi
        if np.any(lo > declared.lo) or np.any(hi < declared.hi):
            tight[id(declared)] = replace(declared, lo=objects(compact(objects(lo))), hi=objects(compact(objects(hi))))
    if not tight:
        return None

    def rule(inner: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int | None:
        narrower = tight.get(id(op))  # inputs of recurrences within the body may have the same names
        return _rule(inner, op, args, layer) if narrower is None else inner.append(narrower, args, layer)

    return new.append(replace(op, body=rewrite(body, rule)), args, layer)
