"""The arithmetic of a step of a process, whatever language it is written in."""

from dataclasses import dataclass

from bitsmith.ir.program import Program


@dataclass(frozen=True, slots=True)
class Logic:
    """A step's arithmetic.

    Args:
        program: the token function.
        terms: products that are added up, before the token function.
        accumulates: a step also adds to (or compares with) what earlier ones left.
        copies: circuits of the token function, side by side.
    """

    program: Program | None = None
    terms: int = 0
    accumulates: bool = False
    copies: int = 1


NO_LOGIC = Logic()
"""Tokens only move."""
