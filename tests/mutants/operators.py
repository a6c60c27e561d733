"""Small mistakes that can be made anywhere in a text of Python, SystemVerilog or C++: tables of operators.

Python is changed by its syntax tree (:mod:`ast`), which says where operators stand; packages that do so (cosmic-ray, mutmut)
bring a dozen others along, and change annotations and messages, too. The other languages are changed by regular expressions,
with comments and strings left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
    ast.MatMult: ("@", "*"),
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}
_SYMMETRIC = {
    "isinstance",
    "add",
    "mul",
    "multiply",
    "min",
    "max",
    "minimum",
    "maximum",
    "gcd",
    "lcm",
    "array_equal",
    "broadcast_shapes",
    "zip",
    "product",
    "union",
}
"""Functions whose first two arguments nobody exchanges by mistake, or may exchange."""

_TEXTS = (ast.JoinedStr, ast.Raise, ast.Assert)
"""What is said, which no test needs to see word by word."""

_HARDWARE = (
    (r"(?<![=!<>&|+*/-])==(?!=)", "!="),
    (r"!=", "=="),
    (r"&&", "||"),
    (r"\|\|", "&&"),
    (r" < ", " <= "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r" & ", " | "),
    (r" \| ", " & "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" << ", " >> "),
    (r" >> ", " << "),
    (r"(?<=[=(&|] )~(?=\w)|(?<=\()[~!](?=\w)", ""),
    (r"1'b0\b", "1'b1"),
    (r"1'b1\b", "1'b0"),
    (r"\bif \((?=\w)", "if (!"),
    (r"(?<=[ (\[{])0(?=[;)\],} ])", "1"),
    (r"(?<=[ (\[{])1(?=[;)\],} ])", "2"),
    (r"(?m)^ +\w+(?:\[[^\]\n]*\])? <= [^;\n]*;$", ""),
    (r"(?m)^ +[\w.]+(?:\[[^\]\n]*\])? [-+|&]?= [^;\n]*;$", ""),
)
_SOFTWARE_ALONE = ((r" <= ", " < "), (r"\+\+", "--"), (r"(?<!\w)continue;", "break;"))
_LEFT_OUT = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|(?m:^\s*(?:#|`|input|output|module|typedef)[^\n]*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of a text, from ``start`` to ``end``, that become others."""

    start: int
    end: int
    new: str

    def applied(self, text: str) -> str:
        """``text`` with the mistake."""
        content = text.encode()
        return (content[: self.start] + self.new.encode() + content[self.end :]).decode()

    def line(self, text: str) -> int:
        """The line that it is in, from 1 on."""
        return text.encode().count(b"\n", 0, self.start) + 1


def changes(text: str, suffix: str) -> list[Change]:
    """All mistakes of the tables in a text of the language that ``suffix`` says."""
    return sorted(_of_python(text) if suffix == ".py" else _of_others(text, suffix), key=lambda each: each.start)


def _of_others(text: str, suffix: str) -> Iterator[Change]:
    blank = _LEFT_OUT.sub(lambda found: re.sub(r"[^\n]", "\0", found[0]), text)
    for pattern, new in _HARDWARE + (() if suffix in (".sv", ".v") else _SOFTWARE_ALONE):
        for found in re.finditer(pattern, blank):
            start, end = (len(text[:place].encode()) for place in found.span())
            yield Change(start, end, new)


def _of_python(text: str) -> Iterator[Change]:
    return _Python(text).of(ast.parse(text))


class _Python:
    """The changes of a syntax tree."""

    def __init__(self, text: str) -> None:
        self._content = text.encode()
        self._starts = [0]
        for line in self._content.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.AST) -> Iterator[Change]:
        """Those of a node and what is in it, without annotations, decorators and texts."""
        if isinstance(node, _TEXTS) or (isinstance(node, ast.keyword) and node.arg in ("strict", "total")):
            return
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
            return  # what tests of layers begin with: others would do as well
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            return  # what the type checker alone needs
        yield from self._own(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant) and node.operand.value == 1:
            return  # -1 is the last one, or any, for which -2 often stands, too
        left_out = {"annotation", "returns", "decorator_list", "type_params", "bases"}
        for name, value in ast.iter_fields(node):
            if name not in left_out:
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, ast.AST):
                        yield from self.of(each)

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._content[start:end].decode()

    def _between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Change]:
        """An operator between two operands."""
        first, last = self._span(left)[1], self._span(right)[0]
        place = self._content.find(old.encode(), first, last)
        if place >= 0:
            yield Change(place, place + len(old), new)

    def _replaced(self, node: ast.expr | ast.stmt, new: str) -> Iterator[Change]:
        yield Change(*self._span(node), new)

    def _exchanged(self, first: ast.expr, second: ast.expr) -> Iterator[Change]:
        (start, after), (before, end) = self._span(first), self._span(second)
        texts = self._text(first), self._text(second)
        if texts[0] != texts[1] and after < before:
            yield Change(start, end, texts[1] + self._content[after:before].decode() + texts[0])

    def _own(self, node: ast.AST) -> Iterator[Change]:
        match node:
            case ast.Compare(left, operators, operands):
                for one, operator, other in zip([left, *operands], operators, operands, strict=False):
                    yield from self._between(one, other, *_COMPARISONS[type(operator)])
            case ast.BinOp(left, operator, right) if not any(_is_text(each) for each in (left, right)):
                yield from self._between(left, right, *_ARITHMETIC[type(operator)])
            case ast.BoolOp(operator, operands):
                old, new = ("and", "or") if isinstance(operator, ast.And) else ("or", "and")
                for one, other in pairwise(operands):
                    yield from self._between(one, other, old, new)
            case ast.UnaryOp(ast.Not() | ast.USub(), operand):
                yield from self._replaced(node, f"({self._text(operand)})")
            case ast.Constant(bool() as value):
                yield from self._replaced(node, str(not value))
            case ast.Constant(int() as value):
                yield from self._replaced(node, str(value + 1))
            case ast.If(test) | ast.IfExp(test) if not isinstance(test, ast.Name) or test.id != "TYPE_CHECKING":
                yield from self._replaced(test, f"(not ({self._text(test)}))")
            case ast.Continue():
                yield from self._replaced(node, "break")
            case ast.Expr(ast.Call(function)) if _name(function) == "assert_never":
                pass  # what the type checker alone needs
            case ast.AugAssign() | ast.Expr(ast.Call()):
                yield from self._replaced(node, "pass")
            case ast.Call(function, [first, second, *_]) if not isinstance(first, ast.Starred | ast.Constant):
                if not isinstance(second, ast.Starred) and _name(function) not in _SYMMETRIC:
                    yield from self._exchanged(first, second)
            case ast.Subscript(_, ast.Tuple([first, second, *_])):
                yield from self._exchanged(first, second)
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in _FUNCTIONS:
                end = self._span(node.func)[1]
                yield Change(end - len(name), end, _FUNCTIONS[name])


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | None.__class__)
    )
