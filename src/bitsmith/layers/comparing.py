"""Layers that compare numbers with thresholds of their own, and their size and rounding in words."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bitsmith.ir.ops import Input
from bitsmith.ir.types import Overflow, Rounding, TensorType
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resolution import Edges, Resolution
from bitsmith.layers.words import many

_LISTED = 8
"""Most outputs whose leaves are counted one by one."""

Features = npt.NDArray[np.int64]

Scaled = Callable[[Features, Floats], Floats]
"""Scaled numbers of features, one each, which rise with those numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparing(Layer):
    """A layer of one operand (features,) whose result changes where a feature crosses a threshold, and nowhere else.

    Passes fold scales into the thresholds, and keep data on their sides of them; no method has a default.
    """

    @abstractmethod
    def edges(self) -> Edges:
        """For each feature, the rising numbers after which the result changes."""

    @abstractmethod
    def comparisons(self, fracs: Sequence[int], *, rounds: bool) -> list[tuple[Floats, Floats]]:
        """The thresholds of each feature's comparisons, and the raw values that they are on a grid; see :meth:`lower`."""

    @abstractmethod
    def keeping(self, grid: Quantizer, data: Floats) -> Self:
        """The layer that decides on ``data`` (samples, features) alike once these are on ``grid``, where it can."""

    @abstractmethod
    def before_scales(self, scaled: Scaled) -> Self | None:
        """The layer for an operand of which it compared what features are ``scaled`` to; None: there is none."""

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        edges = self.edges()
        ends = np.concatenate([*edges, [0.0]])
        step = min((float(np.diff(some).min()) for some in edges if some.size > 1), default=1.0)
        return Resolution(float(ends.min()), float(ends.max()) + step, step, None, edges, ())


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
    percent = -100 * math.expm1(certain)
    share = f"{percent:{'.2g' if percent < 99.5 else '.0f'}} %"
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
