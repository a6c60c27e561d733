"""Other names and forms of functions, as PySR, SymbolicRegression.jl, sympy and people write them."""

from collections.abc import Callable, Mapping, Sequence

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.formulas.expression import Call, Expression, Number
from bitsmith.frontends.formulas.functions import FUNCTIONS

CONSTANTS: Mapping[str, float] = {"pi": 3.141592653589793, "π": 3.141592653589793}
"""Numbers by name, where no input has that name."""

_SAME: Mapping[str, str] = {
    "Abs": "abs",
    "Max": "max",
    "Min": "min",
    "ceiling": "ceil",
    "acos_clip": "acos",
    "arcsin": "asin",
    "arctan2": "atan2",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "ln": "log",
    "pow": "^",
    "Pow": "^",
    "Mod": "mod",
    "plus": "+",
    "mult": "*",
    "sub": "-",
    "div": "/",
    "logistic": "sigmoid",
    "maximum": "max",
    "minimum": "min",
    "clamp": "clip",
    "greater": ">",
    "less": "<",
    "greater_equal": ">=",
    "less_equal": "<=",
    "equal": "==",
    "And": "logical_and",
    "Or": "logical_or",
    "ITE": "where",
    "safe_log": "log",
    "safe_log2": "log2",
    "safe_log10": "log10",
    "safe_log1p": "log1p",
    "safe_sqrt": "sqrt",
    "safe_asin": "asin",
    "safe_acos": "acos",
    "safe_acosh": "acosh",
    "safe_atanh": "atanh",
    "safe_pow": "^",
    "Add": "+",
    "Mul": "*",
}
"""Names of functions that have another one here. What a ``safe_`` one makes of numbers outside its domain is not a number."""


def _abs(x: Expression) -> Expression:
    return Call("abs", (x,))


def _power(x: Expression, exponent: float) -> Expression:
    return Call("^", (x, Number(exponent)))


def _plus_one(x: Expression) -> Expression:
    return Call("+", (x, Number(1.0)))


_MADE: Mapping[str, tuple[int, Callable[..., Expression]]] = {
    "square": (1, lambda x: _power(x, 2.0)),
    "cube": (1, lambda x: _power(x, 3.0)),
    "log_abs": (1, lambda x: Call("log", (_abs(x),))),
    "log2_abs": (1, lambda x: Call("log2", (_abs(x),))),
    "log10_abs": (1, lambda x: Call("log10", (_abs(x),))),
    "log1p_abs": (1, lambda x: Call("log1p", (_abs(x),))),
    "sqrt_abs": (1, lambda x: Call("sqrt", (_abs(x),))),
    "acosh_abs": (1, lambda x: Call("acosh", (_plus_one(_abs(x)),))),
    "atanh_clip": (1, lambda x: Call("atanh", (Call("-", (Call("mod", (_plus_one(x), Number(2.0))), Number(1.0))),))),
    "pow_abs": (2, lambda x, y: Call("^", (_abs(x), y))),
    "cond": (2, lambda x, y: Call("where", (x, y, Number(0.0)))),
    "step": (1, lambda x: Call(">", (x, Number(0.0)))),
    "Heaviside": (1, lambda x: Call("/", (Call("+", (Call("sign", (x,)), Number(1.0))), Number(2.0)))),
    "Not": (1, lambda x: Call("-", (Number(1.0), x))),
    "hypot": (2, lambda x, y: Call("sqrt", (Call("+", (_power(x, 2.0), _power(y, 2.0))),))),
    "sec": (1, lambda x: Call("inv", (Call("cos", (x,)),))),
    "csc": (1, lambda x: Call("inv", (Call("sin", (x,)),))),
    "cot": (1, lambda x: Call("/", (Call("cos", (x,)), Call("sin", (x,))))),
}
"""Functions that others make, with the number of their operands."""


def called(name: str, operands: Sequence[Expression], where: str) -> Expression:
    """The function called ``name`` of operands.

    Raises:
        UnsupportedError: there is none of that name, or none of so many operands.
    """
    if name in _MADE:
        count, make = _MADE[name]
        least = most = count
    else:
        function = _SAME.get(name.removesuffix("_lut"), name.removesuffix("_lut"))
        if function not in FUNCTIONS:
            known = sorted({*_SAME, *_MADE, *FUNCTIONS} - {one for one in FUNCTIONS if not one.isidentifier()})
            raise UnsupportedError(f"the function {name[:60]!r}", where=where, accepted=", ".join(known))
        least, most = FUNCTIONS[function].operands

        def make(*operands: Expression) -> Expression:
            return _simple(function, operands)

    if not least <= len(operands) <= most:
        accepted = str(least) if least == most else f"{least} or more"
        raise UnsupportedError(f"{name[:60]} of {len(operands)} operands", where=where, accepted=accepted)
    return make(*operands)


def _simple(function: str, operands: Sequence[Expression]) -> Expression:
    """A function of operands; products of one number are powers, and sums within sums one sum."""
    if function in ("+", "*"):
        operands = [
            part for x in operands for part in (x.operands if isinstance(x, Call) and x.function == function else (x,))
        ]
    if function == "*":
        counts = {x: operands.count(x) for x in operands}
        powers = [
            (x, n) if isinstance(x, Number) else (_power(x, float(n)) if n > 1 else x, 1) for x, n in counts.items()
        ]
        operands = [x for x, n in powers for _ in range(n)]
    if len(operands) == 1 and function in ("+", "*", "max", "min"):
        return operands[0]
    return Call(function, tuple(operands))
