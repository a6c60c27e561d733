"""Casts and tables: the ops that look at raw integers."""

from functools import partial
from typing import cast

import numpy as np

from bitsmith.emulate import limbs
from bitsmith.emulate.arithmetic import limb_result
from bitsmith.emulate.bounds import NumberKind, has_room, least, magnitude_bits, overflows
from bitsmith.emulate.floats import FloatArray, folder, rounder, unless_within
from bitsmith.emulate.limbs import Limbs, limbs_for
from bitsmith.emulate.notes import SPARE
from bitsmith.emulate.storage import Storage
from bitsmith.emulate.workspace import DTYPES, MUCH, Array, StoredValue, Workspace, spread
from bitsmith.ir import ops
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import IntArray, Overflow, compact, objects


def bind_cast(ws: Workspace, op: ops.Cast, args: tuple[int, ...]) -> StoredValue:
    """``x`` rounded and brought into a range."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    type_, operand = ws.plan.type(ws.node), ws.plan.type(args[0])
    fold = overflows(op, *rounded_range(operand, op.frac, op.rounding))
    if kind is NumberKind.LIMBS:
        return _cast_limbs(ws, op, args[0], fold)
    rounds = bool(np.any(operand.frac > op.frac))
    x = ws.fetch(args[0], kind, storage.scale)
    if not rounds and not fold:
        return (
            StoredValue(x.parts, storage, type_, x.buffers) if storage.kind is kind else ws.convert(x, storage, type_)
        )
    lo, hi = op.lo, op.hi
    looked_at = fold and x.varies and op.overflow is Overflow.WRAP and lo.size == hi.size == 1
    guarded = ws.guarded(Storage(kind, storage.scale), lo.item(), hi.item()) if looked_at else None
    result = guarded or ws.result(Storage(kind, storage.scale), (x,))
    if rounds:
        roomy = has_room(op, operand, kind)
        ws.do(rounder(x.floats, result.floats, op.rounding, roomy=roomy), result.varies)
    elif result.part is not x.part:
        ws.do(partial(np.copyto, result.part, x.part), result.varies)
    if fold:
        scratch = partial(_scratch, ws, result)
        steps = folder(result.floats, lo[..., None], hi[..., None], op.overflow, scratch)
        note = ws.notes.note(op, result.floats)
        if looked_at or (note and op.overflow is not Overflow.WRAP and x.varies):
            steps = [unless_within(result.floats, least(op)[..., None], hi[..., None], steps, note)]
        for step in steps:
            ws.do(step, result.varies) if guarded is None else ws.steps.append(step)
    if storage.kind is kind:
        return result
    ws.discard(result)
    return ws.convert(result, storage, type_)


def _scratch(ws: Workspace, like: StoredValue) -> FloatArray:
    if not like.varies:
        return np.empty_like(like.floats)
    return cast(FloatArray, ws.temporary(like.type.shape, like.part.dtype))


def _cast_limbs(ws: Workspace, op: ops.Cast, arg: int, fold: bool) -> StoredValue:
    operand = ws.plan.type(arg)
    lo, hi = rounded_range(operand, op.frac, op.rounding)
    x = ws.fetch(arg, NumberKind.LIMBS)
    rounded = max(int(np.max(abs(lo))), int(np.max(abs(hi))))
    declared = max(int(np.max(abs(op.lo))), int(np.max(abs(op.hi)))) if fold else 0
    count = limbs_for((rounded + 2 * declared).bit_length() + 1)
    drop = (operand.frac - op.frac)[..., None]
    bring = _limb_folder(op, count) if fold else None
    watched = fold and x.varies and op in ws.notes.casts

    def compute() -> Limbs:
        result = limbs.round_shift(x.limbs, drop, op.rounding, count)
        brought = result if bring is None else bring(result)
        if watched:
            changed = np.any([x != y for x, y in zip(result, brought, strict=True)], axis=0)
            if changed.any():
                ws.notes.mark(op, changed * (0.0 if op.overflow is Overflow.WRAP else SPARE))
        return brought

    return limb_result(ws, compute, ws.plan.storage[ws.node], x.varies)


def _limb_folder(op: ops.Cast, count: int) -> limbs.LimbFunction:
    """A function that brings limbs into the range of ``op``."""
    low, high = least(op)[..., None], op.hi[..., None]
    if op.overflow is Overflow.WRAP:
        return limbs.wrapper(low, objects(high - low + 1), count)
    least_parts, most_parts = limbs.from_objects(low, count), limbs.from_objects(high, count)
    if op.overflow is not Overflow.SAT_ZERO:
        return lambda x: limbs.minimum(limbs.maximum(x, least_parts), most_parts)
    zero = (np.zeros(1, dtype=np.int64),)
    return lambda x: limbs.select(limbs.less(x, least_parts) | limbs.less(most_parts, x), zero, x, count)


def bind_table(ws: Workspace, op: ops.Table, args: tuple[int, ...]) -> StoredValue:
    """A look-up by raw value."""
    storage, type_, operand = ws.plan.storage[ws.node], ws.plan.type(ws.node), ws.plan.type(args[0])
    x = ws.fetch(args[0], ws.values[args[0]].storage.kind, operand.frac)
    tables, rows = ws.plan.prepared(ws.node, lambda: _tables(op, storage, type_.shape))
    # A table per channel is one long table, in which each channel starts at its own row.
    # The first raw value may be beyond int64; the difference that counts is not, whatever wraps on the way.
    offset = rows * op.values.shape[-1] - np.array(op.first % 2**64, np.uint64).astype(np.int64)
    result = ws.new(type_.shape, storage, type_, varies=x.varies, count=len(tables))
    index = ws.temporary(type_.shape, np.intp) if x.varies else np.empty((*type_.shape, 1), np.intp)
    if len(x.parts) == 1:
        if x.part.size >= MUCH and x.part.dtype.kind == "f" and magnitude_bits(operand) < 32:
            # Processors convert floats to short integers, and those to long ones, several at a time.
            short = ws.temporary(type_.shape, np.int32)
            ws.do(partial(short.__setitem__, ..., x.part), x.varies)
            ws.do(partial(index.__setitem__, ..., short), x.varies)
        else:
            ws.do(partial(index.__setitem__, ..., x.part), x.varies)
    else:
        ws.do(lambda: np.copyto(index, limbs.resize(x.limbs, 1)[0]), x.varies)
    if np.any(offset):
        ws.do(partial(np.add, index, spread(offset, index.shape), index), x.varies)
    for target, table in zip(result.parts, tables, strict=True):
        ws.do(partial(table.take, index, None, target, "clip"), x.varies)
    return result


def _tables(op: ops.Table, storage: Storage, shape: tuple[int, ...]) -> tuple[list[Array], IntArray]:
    """Entries as they are storage, all rows in one line, and the row that each element reads (with a batch axis)."""
    rank = len(shape)
    values = op.values.reshape((1,) * (rank + 1 - op.values.ndim) + op.values.shape)
    if storage.kind is NumberKind.LIMBS:
        count = limbs_for(int(np.max(abs(values))).bit_length())
        entries: list[Array] = list(limbs.from_objects(values, count))
    else:
        change = storage.scale - op.frac.reshape((1,) * (rank - op.frac.ndim) + op.frac.shape)
        entries = [np.ldexp(values.astype(np.float64), change[..., None]).astype(DTYPES[storage.kind])]
    leading = entries[0].shape[:-1]
    rows = np.broadcast_to(np.arange(int(np.prod(leading))).reshape(leading), shape)
    return [np.ascontiguousarray(part).reshape(-1) for part in entries], compact(rows.astype(np.int64))[..., None]
