"""PyTorch's arithmetic, comparisons and choices."""

import math
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.files.json import integer
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.logic import Beyond
from bitsmith.frontends.ops.operations import OPERATIONS, RELATIONS
from bitsmith.frontends.torch.archive import DTYPES
from bitsmith.frontends.torch.call import STORAGE, Call, Operators, Result, Translation, function, kind_of
from bitsmith.frontends.torch.graph import DType, Ref
from bitsmith.layers.embedding import OneHot


def operation(name: str, *arguments: str, **numbers: tuple[str, float | None]) -> Translation:
    """A shared operation: the names of the arguments that are its values, and those of its numbers with their defaults."""
    shared = OPERATIONS[name]
    names = arguments or ("self", "other")[: shared.count]

    def read(call: Call) -> Result:
        given = {key: call.scalar(*one) for key, one in numbers.items()}
        return shared.make(call.build, *_values(call, *names), **given)

    return Translation(read, shared.becomes)


def _values(call: Call, *names: str) -> tuple[Value, ...]:
    """Operands, which arithmetic takes as of the result's type."""
    return tuple(as_result(call, call.tensor(name)) for name in names)


def _comparison(name: str) -> Translation:
    """A comparison, for which a number that is written out wraps around as the integers beside it do."""
    shared = OPERATIONS[name]

    def read(call: Call) -> Result:
        x, y = call.tensor("self"), call.tensor("other")
        if x.kind.wraps and y.kind is Kind.REAL and y.number is not None and y.number.is_integer():
            y = logic.cast(call.build, replace(y, kind=Kind.INT64), x.kind, Beyond.WRAPS)
        return shared.make(call.build, x, y)

    return Translation(read, shared.becomes)


def as_result(call: Call, x: Value) -> Value:
    """An operand as of the result's type, unless that says only that it is a truth value."""
    kind = call.kind_of_result()
    if kind in (None, Kind.BOOL):
        return x
    if kind.is_integer and x.kind is Kind.REAL and x.number is not None:  # one that is written out
        x = replace(x, kind=Kind.INT64)
    return logic.cast(call.build.within("operand"), x, kind, Beyond.WRAPS)


def _sum(sign: float, first: str, second: str, becomes: str) -> Translation:
    """``first + sign * alpha * second``."""

    def read(call: Call) -> Result:
        x, y = _values(call, first, second)
        return arithmetic.add_scaled(call.build, x, y, sign * call.number("alpha", 1.0))

    return Translation(read, f"{becomes}, or BatchNormalization with a constant")


def _sum_with(name: str, suffix: str) -> Translation:
    """``self + value * (a product or quotient of two tensors)``."""
    shared = OPERATIONS[name]

    def read(call: Call) -> Result:
        x, left, right = _values(call, "self", "tensor1", "tensor2")
        found = shared.make(call.build.within(suffix), left, right)
        return arithmetic.add_scaled(call.build, x, found, call.scalar("value", 1.0))

    return Translation(read, f"{shared.becomes}, and Add")


_DIVISIONS = {"": "divide", "floor": "floor_divide", "trunc": "truncated_divide"}


def _divide(call: Call) -> Result:
    mode = call.text("rounding_mode", "")
    if mode not in _DIVISIONS:
        raise UnsupportedError(f"the rounding {mode[:20]!r}", accepted=", ".join(filter(None, _DIVISIONS)))
    return OPERATIONS[_DIVISIONS[mode]].make(call.build, *_values(call, "self", "other"))


def _clamp(call: Call) -> Result:
    (x,) = _values(call, "self")
    if call.node.overload == "Tensor":
        for name, make in (("min", arithmetic.maximum), ("max", arithmetic.minimum)):
            if call.given(name):
                last = name == "max" or not call.given("max")
                x = make(call.build if last else call.build.within(name), x, call.tensor(name))
        return x
    low, high = (_bound(call, name, x.kind) for name in ("min", "max"))
    return arithmetic.clip(call.build, x, -math.inf if low is None else low, math.inf if high is None else high)


def _bound(call: Call, name: str, kind: Kind) -> float | None:
    """A bound, which wraps around as the integers do that it is one of."""
    if not call.given(name):
        return None
    number = call.number(name)
    if not kind.wraps or not number.is_integer():
        return number
    return logic.cast(call.build, constant(number, kind=Kind.INT64), kind, Beyond.WRAPS).number


