"""The size of a long unrolled recurrence, from circuits of its first steps.

In: a program that is too large to be made for an estimate, and one ``scan`` in it. Out: the size up to that. Each step has the
same circuit, and what it reads waits for all steps before it. So look-up tables grow linearly with the steps, and registers with
their square, or linearly, too, where those that wait are shift registers in look-up tables. Both are continued from circuits of
three numbers of steps.
"""

from collections.abc import Sequence
from dataclasses import replace

from bitsmith.estimate.figures import Size
from bitsmith.estimate.reads import elements_read
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.passes.program import drop_dead

STEPS_MADE = 3
"""Circuits that are made: of some first steps, of twice and of three times as many."""

FIGURES = ("lut", "ff", "dsp", "adders", "bram")
"""Figures of a size that grow with the steps."""


def only_scan(program: Program) -> int | None:
    """The number of the only recurrence; None if there is none, or several."""
    found = [index for index, node in enumerate(program.nodes) if isinstance(node.op, ops.Scan)]
    return found[0] if len(found) == 1 else None


def first_steps(program: Program, scan: int, steps: int) -> Program:
    """A recurrence of its first ``steps`` only, and all before it; it gives the last result if no others are read, else all."""
    op, node = program.nodes[scan].op, program.nodes[scan]
    assert isinstance(op, ops.Scan)
    nodes, args = list(program.nodes[:scan]), list(node.args)

    def added(made_of: ops.Op, *taken: int) -> int:
        nodes.append(Node(made_of, taken, infer(made_of, [nodes[arg].type for arg in taken]), node.layer))
        return len(nodes) - 1

    def part(index: int, first: int, last: int) -> int:
        shape = nodes[index].type.shape
        starts = (first, *(0 for _ in shape[1:]))
        return added(ops.Slice(starts, (last, *shape[1:]), (1,) * len(shape)), index)

    for place in range(op.states, len(args)):
        args[place] = part(args[place], 0, steps)
    result = added(op, *args)
    if _only_last(program, scan):
        result = part(result, steps - 1, steps)
    return drop_dead(Program(tuple(nodes), (Output("y", result),)), keep_probes=False)


def _only_last(program: Program, scan: int) -> bool:
    """Return True if of the results of a recurrence only the last one is read."""
    node = program.nodes[scan]
    kind = node.type
    given = ops.Input("y", kind.shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.WRAP, ())
    nodes = (*program.nodes[:scan], replace(node, op=given, args=()), *program.nodes[scan + 1 :])
    return not elements_read(Program(nodes, program.outputs))[scan][:-1].any()


def extended(sizes: Sequence[Size], times: float, *, shifting: bool) -> Size:
    """The size of so many ``times`` the steps of the first of ``sizes``, which are of as many, twice and three times as many.

    ``shifting``: what waits is in look-up tables.
    """
    more = times - STEPS_MADE

    def beyond(field: str) -> int:
        first, second, third = (int(getattr(size, field)) for size in sizes)
        step, bend = float(third - second), 0
        if field == "ff":  # stages do not end with steps, so that one step has more registers than the next
            step, bend = ((third - first) / 2, 0) if shifting else (step, third - 2 * second + first)
        return max(round(third + more * step + more * (more + 1) / 2 * bend), 0)

    lut, ff, dsp, adders, bram = map(beyond, FIGURES)
    return Size(lut, ff, dsp, adders, bram)
