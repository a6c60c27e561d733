"""Element-wise ops, reductions and the product of two variables."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import limbs
from bitsmith.emulate.bounds import NumberKind, aligned_bits, limb_count
from bitsmith.emulate.floats import Kernel
from bitsmith.emulate.limbs import Limbs, limbs_for
from bitsmith.emulate.storage import Storage
from bitsmith.emulate.workspace import MUCH, Array, StoredValue, Workspace, copy_limbs, factors, spread
from bitsmith.ir import ops
from bitsmith.ir.ops import RELATIONS, Relation
from bitsmith.ir.types import Fracs

Pairwise: TypeAlias = ops.Add | ops.Sub | ops.Max | ops.Min

_HOLDS: Mapping[Relation, Callable[[Limbs, Limbs], npt.NDArray[np.bool_]]] = {
    Relation.LT: limbs.less,
    Relation.LE: lambda x, y: ~limbs.less(y, x),
    Relation.EQ: limbs.equal,
    Relation.NE: lambda x, y: ~limbs.equal(x, y),
    Relation.GE: lambda x, y: ~limbs.less(x, y),
    Relation.GT: lambda x, y: limbs.less(y, x),
}


def bind_pairwise(ws: Workspace, op: Pairwise, args: tuple[int, ...]) -> StoredValue:
    """Sums, differences and extremes of two operands."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    for arg in args:
        if ws.plan.biased.get(arg) == ws.node:
            x = ws.values[arg]
            return StoredValue(x.parts, storage, ws.plan.type(ws.node), x.buffers)
    if kind is not NumberKind.LIMBS:
        x, y = (ws.fetch(arg, storage.kind, storage.scale) for arg in args)
        result = ws.result(storage, (x, y))
        clip = _clip(op, x, y, result)
        left, right = (_operand(ws, each, result.part) for each in (x, y))
        ws.do(clip or partial(op.ufunc, left, right, result.part), result.varies)
        return result
    frac = ws.plan.type(ws.node).frac
    a, b = (ws.fetch(arg, NumberKind.LIMBS) for arg in args)
    count = max(limb_count(ws.plan.type(ws.node)), _aligned_count(a, frac), _aligned_count(b, frac))

    def compute() -> Limbs:
        left, right = _aligned(a, frac, count), _aligned(b, frac, count)
        match op:
            case ops.Add():
                return limbs.add(left, right, count)
            case ops.Sub():
                return limbs.subtract(left, right, count)
            case ops.Max():
                return limbs.maximum(left, right)
            case ops.Min():
                return limbs.minimum(left, right)
            case _:
                assert_never(op)

    return limb_result(ws, compute, storage, a.varies or b.varies)


def _operand(ws: Workspace, x: StoredValue, result: Array) -> Array:
    """The array of ``x`` for a ``result``; small ones need no broadcasting, which takes numpy longer than their sum."""
    if not x.varies:
        return spread(x.part, result.shape)
    if x.part.size == 1:
        return x.part.reshape(())
    if x.part.shape == result.shape or result.size >= MUCH:
        return x.part
    whole = ws.temporary(result.shape[:-1], x.part.dtype)
    ws.do(partial(whole.__setitem__, ..., x.part))
    return whole


def _clip(op: Pairwise, x: StoredValue, y: StoredValue, result: StoredValue) -> Kernel | None:
    """An extreme with one constant number as a clip, which numpy does in half the time where there is much to do."""
    if result.part.size < MUCH:
        return None
    for value, other in ((x, y), (y, x)):
        if value.part.shape != result.part.shape or other.varies:
            continue
        bound = float(other.part.flat[0])
        if bool(np.all(other.part == bound)):
            if isinstance(op, ops.Max):
                return partial(value.part.clip, bound, np.inf, result.part)
            if isinstance(op, ops.Min):
                return partial(value.part.clip, -np.inf, bound, result.part)
    return None


