"""Names of variables: pronouns name nothing, so that they stand where all of their uses are in sight."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs import prose

SOURCE = Path(__file__).parents[2] / "src" / "bitsmith"

PRONOUNS = frozenset({"each", "found", "given", "made", "one", "said", "told"})

REACH = 3
"""Lines between the first and the last use of a pronoun."""

LEFT: Mapping[str, int] = {
    "building": 4,
    "conversion": 20,
    "dataflow": 4,
    "emulate": 27,
    "estimate": 7,
    "fidelity": 34,
    "frontends/onnx": 4,
    "frontends/tflite": 17,
    "frontends/torch": 4,
    "frontends/trees": 6,
    "hls": 14,
    "layers": 5,
    "mapping": 4,
    "model": 4,
    "netlist": 27,
    "passes": 3,
    "rtl": 2,
    "sweeps": 11,
}
"""Pronouns that reach further, by room: the numbers only go down. Rooms that are not here have none."""


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


def far_pronouns(path: Path) -> Iterator[str]:
    """The pronouns of a file that reach too far, each with its first and its last line."""
    scopes = _Scopes()
    scopes.visit(prose.tree(path))
    for scope in scopes.closed:
        for name, lines in scope.items():
            if max(lines) - min(lines) > REACH:
                yield f"{path.relative_to(SOURCE)}:{min(lines)}: {name} until line {max(lines)}"


def test_pronouns_name_what_is_used_at_once() -> None:
    names_of = {path: list(far_pronouns(path)) for path in SOURCE.rglob("*.py")}
    counts = Counter[str]()
    for path, names in names_of.items():
        counts[room_of(path)] += len(names)
    more = {room for room, count in counts.items() if count > LEFT.get(room, 0)}
    assert sorted(name for path, names in names_of.items() for name in names if room_of(path) in more) == []


def room_of(path: Path) -> str:
    """The package of a file, and that within the readers."""
    room, *inner = path.relative_to(SOURCE).parts
    return f"{room}/{inner[0]}" if room == "frontends" else room


def test_a_pronoun_reaches_from_its_first_use_to_its_last(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("tests.docs.test_names.SOURCE", tmp_path)
    (tmp_path / "a.py").write_text(
        "def f(one):\n    found = [\n        one\n        for one in [1]\n    ]\n\n    return found\n\n\n"
        "def g(given):\n    return [\n        given\n        for x in (1, 2)\n        if given > x\n    ]\n"
    )
    assert list(far_pronouns(tmp_path / "a.py")) == ["a.py:2: found until line 7", "a.py:10: given until line 14"]
