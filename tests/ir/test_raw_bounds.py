"""No code outside of ``ir/`` and ``emulate/`` takes the least or greatest of several elements' raw bounds: their units differ.

``TensorType.span``, ``union``, ``aligned`` and ``real_range`` are what it has instead, and ``raw_range`` for the bits of words.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bitsmith

SOURCES = Path(bitsmith.__file__).parent
FREE = {"ir", "emulate", "templates"}
"""Folders that define the units, that choose them, and that do not import bitsmith."""

REDUCTIONS = {"min", "max", "amin", "amax", "sum"}


def raw_reductions(source: str) -> Iterator[str]:
    """Reductions of the bounds of several elements, directly or by a name for them."""
    for scope in ast.walk(ast.parse(source)):
        if isinstance(scope, ast.FunctionDef):
            raw = {name for node in ast.walk(scope) if isinstance(node, ast.Assign) for name in _raw_names(node)}
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and any(_is_raw(part, raw) for part in _reduced(call)):
                    yield ast.unparse(call)


def _raw_names(node: ast.Assign) -> Iterator[str]:
    for target in node.targets:
        if isinstance(target, ast.Name):
            names, values = [target], [node.value]
        elif isinstance(target, ast.Tuple):
            names = [name for name in target.elts if isinstance(name, ast.Name)]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] * len(names)
        else:
            continue
        for name, value in zip(names, values, strict=False):
            if _is_raw(value, set()) or (ast.unparse(value).endswith(".full()") and name.id in ("lo", "hi")):
                yield name.id


def _reduced(call: ast.Call) -> list[ast.expr]:
    """What a call reduces; a call of Python's own ``min`` takes numbers."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in REDUCTIONS:
        return []
    numpy = isinstance(call.func.value, ast.Name) and call.func.value.id == "np"
    return call.args[:1] if numpy else [call.func.value]


def _is_raw(node: ast.AST, names: set[str]) -> bool:
    """True of bounds, of arithmetic on them, and of names for them; shifts and ``ldexp`` bring them to a common unit."""
    match node:
        case ast.Attribute(attr="lo" | "hi"):
            return True
        case ast.Name(id=name):
            return name in names
        case ast.Compare() | ast.BinOp(op=ast.LShift()) | ast.Call(func=ast.Attribute(attr="ldexp")):
            return False
        case ast.GeneratorExp(elt=element, generators=[ast.comprehension(target=ast.Name(id=name), iter=source)]):
            return _is_raw(element, names | {name} if _is_raw(source, names) else names)
        case _:
            return any(_is_raw(part, names) for part in ast.iter_child_nodes(node))


@pytest.mark.parametrize(
    "statement",
    [
        "least = x.type.lo.max()",
        "least = int(np.min(x.lo))",
        "lo, hi = x.lo, x.hi; most = hi.max()",
        "frac, lo, hi = kind.full(); least = lo.min(axis=0)",
        "most = (x.type.hi - x.type.lo).max()",
        "lo, hi = (abs(part) for part in (x.lo, x.hi)); most = np.max(hi)",
    ],
)
def test_finds_them(statement: str) -> None:
    assert list(raw_reductions(f"def f(x):\n    {statement}"))


@pytest.mark.parametrize(
    "statement",
    ["least = min(x.type.span.lo, 0)", "lo, hi = (np.ldexp(part, -x.frac) for part in (x.lo, x.hi)); most = hi.max()"],
)
def test_leaves_numbers_alone(statement: str) -> None:
    assert not list(raw_reductions(f"def f(x):\n    {statement}"))


@pytest.mark.slow
@pytest.mark.ci
def test_there_are_none() -> None:
    found = {
        f"{path.relative_to(SOURCES)}: {call}"
        for path in SOURCES.rglob("*.py")
        if not FREE.intersection(path.relative_to(SOURCES).parts)
        for call in set(raw_reductions(path.read_text(encoding="utf-8")))
    }
    assert not found, "use TensorType.span, union, aligned or raw_range"
