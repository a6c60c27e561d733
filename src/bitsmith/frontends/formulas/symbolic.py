"""Expressions of sympy: trees of objects with ``func`` and ``args``, for which it is not imported; and values of formulas."""

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.formulas.expression import MOST_DEPTH, Call, Expression, Name, Number, parts
from bitsmith.frontends.formulas.functions import FUNCTIONS
from bitsmith.frontends.formulas.spellings import called
from bitsmith.layers.layer import Floats

_RELATIONS = {
    "StrictLessThan": "<",
    "LessThan": "<=",
    "StrictGreaterThan": ">",
    "GreaterThan": ">=",
    "Equality": "==",
    "Unequality": "!=",
}


def is_sympy(model: object) -> bool:
    """True of an expression of sympy."""
    return any(base.__module__ == "sympy.core.basic" and base.__name__ == "Basic" for base in type(model).__mro__)


# Expressions of sympy have no types.
def of_sympy(expression: Any, functions: Mapping[str, str], depth: int = 0) -> Expression:
    """The expression of one of sympy; ``functions`` are further names of functions.

    Raises:
        UnsupportedError: a function that is not known, or a number that is not real and finite.
    """
    where = f"formula {str(expression)[:60]!r}"
    if depth > MOST_DEPTH:
        raise UnsupportedError(f"more than {MOST_DEPTH} levels", where=where, accepted="shallower formulas")
    if getattr(expression, "is_Symbol", False):
        return Name(str(expression.name))
    if getattr(expression, "is_number", False) or str(expression) in ("True", "False"):
        return _number(expression, where)
    kind = type(expression).__name__
    if kind == "Piecewise":
        pieces = [(of_sympy(pair.args[0], functions, depth + 1), pair.args[1]) for pair in expression.args]
        return _pieces(pieces, functions, depth, where)
    operands = [of_sympy(each, functions, depth + 1) for each in expression.args]
    if kind == "Mul":
        return _product(operands, where)
    if kind == "Pow" and operands[1] == Number(0.5):
        return called("sqrt", operands[:1], where)
    if kind == "Heaviside":
        operands = operands[:1]
    return called(functions.get(kind, _RELATIONS.get(kind, kind)), operands, where)


def _number(expression: Any, where: str) -> Number:
    value = bool(expression) if str(expression) in ("True", "False") else complex(expression)
    real = complex(value).real
    if complex(value).imag or not math.isfinite(real):
        raise UnsupportedError(f"the number {str(expression)[:30]}", where=where, accepted="finite real numbers")
    return Number(real)


def _product(factors: Sequence[Expression], where: str) -> Expression:
    """A product; its factors with whole negative exponents are one divisor."""
    above: list[Expression] = []
    below: list[Expression] = []
    for factor in factors:
        base, exponent = factor.operands if isinstance(factor, Call) and factor.function == "^" else (factor, None)
        if isinstance(exponent, Number) and exponent.value < 0.0 and exponent.value.is_integer():
            below.append(base if exponent.value == -1.0 else called("^", [base, Number(-exponent.value)], where))
        else:
            above.append(factor)
    product = called("*", above, where) if above else Number(1.0)
    return called("/", [product, called("*", below, where)], where) if below else product


def _pieces(
    pieces: Sequence[tuple[Expression, Any]], functions: Mapping[str, str], depth: int, where: str
) -> Expression:
    """Pieces, the last of which holds everywhere else."""
    *first, (result, condition) = pieces
    if str(condition) != "True":
        raise UnsupportedError(
            "a Piecewise without a piece for all else", where=where, accepted="(value, True) at its end"
        )
    for value, holds in reversed(first):
        result = called("where", [of_sympy(holds, functions, depth + 1), value, result], where)
    return result


def evaluated(expressions: Sequence[Expression], names: Sequence[str], x: Floats) -> Floats:
    """Values of ``expressions`` for samples ``x``, whose last axis has the named inputs."""
    results: dict[Expression, Floats] = {Name(name): x[:, number] for number, name in enumerate(names)}
    with np.errstate(all="ignore"):
        for part in parts(*expressions):
            if isinstance(part, Call):
                results[part] = FUNCTIONS[part.function].value(*(results[operand] for operand in part.operands))
            elif isinstance(part, Number):
                results[part] = np.full(len(x), part.value)
    return np.stack([results[expression] for expression in expressions], axis=-1)


# Expressions of sympy have no types.
def by_sympy(expressions: Sequence[Any], names: Sequence[str], x: Floats) -> Floats:
    """Values of expressions of sympy, as sympy translates them for NumPy."""
    sympy: Any = importlib.import_module("sympy")
    function = sympy.lambdify([sympy.Symbol(name) for name in names], [*expressions], modules=["scipy", "numpy"])
    columns = function(*x.T)
    return np.stack([np.broadcast_to(np.asarray(column, dtype=np.float64), len(x)) for column in columns], axis=-1)
