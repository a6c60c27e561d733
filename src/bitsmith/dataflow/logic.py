"""The arithmetic of a step of a process, whatever language it is written in."""

from dataclasses import dataclass

from bitsmith.ir.program import Program


@dataclass(frozen=True, slots=True)
class Logic:
    """A step's arithmetic.

    Args:
        program: the token function.
        states: the first operands of that which are tokens of operands at the first step of a frame alone; all others are, in
            their order, at each step. None: it has no function, or one of operands that the process makes.
        terms: products that are added up, before the token function.
        accumulates: a step also adds to (or compares with) what earlier ones left.
        copies: circuits of the token function, side by side.
    """

    program: Program | None
    states: int | None
    terms: int
    accumulates: bool
    copies: int


NO_LOGIC = Logic(None, None, terms=0, accumulates=False, copies=1)
"""Tokens only move."""
