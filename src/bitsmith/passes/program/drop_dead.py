"""Removes nodes that no output, probe or input needs.

Before: ``%5`` feeds neither an output nor a probe. After: gone, and later nodes move up.
"""

from dataclasses import replace

from bitsmith.base.lately import lately
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Output, Program
from bitsmith.passes.program.rewrite import moved


def drop_dead(program: Program, *, keep_probes: bool = True) -> Program:
    """The program without dead nodes. Inputs stay: they are its interface. Probes keep nodes alive, or go too."""
    if keep_probes or not program.probes:
        bodies = [node.op.body for node in program.nodes if isinstance(node.op, ops.Scan)]
        if len(reached(program)) == len(program.nodes) and all(
            drop_dead(body, keep_probes=False) is body for body in bodies
        ):
            return program
    return _without_dead(program, keep_probes)


@lately(4)
def _without_dead(program: Program, keep_probes: bool) -> Program:
    """Return the same program whenever it is asked for: layouts are kept by program."""
    if not keep_probes:
        program = Program(program.nodes, program.outputs)
    wanted = reached(program)
    nodes: list[Node] = []
    place: list[int] = []
    for index, node in enumerate(program.nodes):
        place.append(len(nodes))
        if index not in wanted:
            continue
        op = node.op
        if isinstance(op, ops.Scan):
            op = replace(op, body=drop_dead(op.body, keep_probes=False))
        nodes.append(Node(op, tuple(place[arg] for arg in node.args), node.type, node.layer))
    return moved(program, tuple(nodes), place)


def with_stored_results(program: Program) -> Program:
    """The program whose probes are the layers' results that outputs need, as they are stored.

    A probe that is only moved to be shown is put where it comes from; one that is computed to be shown goes.
    """
    needed = reached(Program(program.nodes, program.outputs))
    probes = []
    for probe in program.probes:
        place = probe.node
        while place not in needed and isinstance(program.nodes[place].op, ops.Transpose | ops.Gather):
            place = program.nodes[place].args[0]
        if place in needed:
            probes.append(Output(probe.name, place))
    return drop_dead(Program(program.nodes, program.outputs, tuple(probes)))


def reached(program: Program) -> set[int]:
    """Inputs, outputs, probes and all nodes that they need."""
    return program.ancestors([*program.inputs, *(result.node for result in (*program.outputs, *program.probes))])
