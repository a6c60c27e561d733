"""Keras 3 reductions."""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.ops.reduction import REDUCERS, extreme_index, norm, running_sum


def _plain(call: LayerCall, *keys: str) -> LayerCall:
    """``call``, if it gives nothing under the ``keys``."""
    for key in keys:
        if call.config.get(key) is not None:
            raise UnsupportedError(f"{key} = {shown(call.config.get(key))}", accepted=f"no {key}")
    return call


def _reduction(name: str) -> Translation:
    def read(call: LayerCall) -> Value:
        x, config = _plain(call, "initial", "dtype").x, call.config
        return REDUCERS[name].of(call.build, x, config.integers("axis"), config.flag("keepdims", False))

    return Translation(read, REDUCERS[name].becomes)


def _axis(call: LayerCall) -> int | None:
    axes = call.config.integers("axis")
    if len(axes) > 1:
        raise UnsupportedError(f"{len(axes)} axes", accepted="one axis")
    return axes[0] if axes else None


def _index(*, least: bool) -> Translation:
    def read(call: LayerCall) -> Value:
        return extreme_index(call.build, call.x, _axis(call), call.config.flag("keepdims", False), least=least)

    return Translation(read, "ArgMax")


def _norm(call: LayerCall) -> Value:
    config, order = call.config, call.config.get("ord")
    axes, keepdims = config.integers("axis"), config.flag("keepdims", False)
    if order is None or (order == "fro" and len(axes) == 2):
        return norm(call.build, call.x, axes, keepdims)
    if isinstance(order, str):
        raise UnsupportedError(
            f"the norm {shown(order)}", accepted="1, 2, inf and -inf over one axis, and fro over two"
        )
    number = order if isinstance(order, float) else config.number("ord")
    return norm(call.build, call.x, axes, keepdims, number, of_matrix=len(axes) > 1)


def _running_sum(call: LayerCall) -> Value:
    axis = _axis(_plain(call, "dtype"))
    if axis is None:
        raise UnsupportedError("a running sum over all axes", accepted="one axis")
    return running_sum(call.build, call.x, axis)


REDUCTIONS: dict[str, Translation] = {
    **{
        name.capitalize(): _reduction(name)
        for name in ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "any", "all")
    },
    "Amax": _reduction("max"),
    "Amin": _reduction("min"),
    "Norm": Translation(_norm, "Reduce, after Absolute for other orders than 2"),
    "Argmax": _index(least=False),
    "Argmin": _index(least=True),
    "Cumsum": Translation(_running_sum, "CumulativeSum"),
}
"""Operations by class name."""
