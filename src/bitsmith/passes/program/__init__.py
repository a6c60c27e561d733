"""Program to program rewrites. Each keeps the raw value of every output and probe, for every input."""

from bitsmith.base.dump import dumped
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.passes.program.drop_dead import drop_dead
from bitsmith.passes.program.fold_constants import fold_constants
from bitsmith.passes.program.fold_offsets import fold_offsets
from bitsmith.passes.program.reduce_widths import reduce_widths
from bitsmith.passes.program.share import share

PASSES = (
    fold_constants,
    fold_offsets,  # of constants that are known as such
    reduce_widths,  # what became constant decides casts, extremes and selections
    share,  # what lost its casts may be equal now
    drop_dead,  # what was replaced is still there
)
"""All passes, in the order in which :func:`simplify` runs them."""


def simplify(program: Program) -> Program:
    """The same program with less in it."""
    for each in PASSES:
        program = dumped(f"program-{each.__name__}", each(program), to_text)
    return program


__all__ = ["PASSES", "drop_dead", "fold_constants", "reduce_widths", "share", "simplify"]
