"""Random nodes that work on elements, or along an axis: activations, arithmetic, reductions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from onnx import TensorProto

from tests.fidelity.onnx_draft import SAMPLES, Draft, Tensor, UnfitError

Drawer = Callable[[Draft], None]


def _unary(operator: str, ranges: Mapping[str, tuple[float, float]], draft: Draft) -> None:
    """An operator on one tensor, with some of its attributes."""
    attributes = draft.some(**{key: draft.real(*bounds) for key, bounds in ranges.items()})
    draft.one(operator, draft.pick(kinds="fi" if operator in _WHOLE else "f").name, **attributes)


_WHOLE = ("Neg", "Abs", "Sign", "Identity", "Relu")
"""Operators that also have integers as operands."""

_UNARY: dict[str, dict[str, tuple[float, float]]] = {
    **{name: {} for name in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Erf", "HardSwish", "Neg")},
    **{name: {} for name in ("Abs", "Sign", "Floor", "Ceil", "Round", "Exp", "Sin", "Cos", "Identity")},
    "LeakyRelu": {"alpha": (-0.5, 1.5)},
    "ThresholdedRelu": {"alpha": (0.0, 1.5)},
    "HardSigmoid": {"alpha": (0.05, 1.0), "beta": (-0.5, 1.0)},
    "Elu": {"alpha": (0.2, 2.0)},
    "Celu": {"alpha": (0.2, 2.0)},
    "Selu": {"alpha": (0.5, 2.0), "gamma": (0.5, 2.0)},
    "Swish": {"alpha": (0.3, 2.0)},
}


def _gelu(draft: Draft) -> None:
    draft.one("Gelu", draft.pick().name, **draft.some(approximate=draft.choice(("none", "tanh"))))


def _shrink(draft: Draft) -> None:
    bound = draft.real(0.1, 1.0)
    draft.one("Shrink", draft.pick().name, lambd=bound, bias=draft.choice((0.0, bound)))


def _prelu(draft: Draft) -> None:
    x = draft.pick()
    draft.one("PRelu", x.name, draft.weights(_beside(draft, x)))


def _along_axis(operator: str, draft: Draft) -> None:
    """Before operator set 13 all axes from the attribute on count as one."""
    x = draft.pick(2, 3, 4, test=lambda x: bool(x.own))
    axis = draft.choice(x.own)
    attributes = {} if draft.chance(0.3) else {"axis": axis if draft.chance() else axis - x.rank}
    draft.one(operator, x.name, **attributes)


def _beside(draft: Draft, x: Tensor) -> list[int]:
    """A shape that broadcasts with that of ``x``, whose batch axis has one element there."""
    shape = [1 if size % SAMPLES == 0 or draft.chance(0.2) else size for size in x.shape]
    first = draft.whole(0, x.rank)
    return shape[first:]


def _second(draft: Draft, x: Tensor, *, plain: bool = False) -> str:
    """Another operand beside ``x``, of its type: a constant, whose elements are of one scale if it is ``plain``, or a value."""
    if x.kind != "f" and draft.chance(0.5):
        return draft.hold(draft.rng.integers(-4, 5, _beside(draft, x)).astype(x.clean.dtype))
    if draft.chance(0.5) and x.kind == "f":
        return draft.weights(_beside(draft, x), -2.0, 2.0, plain=plain)
    fit = [y for y in draft.values if y.clean.dtype == x.clean.dtype and _broadcast(x, y)]
    return draft.choice(fit).name


def _broadcast(x: Tensor, y: Tensor) -> bool:
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return sum(size % SAMPLES == 0 for size in shape) == 1


def _binary(operator: str, draft: Draft) -> None:
    x = draft.pick(kinds="fi")
    pair = [x.name, _second(draft, x)]
    draft.one(operator, *(pair if draft.chance(0.6) else pair[::-1]))


def _positive(draft: Draft, x: Tensor) -> str:
    """A value that stays away from 0."""
    if x.clean.min() > 0.05:
        return x.name
    least = draft.hold(np.float32(draft.choice((0.0625, 0.25, 0.5, 1.0, 2.0))))
    way = draft.whole(0, 3)
    if way == 0:
        return draft.one("Add", draft.one("Abs", x.name), least)
    if way == 1:
        return draft.one("Add", draft.one("Sigmoid", x.name), least)
    if way == 2:
        return draft.one("Add", draft.one("Mul", x.name, x.name), least)
    return draft.one("Max", x.name, least)


def _of_positive(operator: str, draft: Draft) -> None:
    draft.one(operator, _positive(draft, draft.pick()))


def _divide(draft: Draft) -> None:
    whole = [x for x in draft.values if x.kind == "i"]
    if whole and draft.chance(0.4):
        by = draft.hold(np.array(draft.whole(1, 5), draft.choice(whole).clean.dtype))
        draft.one("Div", draft.choice(whole).name, by)
        return
    x, y = draft.pick(), draft.pick()
    if draft.chance(0.4):
        draft.one("Div", x.name, draft.weights(_beside(draft, x), 0.25, 3.0, plain=True))
    elif not _broadcast(x, y):
        raise UnfitError
    else:
        draft.one("Div", x.name, _positive(draft, y))


def _mod(draft: Draft) -> None:
    x = draft.pick(kinds="fi")
    real = x.kind == "f"
    by = np.array(draft.choice((2, 3, 5, -3)), x.clean.dtype) if not real else np.float32(draft.real(0.5, 3.0))
    draft.one("Mod", x.name, draft.hold(by), fmod=1 if real or draft.chance() else 0)


def _power(draft: Draft) -> None:
    x = draft.pick()
    exponent = draft.choice((2.0, 3.0, 0.5, -1.0, -0.5, 1.5, 4.0, 1.0, 0.0))
    base = x.name if exponent >= 0 and exponent == int(exponent) else _positive(draft, x)
    held = np.array(int(exponent)) if exponent == int(exponent) >= 0 and draft.chance(0.3) else np.float32(exponent)
    draft.one("Pow", base, draft.hold(held))


def _several(operator: str, draft: Draft) -> None:
    x = draft.pick(kinds="fi" if operator in ("Max", "Min") else "f")
    names = [x.name, *(_second(draft, x) for _ in range(draft.whole(0, 2)))]
    draft.node(operator, names)


def _clip(draft: Draft) -> None:
    x, (low, high) = draft.pick(kinds="fi"), sorted((draft.real(-2, 1), draft.real(-0.5, 2)))
    if draft.opset < 11:
        draft.one("Clip", x.name, **draft.some(min=low, max=high))
        return
    bounds = [draft.hold(np.array(bound).astype(x.clean.dtype)) if draft.chance(0.7) else "" for bound in (low, high)]
    draft.node("Clip", [x.name, *bounds])


def _comparison(operator: str, draft: Draft) -> None:
    x = draft.pick(kinds="fi", test=lambda x: operator != "Equal" or _is_whole(x))
    if x.kind == "f" and operator != "Equal":
        draft.one(operator, x.name, _second(draft, x, plain=True))
    else:
        draft.one(operator, x.name, draft.hold(np.array(draft.whole(0, 5), x.clean.dtype)))


def _truth(draft: Draft, x: Tensor | None = None) -> str:
    """A tensor of truth values, beside ``x`` if that is given."""
    fit = [y for y in draft.values if y.kind == "b" and (x is None or _broadcast(x, y))]
    if fit and draft.chance(0.7):
        return draft.choice(fit).name
    y = x or draft.pick()
    return draft.one(draft.choice(("Greater", "Less")), y.name, draft.weights(_beside(draft, y), plain=True))


def _logical(operator: str, draft: Draft) -> None:
    first = draft.pick(kinds="b") if draft.chance() and any(x.kind == "b" for x in draft.values) else None
    if first is None:
        x = draft.pick()
        names = [draft.one("Greater", x.name, draft.weights(_beside(draft, x), plain=True)) for _ in range(2)]
    elif draft.chance():
        names = [first.name, draft.hold(draft.rng.random(_beside(draft, first)) < 0.5)]
    else:
        names = [first.name, _truth(draft, first)]
    draft.one(operator, *names[: 1 if operator == "Not" else 2])


def _where(draft: Draft) -> None:
    x = draft.pick(kinds="fi")
    way = draft.whole(0, 3)
    if way == 0:
        held = draft.hold(draft.rng.random(_beside(draft, x)) < 0.5)
        draft.one("Where", held, x.name, _second(draft, x))
        return
    chosen = [x.name, _second(draft, x)]
    draft.one("Where", _truth(draft, x), *(chosen if way < 3 else chosen[::-1]))


def _never(operator: str, draft: Draft) -> None:
    """Of finite numbers nothing is infinite, or no number."""
    x = draft.pick()
    draft.one("Where", draft.one(operator, x.name), draft.hold(np.float32(0.0)), x.name)


def _is_whole(x: Tensor) -> bool:
    """True if two values that are not equal are far apart."""
    return bool(np.all(x.clean == np.rint(x.clean.astype(np.float64))))


def _cast(draft: Draft) -> None:
    x = draft.pick(kinds="fib")
    to = draft.choice(
        {
            "f": (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.FLOAT16),
            "i": (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT32, TensorProto.INT8),
            "b": (TensorProto.FLOAT, TensorProto.INT64),
        }[x.kind]
    )
    if to == TensorProto.BOOL and not _is_whole(x):
        raise UnfitError
    name = draft.one("Cast", x.name, to=to)
    if to in (TensorProto.DOUBLE, TensorProto.FLOAT16):
        draft.one("Cast", name, to=TensorProto.FLOAT)


def _cast_like(draft: Draft) -> None:
    x = draft.pick(kinds="ib")
    draft.one("CastLike", x.name, draft.pick().name)


def _dropout(draft: Draft) -> None:
    x = draft.pick()
    if draft.opset < 12:
        draft.one("Dropout", x.name, **draft.some(ratio=0.3))
        return
    draft.node("Dropout", [x.name, *draft.choice(([], [draft.hold(np.float32(0.3))]))])


def _reduce(operator: str, draft: Draft) -> None:
    kinds = "fi" if operator in ("ReduceSum", "ReduceMax", "ReduceMin") else "f"
    x = draft.pick(2, 3, 4, 5, kinds=kinds, test=lambda x: bool(x.own))
    name = _positive(draft, x) if operator == "ReduceLogSum" else x.name
    count = draft.whole(1, len(x.own))
    axes = [axis if draft.chance() else axis - x.rank for axis in draft.rng.permutation(x.own)[:count].tolist()]
    attributes = draft.some(keepdims=int(draft.chance()))
    if "noop_with_empty_axes" in draft.schema(operator).attributes and draft.chance(0.2):
        attributes["noop_with_empty_axes"] = 1
        axes = None if operator != "ReduceLogSum" and draft.chance() else axes
    draft.node(operator, **draft.listed(operator, "axes", axes, 1, [name]), **attributes)


def _extreme(operator: str, draft: Draft) -> None:
    x = draft.pick(2, 3, 4, test=lambda x: bool(x.own))
    options = {"keepdims": int(draft.chance())}
    if draft.opset >= 12:
        options["select_last_index"] = int(draft.chance())
    draft.one(operator, x.name, axis=draft.choice(x.own), **draft.some(**options))


def _cumulative_sum(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, test=lambda x: bool(x.own))
    axis = draft.hold(np.array(draft.choice(x.own), draft.choice((np.int32, np.int64))))
    draft.one("CumSum", x.name, axis, **draft.some(exclusive=int(draft.chance()), reverse=int(draft.chance())))


ELEMENTS: dict[str, Drawer] = {
    **{name: partial(_unary, name, ranges) for name, ranges in _UNARY.items()},
    "Gelu": _gelu,
    "Shrink": _shrink,
    "PRelu": _prelu,
    **{name: partial(_along_axis, name) for name in ("Softmax", "LogSoftmax", "Hardmax")},
    **{name: partial(_binary, name) for name in ("Add", "Sub", "Mul")},
    **{name: partial(_of_positive, name) for name in ("Sqrt", "Reciprocal", "Log")},
    "Div": _divide,
    "Mod": _mod,
    "Pow": _power,
    **{name: partial(_several, name) for name in ("Sum", "Mean", "Max", "Min")},
    "Clip": _clip,
    **{name: partial(_comparison, name) for name in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")},
    **{name: partial(_logical, name) for name in ("And", "Or", "Xor", "Not")},
    "Where": _where,
    **{name: partial(_never, name) for name in ("IsNaN", "IsInf")},
    "Cast": _cast,
    "CastLike": _cast_like,
    "Dropout": _dropout,
    **{
        f"Reduce{name}": partial(_reduce, f"Reduce{name}")
        for name in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare", "LogSum")
    },
    **{name: partial(_extreme, name) for name in ("ArgMax", "ArgMin")},
    "CumSum": _cumulative_sum,
}
"""What draws a node, by its operator."""
