"""ONNX's reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.layers.elementwise import Absolute
from bitsmith.layers.layer import Layer
from bitsmith.layers.power import Logarithm, Power
from bitsmith.layers.reduction import ArgMax, Reduce, Reduction
from bitsmith.layers.shape import Gather, Identity

_Build: TypeAlias = "tuple[Layer | None, Reduction, Layer | None]"
"""What is done to the elements first, the reduction, and what to its result."""


def _reduce(build: _Build, since: int) -> Translation:
    """``since`` is the operator set in which the axes became an operand."""

    def read(call: Call) -> Value:
        before, reduction, after = build
        x = call.tensor(0)
        axes = call.listed("axes", 1, since) or ()
        keep, no_operation = call.attributes.flag("keepdims", True), call.attributes.flag("noop_with_empty_axes", False)
        if not axes and no_operation:
            if before is None and after is None:
                return call.alike(Identity(), x, kind=x.kind)
            raise UnsupportedError("a reduction over no axis", accepted="axes")
        counted = sorted({x.counted(axis) for axis in axes}) or list(range(x.rank))
        within = tuple(x.axis(axis) for axis in counted)
        if x.kind in (Kind.INT8_16, Kind.BOOL) and reduction not in (Reduction.MAX, Reduction.MIN):
            raise UnsupportedError(
                "a reduction of whole numbers of 8 or 16 bits, which wraps around, or of truth values",
                accepted="floating point",
                remedy="cast to floating point first",
            )
        if x.kind is Kind.INTEGER and reduction not in (Reduction.MAX, Reduction.MIN, Reduction.SUM, Reduction.PROD):
            raise UnsupportedError("such a reduction of whole numbers", accepted="floating point")
        batch = x.batch_axis
        if batch is not None and not keep:
            batch -= sum(axis < batch for axis in counted)
        if before is not None:
            x = call.alike(before, x, "elements", kind=x.kind)
        layer = Reduce(reduction, within, keepdims=keep)
        y = call.emit(layer, (x,), "reduced" if after else "", batch=batch, blocks=x.blocks, kind=x.kind)
        return y if after is None else call.alike(after, y)

    return Translation(read, ", ".join(layer.kind for layer in (build[0], Reduce(build[1], ()), build[2]) if layer))


def _extreme(least: bool) -> Callable[[Call], Value]:
    def read(call: Call) -> Value:
        x = call.tensor(0)
        axis, keep = call.attributes.integer("axis", 0), call.attributes.flag("keepdims", True)
        last = call.attributes.flag("select_last_index", False)
        counted, place = x.counted(axis), x.axis(axis)
        if last:
            x = call.alike(Gather(tuple(range(x.shape[place]))[::-1], place), x, "turned", kind=x.kind)
        batch = x.batch_axis
        if batch is not None and not keep:
            batch -= int(counted < batch)
        layer = ArgMax(place, keepdims=keep, least=least)
        y = call.emit(layer, (x,), "from_end" if last else "", batch=batch, blocks=x.blocks, kind=Kind.INTEGER)
        if not last:
            return y
        return call.affine(y, np.full((), -1.0), np.full((), x.shape[place] - 1.0), kind=Kind.INTEGER)

    return read


REDUCTIONS: dict[str, Translation] = {
    "ReduceSum": _reduce((None, Reduction.SUM, None), 13),
    "ReduceMean": _reduce((None, Reduction.MEAN, None), 18),
    "ReduceMax": _reduce((None, Reduction.MAX, None), 18),
    "ReduceMin": _reduce((None, Reduction.MIN, None), 18),
    "ReduceProd": _reduce((None, Reduction.PROD, None), 18),
    "ReduceL1": _reduce((Absolute(), Reduction.SUM, None), 18),
    "ReduceL2": _reduce((None, Reduction.NORM, None), 18),
    "ReduceSumSquare": _reduce((Power(2.0), Reduction.SUM, None), 18),
    "ReduceLogSum": _reduce((None, Reduction.SUM, Logarithm()), 18),
    "ReduceLogSumExp": _reduce((None, Reduction.LOG_SUM_EXP, None), 18),
    "ArgMax": Translation(_extreme(False), "ArgMax"),
    "ArgMin": Translation(_extreme(True), "ArgMax"),
}
"""Operators by name."""
