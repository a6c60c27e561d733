"""Layers that compare numbers with thresholds of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resolution import Edges, Resolution

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
        return Resolution(float(ends.min()), float(ends.max()) + step, step, None, edges)
