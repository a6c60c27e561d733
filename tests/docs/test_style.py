"""How the code reads: sizes of files and functions, and first words of docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

FILE_LINES, FUNCTION_LINES = 450, 60
"""A file or a function that is longer is two things; docstrings of functions are not counted."""

PRONOUNS = frozenset(
    {"As", "How", "It", "Its", "Of", "That", "They", "This", "What", "When", "Where", "Whether", "Which", "Who", "Why"}
)
"""First words of docstrings that say neither what a thing is nor what it does."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of the docstrings of modules, classes, functions and constants."""
    for node in ast.walk(tree(path)):
        body = getattr(node, "body", None)
        for index, statement in enumerate(body if isinstance(body, list) else []):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if (
                isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and (index or hasattr(node, "name") or node is tree(path))
            ):
                yield statement.lineno, value.value.strip()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_reads_as_agreed(path: Path) -> None:
    begun = [
        f"{line}: {text[:50]}" for line, text in docstrings(path) if text.split(maxsplit=1)[0].strip(".,:") in PRONOUNS
    ]
    assert begun == [], "docstrings begin with a verb or a noun"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            assert (node.end_lineno or 0) - (first or 0) <= FUNCTION_LINES, f"{node.name} is two things"
