"""Decision trees in words: their size, and where rounding of an input may change a decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bitsmith.ir.ops import Input
from bitsmith.ir.types import Overflow, Rounding, TensorType
from bitsmith.layers.arrays import Floats
from bitsmith.layers.words import many

_LISTED = 8
"""Most outputs whose leaves are counted one by one."""


def form(trees: int, depth: int, decisions: int, questions: Mapping[int, int], leaves: Sequence[int]) -> str:
    """The size of trees: the number of different comparisons by feature, and of leaves by output."""
    counts = ", ".join(f"{count:,}" for count in leaves)
    listed = counts if len(leaves) <= _LISTED else f"{min(leaves):,} to {max(leaves):,}"
    outputs = " of each output" if len(leaves) > 1 else ""
    return (
        f"{many(trees, 'tree')} with up to {many(depth, 'decision')} in a row: {many(decisions, 'decision')} by "
        f"{many(sum(questions.values()), 'comparison')} of {many(len(questions), 'feature')}; leaves{outputs}: {listed}."
    )


def undecided(edges: Sequence[Floats], operand: TensorType, entry: Input) -> str:
    """A sentence on the inputs within a format that are rounded across a threshold, which are in ``edges`` by feature."""
    fracs, lows, highs = (part.ravel().tolist() for part in operand.full())
    certain, worst = 0.0, (0, 1)
    for own, frac, lo, hi in zip(edges, fracs, lows, highs, strict=True):
        counted = _crossed(own, frac, lo, hi, entry), hi - lo + 1
        certain += math.log1p(-counted[0] / counted[1]) if counted[0] < counted[1] else -math.inf
        worst = max(worst, counted, key=lambda some: some[0] / some[1])
    if not worst[0]:
        return "No decision changes by rounding of an input within its format."
    share = f"{-100 * math.expm1(certain):.2g} %"
    return (
        f"Rounding of an input could change a decision for {share} of all values of its format: where a threshold lies "
        f"within a step, in at most {worst[0]:,} of {worst[1]:,} steps of a feature."
    )


def _crossed(edges: Floats, frac: int, lo: int, hi: int, entry: Input) -> int:
    """The number of raw values that numbers of single precision on both sides of an edge are rounded to."""
    with np.errstate(over="ignore"):
        nearest = edges.astype(np.float32)
    below = np.where(nearest > edges, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    sides = below, np.nextafter(below, np.float32(np.inf))
    half = 0.0 if entry.rounding is Rounding.TRN else 0.5
    with np.errstate(over="ignore"):
        first, second = (np.floor(np.ldexp(side.astype(np.float64), frac) + half) for side in sides)
    if entry.overflow is not Overflow.WRAP:
        first, second = (np.clip(side, float(lo), float(hi)) for side in (first, second))
    crossed = (first == second) & (first >= float(lo)) & (first <= float(hi))
    return int(np.unique(first[crossed]).size)
