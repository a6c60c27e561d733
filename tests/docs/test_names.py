"""Names of variables: pronouns name nothing, so that they stand where all of their uses are in sight."""

from __future__ import annotations

import ast
from collections.abc import Iterator

PRONOUNS = frozenset({"each", "found", "given", "made", "one", "said", "told"})

REACH = 3
"""Lines between the first and the last use of a pronoun."""


class _Scopes(ast.NodeVisitor):
    """Gathers, for each pronoun that a function, a comprehension or the module binds, the lines of its uses; fields are none."""

    def __init__(self) -> None:
        self._open: list[dict[str, list[int]]] = [{}]
        self.closed: list[dict[str, list[int]]] = self._open[:]

    def _used(self, name: str, node: ast.AST, *, binds: bool) -> None:
        if name in PRONOUNS:
            holder = next((scope for scope in reversed(self._open) if name in scope), None)
            scope = self._open[-1].setdefault(name, []) if binds else (holder or {}).get(name, [])
            scope += [node.lineno, node.end_lineno]

    def visit_Name(self, node: ast.Name) -> None:
        self._used(node.id, node, binds=isinstance(node.ctx, ast.Store))

    def visit_arg(self, node: ast.arg) -> None:
        self._used(node.arg, node, binds=True)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._used(node.name or "", node, binds=True)
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        parts = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            parts = [*node.generators, *(part for part in parts if not isinstance(part, ast.comprehension))]
        elif isinstance(node, ast.comprehension):
            parts = [node.iter, node.target, *node.ifs]
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            return super().generic_visit(node)
        is_scope = not isinstance(node, ast.comprehension)
        if is_scope:
            self._open.append({})
            self.closed += [] if isinstance(node, ast.ClassDef) else self._open[-1:]
        for part in parts:
            self.visit(part)
        if is_scope:
            self._open.pop()
        return None


def far_pronouns(tree: ast.Module) -> Iterator[str]:
    """The pronouns of a file that reach too far, each with its first and its last line."""
    scopes = _Scopes()
    scopes.visit(tree)
    for scope in scopes.closed:
        for name, lines in scope.items():
            if max(lines) - min(lines) > REACH:
                yield f":{min(lines)}: {name} until line {max(lines)}"


def test_a_pronoun_reaches_from_its_first_use_to_its_last() -> None:
    text = (
        "def f(one):\n    found = [\n        one\n        for one in [1]\n    ]\n\n    return found\n\n\n"
        "def g(given):\n    return [\n        given\n        for x in (1, 2)\n        if given > x\n    ]\n"
    )
    assert list(far_pronouns(ast.parse(text))) == [":2: found until line 7", ":10: given until line 14"]
