"""Checks that a program obeys the rules of the IR. Runs after every pass in tests, and on whatever comes from outside."""

import reprlib
from collections.abc import Iterable, Sequence

from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import TensorType

WINDOW = 3
"""Nodes shown on either side of a culprit."""


def check(program: Program) -> None:
    """Do nothing if ``program`` is sound.

    Every operand must be an earlier node; each op must fit its operands, and its node's type must contain all its
    results; outputs and probes must be nodes, names of inputs, of outputs and of probes unique, and all names printable.

    Raises:
        ProgramError: the first rule that is broken, with the nodes around it.
    """
    types: list[TensorType] = []
    for index, node in enumerate(program.nodes):
        try:
            check_node(node.op, node.args, types, node.type)
        except BitsmithError as error:
            raise ProgramError(
                f"{error.found}\n{_window(program, index)}", where=error.where or f"node %{index}"
            ) from error
        types.append(node.type)
    parameters = [(node.layer, node.op.name) for node in program.nodes if isinstance(node.op, ops.Parameter)]
    _check_names("parameter", [f"{layer}.{name}" for layer, name in parameters])
    _check_names("input", [op.name for op in program.input_ops()])
    for kind, results in (("output", program.outputs), ("probe", program.probes)):
        check_results(kind, results, len(program.nodes))
        _check_printable(kind, (result.name for result in results))
    _check_printable("layer", (node.layer for node in program.nodes))
    _check_printable("input", (op.name for op in program.input_ops()))
    if not program.outputs:
        raise ProgramError("a program without outputs")


def check_node(op: Op, args: Sequence[int], earlier: Sequence[TensorType], declared: TensorType | None) -> TensorType:
    """The inferred type of a node whose operands index the types ``earlier``; it must lie within ``declared``, if any.

    Raises:
        ProgramError: a rule that is broken.
    """
    for arg in args:
        if not 0 <= arg < len(earlier):
            raise ProgramError(f"operand %{arg}, which is not an earlier node")
    if len(args) not in op.arity:
        wanted = f"{'at least ' * (len(op.arity) > 1)}{op.arity[0]}"
        raise ProgramError(f"{len(args)} operands of {type(op).__name__}, which takes {wanted}")
    if isinstance(op, ops.Scan):
        check(op.body)
        if any(isinstance(node.op, ops.Parameter) for node in op.body.nodes):
            raise ProgramError("a parameter within a recurrence, where no weights can be loaded")
        if op.body.keeping:
            raise ProgramError("states that are kept between samples within a recurrence")
    try:
        result = infer(op, [earlier[arg] for arg in args])
    except (BitsmithError, ValueError, IndexError) as error:
        found = error.found if isinstance(error, BitsmithError) else str(error)
        raise ProgramError(f"{type(op).__name__}: {found}") from error
    if declared is not None and not declared.contains(result):
        raise ProgramError(f"the type {declared} does not hold all results of {type(op).__name__}, which are {result}")
    return result


def check_results(kind: str, results: Sequence[Output], nodes: int) -> None:
    """Outputs or probes must be nodes and have names of their own."""
    for result in results:
        if not 0 <= result.node < nodes:
            raise ProgramError(f"{kind} {result.name!r} of node %{result.node}, which does not exist")
    _check_names(kind, [result.name for result in results])


def _check_printable(kind: str, names: Iterable[str]) -> None:
    """Refuse names that would do something in a terminal, a comment or a script."""
    for name in names:
        if not name.isprintable():
            raise ProgramError(f"the {kind} {reprlib.repr(name)}, which cannot be printed")


def _check_names(kind: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ProgramError(f"two {kind}s called {name!r}")
        seen.add(name)


def _window(program: Program, index: int) -> str:
    first, last = max(0, index - WINDOW), min(len(program.nodes), index + WINDOW + 1)
    return "\n".join(f"{'>' if at == index else ' '} {_line(at, program.nodes[at])}" for at in range(first, last))


def _line(index: int, node: Node) -> str:
    operands = "".join(f" %{arg}" for arg in node.args)
    layer = f" @{node.layer}" if node.layer else ""
    return f"%{index}: {node.type} = {type(node.op).__name__.lower()}{operands}{layer}"
