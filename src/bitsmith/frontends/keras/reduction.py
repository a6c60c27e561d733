"""Keras 3 reductions."""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.ops.reduction import REDUCERS, extreme_index, norm, running_sum


def _given(call: LayerCall) -> tuple[Builder, Value, tuple[int, ...], bool]:
    for key in ("initial", "dtype"):
        if call.config.get(key) is not None:
            raise UnsupportedError(f"{key} = {shown(call.config.get(key))}", accepted=f"no {key}")
    return call.build, call.x, call.config.integers("axis"), call.config.flag("keepdims")


def _reduction(name: str) -> Translation:
    return Translation(lambda call: REDUCERS[name].of(*_given(call)), REDUCERS[name].becomes)


def _index(*, least: bool) -> Translation:
    return Translation(lambda call: extreme_index(*_given(call), least=least), "ArgMax")


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

REDUCTIONS: dict[str, Translation] = {
    **{name.capitalize(): _reduction(name) for name in _NAMES},
    "Amax": _reduction("max"),
    "Amin": _reduction("min"),
    "Norm": Translation(_norm, "Reduce, after Absolute for other orders than 2"),
    "Argmax": _index(least=False),
    "Argmin": _index(least=True),
    "Cumsum": Translation(lambda call: running_sum(*_given(call)[:3]), "CumulativeSum"),
}
"""Operations by class name."""
