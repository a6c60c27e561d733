"""PyTorch's reductions."""

from __future__ import annotations

import math
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ZERO, Batch, Value, constant
from bitsmith.frontends.torch.arithmetic import ARITHMETIC
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator
from bitsmith.layers.layer import Layer
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce, Reduction


def _dims(call: Call, x: Value) -> tuple[int, ...]:
    """torch's axes that are reduced."""
    dims = call.integers("dim")
    if not dims and not call.given("dim") and x.batch is not None:
        raise UnsupportedError(
            "a reduction over all axes, the batch included", accepted="axes within a sample", remedy="name the axes"
        )
    return tuple(x.counted(dim) for dim in dims) or tuple(range(x.rank))


def _after(x: Value, dims: tuple[int, ...], keepdim: bool) -> Batch | None:
    """Where the batch is when ``dims`` are reduced."""
    if x.batch is None or keepdim:
        return x.batch
    return x.batch.at(x.batch.axis - sum(dim < x.batch.axis for dim in set(dims)))


def _reduced(call: Call, reduction: Reduction, suffix: str = "") -> Value:
    x = call.tensor()
    dims, keepdim = _dims(call, x), call.flag("keepdim")
    axes = tuple(x.axis(dim) for dim in dims)
    if not x.shape:
        return x
    return replace(call.build.emit(Reduce(reduction, axes, keepdim), x, suffix=suffix), batch=_after(x, dims, keepdim))


def _reduction(reduction: Reduction) -> Translation:
    return Translation(lambda call: _reduced(call, reduction), "Reduce")


def _extreme(reduction: Reduction, *, least: bool) -> Translation:
    """The greatest or least elements; along one axis with their indices; of two tensors element by element."""

    def read(call: Call) -> Result:
        if call.node.overload == "other":
            return ARITHMETIC["minimum" if least else "maximum"].read(call)
        found = _reduced(call, reduction)
        return (found, _arg(call, least=least, suffix="indices")) if call.node.overload == "dim" else found

    return Translation(read, "Reduce and ArgMax")


def _arg(call: Call, *, least: bool, suffix: str = "") -> Value:
    x = call.tensor()
    if not call.given("dim"):
        raise UnsupportedError(
            "an index among all elements, the batch included",
            accepted="an index along one axis",
            remedy="flatten(1) and argmax(1)",
        )
    dims, keepdim = (x.counted(call.integer("dim")),), call.flag("keepdim")
    found = call.build.emit(ArgMax(x.axis(dims[0]), keepdim, least), x, suffix=suffix)
    return replace(found, batch=_after(x, dims, keepdim))


def _index(*, least: bool) -> Translator:
    return lambda call: _arg(call, least=least)


def _spread(reduction: Reduction) -> Translator:
    """A variance or deviation; torch divides by one less than the number of elements if not told otherwise."""

    def read(call: Call) -> Result:
        x = call.tensor()
        count = math.prod(x.shape[x.axis(dim)] for dim in _dims(call, x))
        correction = call.number("correction", 1.0) if call.flag("unbiased", True) else 0.0
        if not count > correction:
            raise UnsupportedError(f"the variance of {count} elements with the correction {correction:g}")
        factor = count / (count - correction)
        if factor == 1.0:
            return _reduced(call, reduction)
        factor = math.sqrt(factor) if reduction is Reduction.DEVIATION else factor
        return call.build.affine(_reduced(call, reduction, "biased"), constant(factor), ZERO)

    return read


def _norm(call: Call) -> Result:
    name = "ord" if call.node.name.startswith("linalg") else "p"
    if call.number(name, 2.0) != 2.0:
        raise UnsupportedError(f"the norm of order {call.number(name)}", accepted="2, the root of the sum of squares")
    return _reduced(call, Reduction.NORM)


def _cumulative(call: Call) -> Result:
    x = call.tensor()
    layer: Layer = CumulativeSum(x.axis(call.integer("dim")))
    return call.build.emit(layer, x)


REDUCTIONS: dict[str, Translation] = {
    "sum": _reduction(Reduction.SUM),
    "mean": _reduction(Reduction.MEAN),
    "prod": _reduction(Reduction.PROD),
    "amax": _reduction(Reduction.MAX),
    "amin": _reduction(Reduction.MIN),
    "max": _extreme(Reduction.MAX, least=False),
    "min": _extreme(Reduction.MIN, least=True),
    "argmax": Translation(_index(least=False), "ArgMax"),
    "argmin": Translation(_index(least=True), "ArgMax"),
    "logsumexp": _reduction(Reduction.LOG_SUM_EXP),
    "var": Translation(_spread(Reduction.VARIANCE), "Reduce, and BatchNormalization for the correction"),
    "std": Translation(_spread(Reduction.DEVIATION), "Reduce, and BatchNormalization for the correction"),
    "norm": Translation(_norm, "Reduce"),
    "linalg_norm": Translation(_norm, "Reduce"),
    "linalg_vector_norm": Translation(_norm, "Reduce"),
    "cumsum": Translation(_cumulative, "CumulativeSum"),
}
"""Operators by name."""
