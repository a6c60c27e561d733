"""PyTorch's reductions."""

from __future__ import annotations

import math

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Value, constant
from bitsmith.frontends.ops.reduction import REDUCERS, extreme_index, norm, running_sum
from bitsmith.frontends.torch.arithmetic import ARITHMETIC
from bitsmith.frontends.torch.call import Call, Result, Translation


def _reduced(call: Call, build: Builder, name: str) -> Value:
    return REDUCERS[name].of(build, call.tensor(), call.integers("dim"), call.flag("keepdim"))


def _reduction(name: str) -> Translation:
    return Translation(lambda call: _reduced(call, call.build, name), REDUCERS[name].becomes)


def _extreme(name: str, *, least: bool) -> Translation:
    """The greatest or least elements; along one axis with their indices; of two tensors element by element."""

    def read(call: Call) -> Result:
        if call.node.overload == "other":
            return ARITHMETIC[f"{name}imum"].read(call)
        found = _reduced(call, call.build, name)
        return (found, _index(call, call.build.within("indices"), least)) if call.node.overload == "dim" else found

    return Translation(read, "Reduce and ArgMax")


def _index(call: Call, build: Builder, least: bool) -> Value:
    dim = call.integer("dim") if call.given("dim") else None
    return extreme_index(build, call.tensor(), dim, call.flag("keepdim"), least=least)


def _spread(name: str) -> Translation:
    """A variance or deviation; torch divides by one less than the number of elements if not told otherwise."""

    def read(call: Call) -> Result:
        x = call.tensor()
        correction = call.number("correction", 1.0) if call.flag("unbiased", True) else 0.0
        found = _reduced(call, call.build.within("biased") if correction else call.build, name)
        count = math.prod(x.shape) // max(math.prod(found.shape), 1)
        if not count > correction:
            raise UnsupportedError(f"the variance of {count} elements with the correction {correction:g}")
        factor = count / (count - correction)
        if not correction:
            return found
        return call.build.affine(found, constant(math.sqrt(factor) if name == "std" else factor), ZERO)

    return Translation(read, "Reduce, and BatchNormalization for the correction")


def _norm(call: Call) -> Result:
    linear, dims = call.node.name.startswith("linalg"), call.integers("dim")
    order = call.number("ord" if linear else "p", 2.0)
    of_matrix = call.node.name == "linalg_norm" and call.given("ord") and len(dims) > 1
    return norm(call.build, call.tensor(), dims, call.flag("keepdim"), order, of_matrix=of_matrix)


_NORM = Translation(_norm, "Reduce, after Absolute for other orders than 2")

REDUCTIONS: dict[str, Translation] = {
    **{name: _reduction(name) for name in ("sum", "mean", "prod", "logsumexp", "any", "all")},
    "amax": _reduction("max"),
    "amin": _reduction("min"),
    "max": _extreme("max", least=False),
    "min": _extreme("min", least=True),
    "argmax": Translation(lambda call: _index(call, call.build, least=False), "ArgMax"),
    "argmin": Translation(lambda call: _index(call, call.build, least=True), "ArgMax"),
    "var": _spread("var"),
    "std": _spread("std"),
    **dict.fromkeys(("norm", "linalg_norm", "linalg_vector_norm"), _NORM),
    "cumsum": Translation(lambda call: running_sum(call.build, call.tensor(), call.integer("dim")), "CumulativeSum"),
}
"""Operators by name."""
