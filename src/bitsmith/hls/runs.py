"""The C++ functions of a program: runs of nodes that came from the same layer of the user's model."""

from dataclasses import dataclass
from itertools import groupby

from bitsmith.ir import ops
from bitsmith.ir.program import Program


@dataclass(frozen=True, slots=True)
class Run:
    """Nodes in order, the nodes whose values they take from elsewhere, and those whose values others need.

    Constants belong to no run: each function that needs one has its own.
    """

    layer: str
    nodes: tuple[int, ...]
    operands: tuple[int, ...]
    results: tuple[int, ...]


def runs(program: Program) -> tuple[Run, ...]:
    """The runs of ``program`` in the order in which they can be called.

    Nodes are in evaluation order, so runs of neighbors never wait for one another; a layer whose nodes are not
    neighbors becomes several functions.
    """
    inner = [index for index, node in enumerate(program.nodes) if not isinstance(node.op, ops.Input | ops.Const)]
    groups = [(layer, tuple(group)) for layer, group in groupby(inner, lambda index: program.nodes[index].layer)]
    return tuple(_run(program, layer, nodes) for layer, nodes in groups)


def body(program: Program) -> Run:
    """All nodes of the body of a recurrence as one run, called with all its inputs."""
    nodes = tuple(index for index, node in enumerate(program.nodes) if not isinstance(node.op, ops.Input | ops.Const))
    return Run("", nodes, program.inputs, tuple(output.node for output in program.outputs))


def _run(program: Program, layer: str, nodes: tuple[int, ...]) -> Run:
    inside = set(nodes)
    operands = dict.fromkeys(
        arg
        for index in nodes
        for arg in program.nodes[index].args
        if arg not in inside and not isinstance(program.nodes[arg].op, ops.Const)
    )
    wanted = {output.node for output in program.outputs}
    for index, node in enumerate(program.nodes):
        if index not in inside:
            wanted.update(node.args)
    return Run(layer, nodes, tuple(operands), tuple(index for index in nodes if index in wanted))