def bind_product(ws: Workspace, args: tuple[int, ...]) -> StoredValue:
    """``x * y``."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    if kind is NumberKind.LIMBS:
        a, b = (ws.fetch(arg, NumberKind.LIMBS) for arg in args)
        count = limb_count(ws.plan.type(ws.node))
        return limb_result(ws, lambda: limbs.multiply(a.limbs, b.limbs, count), storage, a.varies or b.varies)
    scales = _factor_scales(ws, args, storage.scale)
    x, y = (ws.fetch(arg, storage.kind, scale) for arg, scale in zip(args, scales, strict=True))
    made = ws.result(storage, (x, y))
    left, right = (_operand(ws, each, made.part) for each in (x, y))
    ws.do(partial(np.multiply, left, right, made.part), made.varies)
    return made


def _factor_scales(ws: Workspace, args: tuple[int, ...], wanted: Fracs) -> tuple[Fracs, Fracs]:
    """Scales of two factors whose sum is ``wanted``; a constant takes any scale for nothing."""
    first, second = (ws.plan.storage[arg].scale for arg in args)
    left, right = (ws.plan.program.nodes[arg].op for arg in args)
    if np.array_equal(
        np.broadcast_to(first + second, np.broadcast_shapes((first + second).shape, wanted.shape)), wanted
    ):
        return first, second
    if isinstance(right, ops.Const | ops.Parameter):
        return first, wanted - first
    if isinstance(left, ops.Const | ops.Parameter):
        return wanted - second, second
    return ws.plan.type(args[0]).frac, wanted - ws.plan.type(args[0]).frac


def bind_sign(ws: Workspace, op: ops.Neg | ops.Abs, args: tuple[int, ...]) -> StoredValue:
    """``-x`` and ``|x|``."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    if kind is not NumberKind.LIMBS:
        x = ws.fetch(args[0], storage.kind, storage.scale)
        made = ws.result(storage, (x,))
        ws.do(partial(np.negative if isinstance(op, ops.Neg) else np.absolute, x.part, made.part), made.varies)
        return made
    a = ws.fetch(args[0], NumberKind.LIMBS)

    def compute() -> Limbs:
        opposite = limbs.negate(a.limbs)
        return opposite if isinstance(op, ops.Neg) else limbs.maximum(a.limbs, opposite)

    return limb_result(ws, compute, storage, a.varies)


def bind_shift(ws: Workspace, op: ops.Shift, args: tuple[int, ...]) -> StoredValue:
    """``x * 2**amount``: the same stored numbers under another scale."""
    storage = ws.plan.storage[ws.node]
    x = ws.fetch(args[0], storage.kind, storage.scale + op.amount)
    return StoredValue(x.parts, storage, ws.plan.type(ws.node), x.buffers)


