"""Conditions on the number of samples under which an exported program holds, as its module's code chose by that number."""

import ast
import operator
import re
from collections.abc import Callable

from bitsmith.base.progress import warn
from bitsmith.errors import FidelityWarning, UnsupportedError
from bitsmith.frontends.builder.known import BY_SAMPLES, MANY_SAMPLES
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.torch.graph import Graph, TensorSpec

_SIZE = re.compile(r"L((?:\[[^][]+\])+)\.size\(\)\[(\d+)\]")
_MAX_LENGTH = 400
_TRIED = (*range(1, 65), MANY_SAMPLES)

_OPERATORS: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def check_guards(graph: Graph, where: str) -> None:
    """Refuse a program that does not hold for one sample, and warn of one that does not hold for any number of samples.

    Raises:
        UnsupportedError: its code chose by the number of samples what is not for one of them.
    """
    is_open = any(None in spec.sizes for spec in graph.inputs)
    for guard in graph.guards:
        condition = _of_samples(guard, graph.inputs)
        if condition is None or all(_holds(condition, count) for count in _TRIED):
            continue
        program = f"a program that holds for some numbers of samples only ({shown(guard)})"
        if is_open and not _holds(condition, 1):
            raise UnsupportedError(
                f"{program}, not for one: its code chooses {BY_SAMPLES[0]}",
                where=where,
                accepted="programs for any number of samples",
                remedy=BY_SAMPLES[1],
            )
        warn(
            f"{where}: {program}. Its code checks that number, chooses by it, or makes an integer of it; the circuit has for "
            "each sample what the program has.",
            FidelityWarning,
        )


def _of_samples(guard: str, inputs: tuple[TensorSpec, ...]) -> str | None:
    """Return a condition on n, the number of samples, that is in the place of their axis; None if it is of something else."""
    axes = {spec.name: spec.sizes.index(None) if None in spec.sizes else 0 for spec in inputs}

    def number(size: re.Match[str]) -> str:
        name = size[1].strip("[]'\"")
        return "n" if int(size[2]) in ([axes[name]] if name in axes else axes.values()) else size[0]

    condition = _SIZE.sub(number, guard)
    return None if condition == guard else condition


def _holds(condition: str, count: int) -> bool:
    """Return True if the condition is known to hold for so many samples."""
    try:
        return bool(len(condition) <= _MAX_LENGTH and _value(ast.parse(condition.strip(), mode="eval").body, count))
    except (SyntaxError, ValueError, LookupError, ZeroDivisionError, RecursionError, MemoryError):
        return False


def _value(node: ast.AST, count: int) -> int:
    match node:
        case ast.Name(id="n"):
            return count
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, count)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, count)
        case ast.BinOp():
            return _OPERATORS[type(node.op)](_value(node.left, count), _value(node.right, count))
        case ast.BoolOp():
            return (all if isinstance(node.op, ast.And) else any)(_value(part, count) for part in node.values)
        case ast.Compare(ops=[_]):
            return _OPERATORS[type(node.ops[0])](_value(node.left, count), _value(node.comparators[0], count))
    raise ValueError(ast.dump(node)[:_MAX_LENGTH])