def _cast(call: Call) -> Result:
    """A change of type: to integers it cuts fractions off, to truth values it compares with 0."""
    x = call.tensor(call.first)
    number = next((value.number for value in call.node.arguments.values() if isinstance(value, DType)), None)
    other = call.get("other")
    if number is None and other is not None:
        number = call.specs[other.name].dtype if isinstance(other, Ref) and other.name in call.specs else 0
    if number is None:
        return x
    if number not in DTYPES:
        raise UnsupportedError(f"numbers of type {number}", accepted="real numbers and integers")
    return logic.cast(call.build, x, kind_of(number), Beyond.WRAPS)


def _choice(condition: str, chosen: str, other: str) -> Translation:
    """``chosen`` where the condition holds, ``other`` elsewhere, as of the result's type."""
    shared = OPERATIONS["where"]

    def read(call: Call) -> Result:
        x, y = _values(call, chosen, other)
        kind = call.kind_of_result()
        if kind is Kind.BOOL:
            x, y = (logic.truth(call.build, value, "truth") for value in (x, y))
        elif kind is not None and kind.is_integer and x.constant is not None:  # masked_fill cuts fractions off
            x = logic.cast(call.build.within("value"), replace(x, kind=Kind.REAL), kind, Beyond.WRAPS)
        return shared.make(call.build, call.tensor(condition), x, y)

    return Translation(read, shared.becomes)


def _one_hot(call: Call) -> Result:
    classes = call.integer("num_classes", -1)
    if classes < 1:
        raise UnsupportedError(
            "one-hot codes of as many classes as the data show",
            accepted="a fixed number of classes",
            remedy="one_hot(x, num_classes)",
        )
    return call.build.emit(OneHot(classes), call.tensor())


_ALIKE = (
    *("square", "sqrt", "rsqrt", "reciprocal", "sign", "floor", "ceil", "trunc", "log", "log2", "log10", "log1p"),
    *("exp", "exp2", "expm1", "erf", "erfc", "sin", "cos", "hypot", "sinh", "cosh", "asinh", "atan", "atan2"),
    *("maximum", "minimum", "negative", "absolute", "multiply", "floor_divide", "fmod", "logaddexp"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
)
_OTHERWISE = {
    "mul": "multiply",
    "special_erf": "erf",
    "special_erfc": "erfc",
    "fmax": "maximum",
    "fmin": "minimum",
    "neg": "negative",
    "abs": "absolute",
    "sgn": "sign",
    "fix": "trunc",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "frac": "fraction",
    "remainder": "mod",
}
_DIVIDE = Translation(_divide, OPERATIONS["divide"].becomes)
_CLAMP = Translation(_clamp, OPERATIONS["clip"].becomes)
_CAST = Translation(_cast, "nothing, WholeNumber or Comparison").ignoring(*STORAGE, "non_blocking", "copy")

ARITHMETIC: Operators = {
    **{name: operation(name) for name in _ALIKE},
    **{name: operation(shared) for name, shared in _OTHERWISE.items()},
    **{name: _comparison(name) for name in RELATIONS if name != "equal"},  # which compares whole tensors
    **{relation.value: _comparison(name) for name, relation in RELATIONS.items()},
    "add": _sum(1.0, "self", "other", "Add"),
    **dict.fromkeys(("sub", "subtract"), _sum(-1.0, "self", "other", "Subtract")),
    "rsub": _sum(-1.0, "other", "self", "Subtract"),
    "addcmul": _sum_with("multiply", "product"),
    "addcdiv": _sum_with("divide", "quotient"),
    **dict.fromkeys(("div", "divide", "true_divide"), _DIVIDE),
    "pow": operation("power", "self", "exponent"),
    **dict.fromkeys(("clamp", "clip"), _CLAMP),
    "clamp_min": operation("maximum", "self", "min"),
    "clamp_max": operation("minimum", "self", "max"),
    "round": function(arithmetic.round_half_to_even, "WholeNumber", integer("decimals", 0)),
    "lerp": operation("lerp", "self", "end", "weight"),
    **{
        name.format(key): operation(f"bitwise_{key}")
        for key in ("and", "or", "xor")
        for name in ("bitwise_{}", "__{}__")
    },
    "bitwise_not": operation("bitwise_not"),
    **dict.fromkeys(("bitwise_left_shift", "__lshift__"), operation("left_shift")),
    **dict.fromkeys(("bitwise_right_shift", "__rshift__"), operation("right_shift")),
    "where": _choice("condition", "self", "other"),
    "masked_fill": _choice("mask", "value", "self"),
    **dict.fromkeys(("to", "_to_copy", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool"), _CAST),
    "one_hot": Translation(_one_hot, "OneHot"),
}
