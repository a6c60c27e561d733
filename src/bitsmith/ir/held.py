"""States of a recurrence that never change: how what can be loaded gets into its body."""

from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program


def held_parameters(program: Program, node: Node) -> dict[int, Node]:
    """The parameters that are states of the recurrence ``node`` which every step hands on, by the number of the state."""
    assert isinstance(node.op, ops.Scan)
    body = node.op.body
    held = dict[int, Node]()
    for number, (index, output) in enumerate(zip(body.inputs[: node.op.states], body.outputs, strict=False)):
        initial = program.nodes[node.args[number]]
        if output.node == index and isinstance(initial.op, ops.Parameter):
            held[number] = initial
    return held
