"""Formulas as text, untrusted: Python's parser makes a tree of it, of which a few kinds of node are read. Nothing is executed."""

import ast
import math
import re
import warnings
from collections.abc import Collection, Mapping

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.formulas.expression import MOST_DEPTH, Expression, Name, Number, shown
from bitsmith.frontends.formulas.spellings import CONSTANTS, called

MOST_CHARACTERS = 20_000
"""Most characters of a text."""

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "^",
    ast.Mod: "mod",
}
_RELATIONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ACCEPTED = "numbers, names, + - * / ^ % ( ), comparisons, 'a if c else b', and functions such as sin(x)"


def parse_formula(text: str, inputs: Collection[str] = (), functions: Mapping[str, str] | None = None) -> Expression:
    """The expression that a text says; ``^`` and ``**`` are powers, and ``inputs`` names that constants do not have then.

    ``functions`` are further names of functions.

    Raises:
        ModelFileError: a text that is too long or no formula.
        UnsupportedError: a function that is not known.
    """
    where = f"formula {text[:60]!r}"
    if len(text) > MOST_CHARACTERS:
        raise ModelFileError(f"{len(text)} characters", where=where, accepted=f"at most {MOST_CHARACTERS}")
    plain = re.sub(r"(?<=[\d.])f(?=[-+]?\d)", "e", text.translate(_SUBSCRIPTS))  # single precision of Julia
    plain = plain.replace("^", "**").replace("&&", " and ").replace("||", " or ").strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise ModelFileError(f"no formula: {said}", where=where, accepted=_ACCEPTED) from error
    return _Reading(where, frozenset(inputs), functions or {}).expression(tree, 0)


class _Reading:
    """The translation of a tree."""

    def __init__(self, where: str, inputs: frozenset[str], functions: Mapping[str, str]) -> None:
        self._where, self._inputs, self._functions = where, inputs, functions

    def expression(self, tree: ast.expr, depth: int) -> Expression:
        """The expression of a node that ``depth`` others are around."""
        if depth > MOST_DEPTH:
            raise ModelFileError(f"more than {MOST_DEPTH} levels", where=self._where, accepted="shallower formulas")
        below = depth + 1
        match tree:
            case ast.Constant(value=int() | float() as value):
                return self._number(value)
            case ast.Name(id=name):
                return Number(CONSTANTS[name]) if name in CONSTANTS and name not in self._inputs else Name(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                operands = [self.expression(each, below) for each in (left, right)]
                return called(_OPERATORS[type(op)], operands, self._where)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.expression(operand, below)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.expression(operand, below)
                return Number(-inner.value) if isinstance(inner, Number) else called("neg", [inner], self._where)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return called("Not", [self.expression(operand, below)], self._where)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _RELATIONS:
                operands = [self.expression(each, below) for each in (left, right)]
                return called(_RELATIONS[type(op)], operands, self._where)
            case ast.BoolOp(op=op, values=values):
                name = "logical_and" if isinstance(op, ast.And) else "logical_or"
                return called(name, [self.expression(each, below) for each in values], self._where)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return called("where", [self.expression(each, below) for each in (test, body, orelse)], self._where)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._called(
                    self._functions.get(name, name), [self.expression(each, below) for each in arguments]
                )
            case _:
                raise ModelFileError(f"{ast.unparse(tree)[:60]!r}", where=self._where, accepted=_ACCEPTED)

    def _number(self, value: float) -> Number:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ModelFileError(f"the number {str(value)[:30]}", where=self._where, accepted="finite numbers")
        return Number(number)

    def _called(self, name: str, operands: list[Expression]) -> Expression:
        """A function; a logarithm may have a base."""
        if name == "log" and len(operands) == 2:
            base = operands[1]
            if not isinstance(base, Number) or base.value <= 0.0 or base.value == 1.0:
                accepted = "positive numbers other than 1"
                raise UnsupportedError(f"a logarithm to the base {shown(base)}", where=self._where, accepted=accepted)
            natural = called("log", operands[:1], self._where)
            return called("*", [natural, Number(1.0 / math.log(base.value))], self._where)
        return called(name, operands, self._where)
