"""Greatest elements of windows that repeat elements beyond an axis become those of padded windows, of numbers not below 0.

Before: ``amax(window(gather(x)))``. After: ``amax(window(x + c, padded)) - c``, where ``x + c`` is nowhere negative.
"""

from collections.abc import Set
from dataclasses import replace

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program
from bitsmith.ir.types import frozen, objects
from bitsmith.passes.program.rewrite import Rewriter, rewrite

_BACK = ops.Sub()


def pad_windows(program: Program, layers: Set[str]) -> Program:
    """``program`` with padded windows in ``layers``, which read windows of a memory and repeat nothing there."""
    return rewrite(program, lambda new, op, args, layer: _rule(new, op, args, layer) if layer in layers else None)


def _rule(new: Rewriter, op: ops.Op, args: tuple[int, ...], layer: str) -> int | None:
    slid = new.nodes[args[0]] if isinstance(op, ops.AMax) else None
    window, gathered = (slid.op, new.nodes[slid.args[0]]) if slid is not None and slid.args else (op, None)
    if gathered is None or not isinstance(window, ops.Window) or not isinstance(gathered.op, ops.Gather):
        return None
    (x,), rank = gathered.args, len(window.size)
    padded, kind = _padded(window, gathered.op, new.type(x).shape), new.type(x).union(range(rank))
    if padded is None or not isinstance(op, ops.AMax) or op.axes != tuple(range(rank, 2 * rank)):
        return None
    if new.nodes[x].op is _BACK:  # of windows along another axis
        shifted, offset = new.nodes[x].args
    else:
        lo, frac = (np.broadcast_to(part, kind.shape)[(0,) * rank] for part in (kind.lo, kind.frac))
        offset = new.append(ops.Const(frozen(objects(np.maximum(-lo, 0))), frac.astype(np.int64)), (), layer)
        shifted = new.append(ops.Add(), (x, offset), layer)
    greatest = new.append(op, (new.append(padded, (shifted,), layer),), layer)
    return new.append(_BACK, (greatest, offset), layer)


def _padded(op: ops.Window, gather: ops.Gather, shape: tuple[int, ...]) -> ops.Window | None:
    """``op`` with padding in place of ``gather``, if what that repeats is in the same windows; else None."""
    axis, places = gather.axis, gather.indices
    if axis >= len(op.size) or places.ndim != 1 or any(op.padding[axis]):
        return None
    own = (op.size[axis],), (op.stride[axis],), (op.dilation[axis],)
    read = places[moved(ops.Window(*own, ((0, 0),)), (len(places),))]
    for before in range(len(places) - shape[axis] + 1):
        pads = before, len(places) - shape[axis] - before
        inside = moved(ops.Window(*own, (pads,)), shape[axis : axis + 1])
        repeated = (inside < 0) & (read[..., None] == inside[:, None]).any(axis=-1)
        if bool(np.all(repeated | (read == inside))):
            return replace(op, padding=(*op.padding[:axis], pads, *op.padding[axis + 1 :]))
    return None
