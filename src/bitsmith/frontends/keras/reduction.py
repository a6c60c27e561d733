"""Keras 3 reductions."""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Translation, Translator, unary
from bitsmith.layers.layer import Layer
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce, Reduction


def _axes(call: LayerCall) -> tuple[int, ...]:
    if call.config.get("axis") is None:
        raise UnsupportedError(
            "a reduction over all axes, the batch included", accepted="axes within a sample", remedy="name the axes"
        )
    return tuple(call.axis(axis, call.shape) for axis in call.config.integers("axis"))


def _axis(call: LayerCall) -> int:
    axes = _axes(call)
    if len(axes) != 1:
        raise UnsupportedError(f"{len(axes)} axes", accepted="one axis")
    return axes[0]


def _reduction(reduction: Reduction) -> Translation:
    def read(call: LayerCall) -> Layer:
        for key in ("initial", "dtype"):
            if call.config.get(key) is not None:
                raise UnsupportedError(f"{key} = {shown(call.config.get(key))}", accepted=f"no {key}")
        return Reduce(reduction, _axes(call), call.config.flag("keepdims", False))

    return Translation(unary(read), "Reduce")


def _arg(*, least: bool) -> Translator:
    return unary(lambda call: ArgMax(_axis(call), call.config.flag("keepdims", False), least))


def _norm(call: LayerCall) -> Layer:
    axes, order = _axes(call), call.config.get("ord")
    # The 2-norm of a matrix is its largest singular value.
    if not (order is None or (order == "fro" and len(axes) == 2) or (order == 2 and len(axes) == 1)) or len(axes) > 2:
        raise UnsupportedError(
            f"the norm {shown(order)} over {len(axes)} axes", accepted="the root of the sum of squares"
        )
    return Reduce(Reduction.NORM, axes, call.config.flag("keepdims", False))


def _cumulative(call: LayerCall) -> Layer:
    if call.config.get("dtype") is not None:
        raise UnsupportedError("a dtype", accepted="none")
    return CumulativeSum(_axis(call))


REDUCTIONS: dict[str, Translation] = {
    "Sum": _reduction(Reduction.SUM),
    "Mean": _reduction(Reduction.MEAN),
    "Max": _reduction(Reduction.MAX),
    "Amax": _reduction(Reduction.MAX),
    "Min": _reduction(Reduction.MIN),
    "Amin": _reduction(Reduction.MIN),
    "Prod": _reduction(Reduction.PROD),
    "Var": _reduction(Reduction.VARIANCE),
    "Std": _reduction(Reduction.DEVIATION),
    "Logsumexp": _reduction(Reduction.LOG_SUM_EXP),
    "Norm": Translation(unary(_norm), "Reduce"),
    "Argmax": Translation(_arg(least=False), "ArgMax"),
    "Argmin": Translation(_arg(least=True), "ArgMax"),
    "Cumsum": Translation(unary(_cumulative), "CumulativeSum"),
}
"""Operations by class name."""
