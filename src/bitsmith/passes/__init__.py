"""Program to program rewrites. Each keeps the raw value of every output and probe, for every input."""

from bitsmith.ir.program import Program
from bitsmith.passes.drop_dead import drop_dead
from bitsmith.passes.fold_constants import fold_constants
from bitsmith.passes.reduce_widths import reduce_widths
from bitsmith.passes.share import share

PASSES = (fold_constants, reduce_widths, share, drop_dead)
"""All passes, in the order in which :func:`simplify` runs them."""


def simplify(program: Program) -> Program:
    """The same program with less in it."""
    program = fold_constants(program)
    program = reduce_widths(program)  # what became constant decides casts, extremes and selections
    program = share(program)  # what lost its casts may be equal now
    return drop_dead(program)  # what was replaced is still there


__all__ = ["PASSES", "drop_dead", "fold_constants", "reduce_widths", "share", "simplify"]
