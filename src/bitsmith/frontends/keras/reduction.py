"""Keras 3 reductions."""

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.ops.arithmetic import multiply
from bitsmith.frontends.ops.reduction import REDUCERS, difference, extreme_index, greatest, norm, running_sum
from bitsmith.layers.layer import as_weights, broadcasts


def _given(call: LayerCall) -> tuple[Builder, Value, tuple[int, ...], bool]:
    for key in ("initial", "dtype"):
        if call.config.get(key) is not None:
            raise UnsupportedError(f"{key} = {shown(call.config.get(key))}", accepted=f"no {key}")
    return call.build, call.x, call.config.integers("axis"), call.config.flag("keepdims")


def _reduction(name: str) -> Translation:
    """A reduction; sums are of integers of 32 bits at least."""

    def read(call: LayerCall) -> Value:
        build, x, axes, keepdims = _given(call)
        return REDUCERS[name].of(build, _wide(x) if name in ("sum", "prod") else x, axes, keepdims)

    return Translation(read, REDUCERS[name].becomes)


def _wide(x: Value) -> Value:
    if x.kind is Kind.BOOL or (x.kind.is_integer and x.kind.bits < Kind.INT32.bits):
        return replace(x, kind=Kind.UINT32 if x.kind in (Kind.UINT8, Kind.UINT16) else Kind.INT32)
    return x


def _index(*, least: bool) -> Translation:
    return Translation(lambda call: replace(extreme_index(*_given(call), least=least), kind=Kind.INT32), "ArgMax")


def _norm(call: LayerCall) -> Value:
    order, count = call.config.get("ord"), len(call.config.integers("axis"))
    if order is None or (order == "fro" and count == 2):
        return norm(*_given(call))
    if isinstance(order, str):
        accepted = "1, 2, inf and -inf over one axis, and fro over two"
        raise UnsupportedError(f"the norm {shown(order)}", accepted=accepted)
    number = order if isinstance(order, float) else call.config.number("ord")
    return norm(*_given(call), number, of_matrix=count > 1)


_NAMES = ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "any", "all")


def _average(call: LayerCall) -> Value:
    """A mean along one axis, with constant weights for its places or for all elements."""
    x, axes, weights = call.first, call.config.integers("axis"), call.numbers("weights", 1, default=1.0)
    if len(axes) != 1:
        raise UnsupportedError(f"an average over {len(axes)} axes", accepted="one axis")
    axis = x.counted(axes[0])
    weights = weights.reshape(-1, *(1,) * (x.rank - 1 - axis)) if weights.ndim == 1 else weights
    if not broadcasts(weights.shape, x.dims):
        raise UnsupportedError(f"weights of shape {weights.shape} for axes {x.dims}", accepted="one for each place")
    total = np.sum(np.broadcast_to(weights, x.dims), axis=axis, keepdims=True)
    if not bool(np.all(total != 0.0)):
        raise UnsupportedError("weights whose sum is 0", accepted="other sums")
    weighted = multiply(call.build.within("weighted"), x, constant(as_weights(weights / total)))
    return REDUCERS["sum"].of(call.build, weighted, [axis])


def _top(call: LayerCall) -> tuple[Value, Value]:
    """The greatest elements along the last axis, in order whether they must be or not, and their places."""
    values, places = greatest(call.build, call.x, (-1,), call.config.integer("k"))
    return values, replace(places, kind=Kind.INT32)


def _sorted(call: LayerCall) -> tuple[Value, Value]:
    """All elements along one axis, from the least to the greatest, and their places."""
    values, places = greatest(call.build, call.x, call.config.integers("axis"), None, least=True)
    return values, replace(places, kind=Kind.INT32)


def _difference(call: LayerCall) -> Value:
    if call.config.integer("n", 1) != 1:
        raise UnsupportedError(
            f"differences of order {call.config.integer('n')}", accepted="1", remedy="call it repeatedly"
        )
    return difference(call.build, call.x, call.config.integers("axis"))


REDUCTIONS: ByClass = {
    **{name.capitalize(): _reduction(name) for name in _NAMES},
    "Amax": _reduction("max"),
    "Amin": _reduction("min"),
    "Norm": Translation(_norm, "Reduce, after Absolute for other orders than 2"),
    "Argmax": _index(least=False),
    "Argmin": _index(least=True),
    "Average": Translation(_average, "BatchNormalization or Multiply, and Reduce", frozenset({"weights"})),
    "TopK": Translation(_top, "Reduce and ArgMax, and Comparison and Where for more than one"),
    "Sort": Translation(lambda call: _sorted(call)[0], "Reduce, ArgMax, Comparison and Where"),
    "Argsort": Translation(lambda call: _sorted(call)[1], "Reduce, ArgMax, Comparison and Where"),
    "Diff": Translation(_difference, "Slice and Subtract"),
    "Cumsum": Translation(lambda call: running_sum(*_given(call)[:3]), "CumulativeSum"),
}
