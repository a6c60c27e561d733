"""Tables of the package that are keyed by the members of a closed set have all of them, so that a new member is not forgotten."""

from __future__ import annotations

import ast
import enum
import importlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import bitsmith
from bitsmith.ir.ops import Relation

ROOT = Path(bitsmith.__file__).parent
PARTIAL = {
    "bitsmith.frontends.onnx.computed._DTYPES": "those of numbers, beside whose kinds there are texts",
    "bitsmith.layers.quantization.requantize._SIDES": "roundings that look at the sign; others need one staircase",
}
"""Tables of some members, and which."""


def names() -> Iterator[str]:
    """Dictionaries that modules of the package bind."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "templates" in parts or "__main__" in parts:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict | ast.DictComp):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                if isinstance(target, ast.Name):
                    yield ".".join(("bitsmith", *(part for part in parts if part != "__init__"), target.id))


def table(name: str) -> Mapping[object, object]:
    """The table of this name; empty if it is not one."""
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute, None)
    return found if isinstance(found, Mapping) else {}


def lacking(keys: Collection[object]) -> list[str] | None:
    """The members that are not among ``keys``; None unless all keys are members of one closed set."""
    kinds = {type(key) for key in keys}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None or not issubclass(kind, enum.Enum):
        return None
    return [member.name for member in kind if member not in keys]


def test_tables_of_closed_sets_are_complete() -> None:
    found = {name: lacking(table(name)) for name in names()}
    assert sum(left == [] for left in found.values()) > 10
    assert {name for name, left in found.items() if left} == PARTIAL.keys(), found


def test_a_missing_member_is_found() -> None:
    assert lacking({Relation.LT, Relation.LE}) == ["EQ", "NE", "GE", "GT"]
    assert lacking({Relation.LT, "le"}) is None
