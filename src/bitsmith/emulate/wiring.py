"""Wiring ops: views where numpy can express them, row copies where it cannot."""

from functools import partial
from typing import assert_never

import numpy as np

from bitsmith.emulate import limbs
from bitsmith.emulate.bounds import NumberKind, aligned_bits
from bitsmith.emulate.storage import Storage
from bitsmith.emulate.workspace import Array, StoredValue, Workspace
from bitsmith.ir import ops
from bitsmith.ir.indexing import windows_in
from bitsmith.ir.types import Fracs, TensorType


def bind_wiring(ws: Workspace, op: ops.Movement, args: tuple[int, ...]) -> StoredValue:
    storage, type_ = ws.plan.storage[ws.node], ws.plan.type(ws.node)
    operands = [ws.fetch(arg, storage.kind, _operand_scale(op, storage, ws.plan.type(arg))) for arg in args]
    count = max(len(x.parts) for x in operands)
    if isinstance(op, ops.Concat):
        return _concat(ws, op, storage, operands, count)
    x = operands[0]
    if isinstance(op, ops.Window) and storage.kind is NumberKind.LIMBS:
        x = _align(ws, x, op)
        count = len(x.parts)
    match op:
        case ops.Reshape() if ws.node in ws.plan.by_rows and x.varies:
            return StoredValue(x.parts, storage, type_, x.buffers)
        case ops.Reshape():
            if all(_is_view(part, op.shape) for part in x.parts):
                parts = [part.reshape((*op.shape, part.shape[-1])) for part in x.parts]
                return StoredValue(parts, storage, type_, x.buffers)
            result = ws.new(op.shape, storage, type_, varies=x.varies, count=count)
            for target, part in zip(result.parts, x.parts, strict=True):
                ws.do(partial(np.copyto, target.reshape(part.shape), part), x.varies)
            return result
        case ops.Transpose():
            return StoredValue(
                [part.transpose((*op.perm, len(op.perm))) for part in x.parts], storage, type_, x.buffers
            )
        case ops.Slice():
            box = tuple(map(slice, op.start, op.stop, op.step))
            return StoredValue([part[box] for part in x.parts], storage, type_, x.buffers)
        case ops.Broadcast():
            parts = [np.broadcast_to(part, (*op.shape, part.shape[-1])) for part in x.parts]
            return StoredValue(parts, storage, type_, x.buffers)
        case ops.Gather():
            result = ws.new(type_.shape, storage, type_, varies=x.varies, count=count)
            for target, part in zip(result.parts, x.parts, strict=True):
                ws.do(partial(np.take, part, op.indices, op.axis, target, "clip"), x.varies)
            return result
        case ops.Pad():
            return _pad(ws, x, op.before, type_.shape, storage, type_)
        case ops.Window():
            before = (*(p[0] for p in op.padding), *(0 for _ in x.type.shape[len(op.size) :]))
            after = (*(p[1] for p in op.padding), *(0 for _ in x.type.shape[len(op.size) :]))
            shape = tuple(sum(n) for n in zip(before, x.type.shape, after, strict=True))
            padded = _pad(ws, x, before, shape, storage, type_) if shape != x.type.shape else x
            return StoredValue([windows_in(op, part) for part in padded.parts], storage, type_, padded.buffers)
        case _:
            assert_never(op)


def _is_view(part: Array, shape: tuple[int, ...]) -> bool:
    """Return True if samples get another ``shape`` without a copy: where axes become one, they follow on each other in memory."""
    axes = [pair for pair in zip(part.shape[:-1], part.strides[:-1], strict=True) if pair[0] > 1]
    sizes = [n for n in shape if n > 1]
    while axes:
        (n, step), size = axes.pop(), sizes.pop()
        before = n
        while before != size:
            if before > size:
                size *= sizes.pop()
                continue
            inner, (n, step) = n * step, axes.pop()
            if step != inner:
                return False
            before *= n
    return True


def _operand_scale(op: ops.Movement, storage: Storage, x: TensorType) -> Fracs:
    """One scale for all, or else that of the operand's type."""
    if storage.scale.size == 1 and storage.kind is not NumberKind.LIMBS:
        return storage.scale.reshape((1,) * len(x.shape))
    if isinstance(op, ops.Window):
        unified: Fracs = x.frac.max(axis=tuple(range(len(op.size))), keepdims=True)
        return unified
    return x.frac


def _align(ws: Workspace, x: StoredValue, op: ops.Window) -> StoredValue:
    """Limbs of one ``frac`` for all positions."""
    frac = x.type.frac.max(axis=tuple(range(len(op.size))), keepdims=True)
    amount = frac - x.type.frac
    if not np.any(amount):
        return x
    count = limbs.limbs_for(aligned_bits(x.type, frac))
    result = ws.new(x.type.shape, Storage(NumberKind.LIMBS, frac), x.type, varies=x.varies, count=count)

    def step() -> None:
        for target, part in zip(result.parts, limbs.shift(x.limbs, amount[..., None], count), strict=True):
            np.copyto(target, part)

    ws.do(step, x.varies)
    return result


def _concat(ws: Workspace, op: ops.Concat, storage: Storage, operands: list[StoredValue], count: int) -> StoredValue:
    type_ = ws.plan.type(ws.node)
    varies = any(x.varies for x in operands)
    result = ws.new(type_.shape, storage, type_, varies=varies, count=count)
    start = 0
    for x in operands:
        stop = start + x.type.shape[op.axis]
        place = (slice(None),) * op.axis + (slice(start, stop),)
        start = stop
        targets = [part[place] for part in result.parts]
        ws.do(partial(_copy, targets, x), varies)
    return result


def _copy(targets: list[Array], x: StoredValue) -> None:
    sources = limbs.resize(x.limbs, len(targets)) if len(x.parts) < len(targets) else x.parts
    for target, part in zip(targets, sources, strict=True):
        np.copyto(target, part)


def _pad(
    ws: Workspace, x: StoredValue, before: tuple[int, ...], shape: tuple[int, ...], storage: Storage, type_: TensorType
) -> StoredValue:
    result = ws.new(shape, storage, type_, varies=x.varies, count=len(x.parts))
    inner = tuple(slice(b, b + n) for b, n in zip(before, x.type.shape, strict=True))
    for target, part in zip(result.parts, x.parts, strict=True):
        ws.do(partial(target.fill, 0), x.varies)
        ws.do(partial(np.copyto, target[inner], part), x.varies)
    return result
