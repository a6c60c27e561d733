"""Activations: piecewise linear ones as arithmetic, all other scalar functions as tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.layers.axis_order import Order, ordered_weights
from bitsmith.layers.example import Example
from bitsmith.layers.functions import FUNCTIONS, celu, elu
from bitsmith.layers.layer import Floats, Layer, Shape, Unary, as_weights, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.tables import Function, tabulated, without_table
from bitsmith.layers.thresholds import compared
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

ANY_ACTIVATION = "Activation"
TABLE_OPTIONS = frozenset({"table_size", "table_range", "binning"})
_RELU6 = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Activation(Layer):
    """A scalar function by table (see :mod:`bitsmith.layers.functions`); ``alpha`` only for elu and celu."""

    function: str
    alpha: float | None = None

    precisions: ClassVar[tuple[str, ...]] = ("table", "param", "result")
    options: ClassVar[frozenset[str]] = TABLE_OPTIONS
    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=True, affine=False)

    @property
    def functions(self) -> tuple[str, ...]:
        return (self.function,)

    @property
    def families(self) -> tuple[str, ...]:
        return ("ELU", ANY_ACTIVATION) if self.function == "elu" else (ANY_ACTIVATION,)

    @property
    def jumps(self) -> bool:
        return self.scalar_function().jumps

    @property
    def bounded(self) -> bool:
        return self.scalar_function().bounded

    @property
    def turns(self) -> tuple[float, ...]:
        return self.scalar_function().turns

    def scalar_function(self) -> Function:
        """The function with its parameter."""
        if self.alpha is not None:
            return {"elu": elu, "celu": celu}[self.function](self.alpha)
        return FUNCTIONS[self.function]

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if self.function not in FUNCTIONS:
            raise UnsupportedError(f"activation {self.function!r}", accepted=", ".join(sorted(FUNCTIONS)))
        return single(inputs, self.kind)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.asarray(self.scalar_function().evaluate(inputs[0]), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        fmt = lowering.format("result")
        frac = lowering.result_frac() if fmt is None else fmt.frac
        bounds = lowering.settings.table_range
        # Bins of a size that no user chose: what bends sharply within a wide range needs other ways.
        y = without_table(lowering, inputs[0], self.scalar_function(), frac)
        if y is None:
            y = tabulated(lowering, inputs[0], self.scalar_function(), frac, bounds=bounds)
        return lowering.result(y)


@dataclass(frozen=True, slots=True, eq=False)
class ReLU(Unary):
    """``min(x, max_value)`` above ``threshold``, ``negative_slope * (x - threshold)`` from there down (so 0 at it)."""

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    precisions: ClassVar[tuple[str, ...]] = ("param", "result")

    @property
    def functions(self) -> tuple[str, ...]:
        leaky, limited = self.negative_slope != 0.0, self.max_value == _RELU6
        return (*("leaky_relu",) * leaky, *("relu6",) * limited, "relu")

    @property
    def families(self) -> tuple[str, ...]:
        return ("ThresholdedReLU" if self.negative_slope == 0.0 else "LeakyReLU", ANY_ACTIVATION)

    @property
    def _bound(self) -> float:
        """The threshold as frameworks compare it."""
        return float(np.float32(self.threshold))

    @property
    def turns(self) -> tuple[float, ...]:
        return (self._bound, math.nextafter(self._bound, math.inf))[: 1 + (self.threshold != 0.0)]

    @property
    def traits(self) -> Traits:
        plain = self.max_value is None and self.threshold == 0.0
        return computed(Scales.POSITIVE if plain else Scales.NONE, Exactness.EXACT, elementwise=True, affine=False)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        kept = x if self.max_value is None else np.minimum(x, self.max_value)
        if self.threshold == self.negative_slope == 0.0 <= (self.max_value or 0.0):
            return np.maximum(kept, 0.0)  # in a fraction of the time
        return np.where(x > self._bound, kept, self.negative_slope * (x - self.threshold))

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        if beyond is None or self.threshold != 0.0 or self.negative_slope < 0.0:
            return None
        seen = _before_rectifier(beyond, np.asarray(self.negative_slope))
        return seen if self.max_value is None else replace(seen, most=max(min(seen.most, self.max_value), 0.0))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        kept = x
        if self.max_value is not None:
            kept = builder.min(x, lowering.number("param", self.max_value))
        if self.threshold == 0.0 and self.negative_slope == 0.0:
            return lowering.result(builder.max(kept, builder.const(0)))
        threshold = lowering.number("param", self.threshold)
        below = builder.const(0)
        if self.negative_slope != 0.0:
            slope = lowering.number("param", self.negative_slope)
            below = builder.mul(builder.sub(x, threshold), slope)
        bound = lowering.exact_const("param", as_weights(self._bound))
        return lowering.result(builder.select(compared(builder, x, Relation.GT, bound, lowering.gridded), kept, below))


def _before_rectifier(beyond: Resolution, slope: Floats) -> Resolution:
    """The resolution of numbers of which those below 0 are multiplied by a ``slope`` of 0 or more."""
    flattest = float(np.min(slope, where=slope > 0.0, initial=math.inf))
    least = min(beyond.least, 0.0) / flattest if math.isfinite(flattest) else 0.0
    ladders = tuple(side for each in beyond.ladders for side in each.of_rectifier(slope))
    step = beyond.step / max(float(slope.max()), 1.0)
    return Resolution(least, max(beyond.most, 0.0), step, None, None, ladders)


@dataclass(frozen=True, slots=True, eq=False)
class PReLU(Layer):
    """``x`` above 0, ``alpha * x`` below; ``alpha`` broadcasts to the shape of ``x``."""

    alpha: Floats

    traits: ClassVar[Traits] = computed(Scales.POSITIVE, Exactness.EXACT, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("param", "result")
    trained: ClassVar[Mapping[str, str]] = {"param": "alpha"}
    families: ClassVar[tuple[str, ...]] = (ANY_ACTIVATION,)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not broadcasts(self.alpha.shape, shape):
            raise UnsupportedError(f"slopes of shape {self.alpha.shape} on an input of shape {shape}")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        return PReLU(ordered_weights(self.alpha, orders[0], shapes[0])), orders[0]

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return self

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.where(inputs[0] >= 0, inputs[0], self.alpha * inputs[0])

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        return None if beyond is None or bool(np.any(self.alpha < 0.0)) else _before_rectifier(beyond, self.alpha)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        below = builder.mul(x, lowering.const("param", self.alpha))
        return lowering.result(builder.select(builder.compare(x, Relation.GE, builder.const(0)), x, below))


@dataclass(frozen=True, slots=True, eq=False)
class HardActivation(Unary):
    """``slope * x + shift`` clipped to ``low..high``, of which one may be open: hard sigmoid, hard tanh, clipping."""

    slope: float
    shift: float
    low: float | None
    high: float | None

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("slope", "shift", "result")
    families: ClassVar[tuple[str, ...]] = (ANY_ACTIVATION,)
    turns: ClassVar[tuple[float, ...]] = ()

    @property
    def functions(self) -> tuple[str, ...]:
        if self.low is None or self.high is None:
            return ()  # it is no more than a bound
        return ("hard_tanh" if self.low < 0.0 else "hard_sigmoid",)

    @property
    def bounded(self) -> bool:
        return self.low is not None and self.high is not None and -1.0 <= self.low <= self.high <= 1.0

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        line = inputs[0] * self.slope + self.shift
        return np.clip(line, -np.inf if self.low is None else self.low, np.inf if self.high is None else self.high)

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        if beyond is None or self.slope == 0.0:
            return None
        low, high = (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)
        ends = [(min(max(end, low), high) - self.shift) / self.slope for end in (beyond.least, beyond.most)]
        ladders = tuple(each.of_line(*map(np.asarray, (self.slope, self.shift))) for each in beyond.ladders)
        return Resolution(min(ends), max(ends), beyond.step / abs(self.slope), None, None, ladders)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        line = builder.mul(inputs[0], lowering.number("slope", self.slope))
        line = builder.add(line, lowering.number("shift", self.shift))
        if self.low is not None:
            line = builder.max(line, lowering.number("bound", self.low))
        if self.high is not None:
            line = builder.min(line, lowering.number("bound", self.high))
        return lowering.result(line)


EXAMPLES = (
    Example(Activation("tanh"), ((3,),)),
    Example(ReLU(max_value=2.0, negative_slope=0.125), ((3,),)),
    Example(PReLU(as_weights([0.25, -0.5, 0.125])), ((3,),)),
    Example(HardActivation(0.25, 0.5, 0.0, 1.0), ((3,),)),
)