def bind_compare(ws: Workspace, op: ops.Compare, args: tuple[int, ...]) -> StoredValue:
    """1 where the relation holds, else 0."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    types = [ws.plan.type(arg) for arg in args]
    if kind is NumberKind.LIMBS:
        frac = np.maximum(types[0].frac, types[1].frac)
        a, b = (ws.fetch(arg, NumberKind.LIMBS) for arg in args)
        count = max(_aligned_count(a, frac), _aligned_count(b, frac))
        result = (
            ws.result(storage, (a, b))
            if storage.kind is NumberKind.LIMBS
            else _fresh(ws, storage, a.varies or b.varies)
        )
        target = result.part

        def step() -> None:
            np.copyto(target, _HOLDS[op.relation](_aligned(a, frac, count), _aligned(b, frac, count)), casting="unsafe")

        ws.do(step, result.varies)
        return result
    scale = np.asarray(max(int(x.frac.max()) for x in types))
    variable = [arg for arg in args if not isinstance(ws.plan.program.nodes[arg].op, ops.Const | ops.Parameter)]
    if variable and ws.plan.storage[variable[0]].scale.size == 1:
        scale = ws.plan.storage[variable[0]].scale.reshape(())
    x, y = (ws.fetch(arg, kind, scale) for arg in args)
    result = _fresh(ws, storage, x.varies or y.varies)
    if not result.varies:
        np.copyto(result.part, RELATIONS[op.relation](x.part, y.part))
        return result
    mask = ws.temporary(result.type.shape, np.bool_)
    ws.do(partial(RELATIONS[op.relation], x.part, y.part, out=mask))
    ws.do(partial(np.copyto, result.part, mask))
    return result


def bind_select(ws: Workspace, args: tuple[int, ...]) -> StoredValue:
    """``x`` where the condition is not 0, else ``y``."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    condition = ws.values[args[0]]
    if kind is not NumberKind.LIMBS:
        x, y = (ws.fetch(arg, storage.kind, storage.scale) for arg in args[1:])
        varies = condition.varies or x.varies or y.varies
        result = _fresh(ws, storage, varies)

        def step() -> None:
            np.copyto(result.part, y.part)
            np.copyto(result.part, x.part, where=_nonzero(condition))

        ws.do(step, varies)
        return result
    frac = ws.plan.type(ws.node).frac
    a, b = (ws.fetch(arg, NumberKind.LIMBS) for arg in args[1:])
    count = max(limb_count(ws.plan.type(ws.node)), _aligned_count(a, frac), _aligned_count(b, frac))
    return limb_result(
        ws,
        lambda: limbs.select(_nonzero(condition), _aligned(a, frac, count), _aligned(b, frac, count), count),
        storage,
        condition.varies or a.varies or b.varies,
    )


def _nonzero(value: StoredValue) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = value.parts[0] != 0
    for part in value.parts[1:]:
        result = result | (part != 0)
    return result


