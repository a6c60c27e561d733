"""Values of formulas: of expressions of sympy by sympy, of texts by NumPy."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from bitsmith.frontends.formulas.expression import Call, Expression, Name, Number, parts
from bitsmith.frontends.formulas.functions import FUNCTIONS
from bitsmith.layers.layer import Floats


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
