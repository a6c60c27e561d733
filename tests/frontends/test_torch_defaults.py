"""Arguments that a call does not give have the defaults of PyTorch's own operators: exported programs leave them out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bitsmith.frontends.torch import read

TRANSLATIONS = sorted(Path(read.__file__).parent.glob("*.py"))

Default = tuple[str, str, float]
"""An operator, the name of an argument, and what is taken where that is not given."""


def constants_of(tree: ast.AST) -> Iterator[tuple[str, float]]:
    """Names and numbers of reads such as ``call.number("alpha", 1.0)`` and ``integer("dim", -1)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            try:
                value = ast.literal_eval(node.args[1])
            except ValueError:
                continue
            if isinstance(name, str) and isinstance(value, int | float):
                yield name, float(value)


def defaults() -> Iterator[Default]:
    """Those of all tables of operators: in the entries, and in functions that these name."""
    for path in TRANSLATIONS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for table in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
            for key, entry in zip(table.keys, table.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    named = {node.id for node in ast.walk(entry) if isinstance(node, ast.Name)}
                    for part in (entry, *(functions[name] for name in named & functions.keys())):
                        yield from ((key.value, name, value) for name, value in constants_of(part))


def theirs(operator: str) -> dict[str, set[float]]:
    """The defaults of the arguments of all overloads of an operator of PyTorch, by name."""
    found: dict[str, set[float]] = {}
    packet = getattr(torch.ops.aten, operator, None)
    for overload in () if packet is None else packet.overloads():
        for argument in getattr(packet, overload)._schema.arguments:
            if argument.has_default_value() and isinstance(argument.default_value, int | float):
                found.setdefault(argument.name, set()).add(float(argument.default_value))
    return found


KNOWN = [(operator, name, value) for operator, name, value in sorted({*defaults()}) if theirs(operator).get(name)]


def test_many_operators_have_defaults() -> None:
    assert len(KNOWN) > 30


@pytest.mark.parametrize(("operator", "name", "value"), KNOWN)
def test_defaults_are_those_of_pytorch(operator: str, name: str, value: float) -> None:
    assert any(abs(value - other) <= 1e-12 for other in theirs(operator)[name])