def bind_reduction(ws: Workspace, op: ops.Sum | ops.AMax, args: tuple[int, ...]) -> StoredValue:
    """Sums and greatest elements over some axes."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    operand = ws.plan.type(args[0])
    if kind is not NumberKind.LIMBS:
        x = ws.fetch(
            args[0], storage.kind, np.expand_dims(storage.scale, op.axes) if storage.scale.ndim else storage.scale
        )
        part = np.broadcast_to(x.part, (*operand.shape, x.part.shape[-1]))
        result = _fresh(ws, storage, x.varies)
        ufunc = np.add if isinstance(op, ops.Sum) else np.maximum
        if ufunc is np.add and op.axes == (0,) and part.ndim == 2 and part.flags.c_contiguous and part.size < MUCH:
            ws.do(partial(np.ones((1, len(part)), part.dtype).dot, part, result.part.reshape(1, -1)), x.varies)
        else:
            axes = op.axes[0] if len(op.axes) == 1 else op.axes
            ws.do(partial(ufunc.reduce, part, axes, None, result.part), x.varies)
        return result
    a = ws.fetch(args[0], NumberKind.LIMBS)
    frac = operand.frac.max(axis=op.axes, keepdims=True)
    bits = aligned_bits(operand, frac)
    aligned = limbs_for(bits)
    count = limbs_for(bits + operand.size.bit_length())

    def compute() -> Limbs:
        parts = limbs.shift(a.limbs, (frac - operand.frac)[..., None], aligned)
        parts = tuple(np.broadcast_to(part, (*operand.shape, part.shape[-1])) for part in parts)
        if isinstance(op, ops.Sum):
            return limbs.total(parts, op.axes, count)
        for axis in reversed(op.axes):
            parts = limbs.greatest(parts, axis)
        return parts

    return limb_result(ws, compute, storage, a.varies)


_BY_LIBRARY = 10
"""Products for each number of all matrices from which on a library of linear algebra outweighs that numbers are moved for it."""


def _multiply(first: Array, second: Array, out: Array) -> None:
    """Write the products of matrices to ``out``, with samples along the last axis of all."""
    if out.size * first.shape[-2] < _BY_LIBRARY * (first.size + second.size + out.size):
        np.einsum("...nkb,...kmb->...nmb", first, second, out=out)
        return
    matrices = (np.ascontiguousarray(np.moveaxis(each, -1, 0)) for each in (first, second))
    np.copyto(out, np.moveaxis(np.matmul(*matrices), 0, -1))


def bind_matmul(ws: Workspace, args: tuple[int, ...]) -> StoredValue:
    """``x @ y`` over the last two axes of both."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    left, right = (ws.plan.type(arg) for arg in args)
    if kind is not NumberKind.LIMBS:
        scales = [np.asarray(x.frac.max()) for x in (left, right)]
        x, y = (ws.fetch(arg, storage.kind, scale) for arg, scale in zip(args, scales, strict=True))
        result = _fresh(ws, storage, x.varies or y.varies)
        batch = result.part.shape[-1]
        first = np.broadcast_to(x.part, (*left.shape, batch))
        second = np.broadcast_to(y.part, (*right.shape, batch))
        ws.do(partial(_multiply, first, second, result.part), result.varies)
        change = storage.scale - sum(scales)
        if np.any(change):
            ws.do(partial(np.multiply, result.part, factors(change), out=result.part), result.varies)
        return result
    # Products with one ``frac`` for all, then one sum; rare and only as fast as it needs to be.
    a, b = (ws.fetch(arg, NumberKind.LIMBS) for arg in args)
    tops = [np.asarray(x.frac.max()) for x in (left, right)]
    bits = [aligned_bits(x, top) for x, top in zip((left, right), tops, strict=True)]
    product, total = limbs_for(sum(bits)), limbs_for(sum(bits) + left.shape[-1].bit_length())
    change = ws.plan.type(ws.node).frac - sum(tops)

    def compute() -> Limbs:
        first = limbs.shift(a.limbs, (tops[0] - left.frac)[..., None], limbs_for(bits[0]))
        second = limbs.shift(b.limbs, (tops[1] - right.frac)[..., None], limbs_for(bits[1]))
        products = limbs.multiply(
            tuple(part[..., :, :, None, :] for part in first),
            tuple(part[..., None, :, :, :] for part in second),
            product,
        )
        return limbs.shift(limbs.total(products, (-3,), total), change[..., None], total)

    return limb_result(ws, compute, storage, a.varies or b.varies)


def limb_result(ws: Workspace, compute: limbs.Computation, storage: Storage, varies: bool) -> StoredValue:
    """The value of the node, computed in limbs (at its type's ``frac``) and storage as ``storage``."""
    type_ = ws.plan.type(ws.node)
    if storage.kind is NumberKind.LIMBS:
        result = ws.new(type_.shape, storage, type_, varies=varies, count=limb_count(type_))
        ws.do(lambda: copy_limbs(result.parts, compute()), varies)
        return result
    result = ws.new(type_.shape, storage, type_, varies=varies)
    factor = factors(storage.scale - type_.frac)
    target = result.part
    ws.do(lambda: np.multiply(limbs.to_float(compute()), factor, target, casting="same_kind"), varies)
    return result


def _fresh(ws: Workspace, storage: Storage, varies: bool) -> StoredValue:
    type_ = ws.plan.type(ws.node)
    return ws.new(type_.shape, storage, type_, varies=varies)


def _aligned_count(x: StoredValue, frac: Fracs) -> int:
    """Limbs that hold the raw values of ``x`` expressed with ``frac`` fractional bits."""
    return max(len(x.parts), limbs_for(aligned_bits(x.type, frac)))


def _aligned(x: StoredValue, frac: Fracs, count: int) -> Limbs:
    """The limbs of ``x`` with ``frac`` fractional bits; only constants are ever shifted right, without loss."""
    amount = frac - x.type.frac
    return limbs.shift(x.limbs, amount[..., None], count) if np.any(amount) else limbs.resize(x.limbs, count)
