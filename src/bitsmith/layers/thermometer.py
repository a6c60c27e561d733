"""Numbers as bits: comparisons of features with thresholds, which tables read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import objects
from bitsmith.layers.comparing import Comparing, Scaled, undecided
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Shape, as_weights, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resolution import Edges
from bitsmith.layers.thresholds import raw_threshold, unscaled_bounds
from bitsmith.layers.traits import Exactness, Scales, Traits, computed
from bitsmith.layers.words import Operand, many

_raw = np.frompyfunc(lambda bound, frac: raw_threshold(float(bound), int(frac)), 2, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Thermometer(Comparing):
    """Bit ``k`` is 1 where ``x[features[k]] > thresholds[k]``, of an operand of ``size`` features."""

    size: int
    features: tuple[int, ...]
    thresholds: Floats

    traits: ClassVar[Traits] = replace(
        computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False), bits=True
    )
    jumps: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if shape != (self.size,) or self.thresholds.shape != (len(self.features),) or not self.features:
            raise UnsupportedError(
                f"{len(self.features)} features and thresholds of shape {self.thresholds.shape} of an input of shape {shape}",
                accepted=f"a threshold for each of the features, which are those of ({self.size},)",
            )
        if not all(0 <= feature < self.size for feature in self.features):
            raise UnsupportedError("a thermometer of a feature that there is not", accepted=f"0 to {self.size - 1}")
        return (len(self.features),)

    def words(self, operands: Sequence[Operand]) -> tuple[str, ...]:
        """Return the number of different comparisons, and on how many inputs rounding could change a bit."""
        (operand,), edges = operands, self.edges()
        bits, questions, features = len(self.features), sum(map(len, edges)), len(set(self.features))
        size = f"{many(bits, 'bit')} by {many(questions, 'comparison')} of {many(features, 'feature')}."
        return (size,) if operand.entry is None else (size, undecided(edges, operand.type, operand.entry))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.asarray(inputs[0][:, list(self.features)] > self.thresholds, dtype=np.float64)

    def edges(self) -> Edges:
        own = np.array(self.features)
        return tuple(np.unique(self.thresholds[own == feature]) for feature in range(self.size))

    def comparisons(self, fracs: Sequence[int], *, rounds: bool) -> list[tuple[Floats, Floats]]:
        return [
            (edges, as_weights([raw_threshold(edge, frac) for edge in edges.tolist()]))
            for edges, frac in zip(self.edges(), fracs, strict=True)
        ]

    def keeping(self, grid: Quantizer, data: Floats) -> Thermometer:
        return self  # thresholds are those of the model, whatever rounding does

    def before_scales(self, scaled: Scaled) -> Thermometer | None:
        bounds = unscaled_bounds(partial(scaled, np.array(self.features)), self.thresholds)
        return None if bounds is None else replace(self, thresholds=as_weights(bounds))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        x = builder.gather(inputs[0], list(self.features), 0)
        fracs = np.broadcast_to(x.type.frac, x.shape)
        # What is on the grid is greater than a threshold if it is greater than the next number of the grid below.
        raw = objects(_raw(self.thresholds, fracs))
        return lowering.result(builder.compare(x, Relation.GT, builder.const(raw, fracs)))


EXAMPLES = (Example(Thermometer(2, (0, 1, 0), as_weights([0.25, -0.5, 1.0])), ((2,),)),)
