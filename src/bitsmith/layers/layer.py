"""The contract of a layer."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.types import Ints
from bitsmith.layers.arrays import Exponents as Exponents
from bitsmith.layers.arrays import Floats as Floats
from bitsmith.layers.arrays import Shape as Shape
from bitsmith.layers.axis_order import Order, common
from bitsmith.layers.enclosure import Enclosure, by_traits
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Exactness, Scales, Traits, computed
from bitsmith.layers.words import Operand


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Products of the ``rows`` (groups, count, n) of an operand by the ``matrices`` (groups, n, m) of a trained tensor.

    ``effects`` (columns, channels) are squared differences that those in the products of each column, 1 in square, make in each
    channel of the result, summed over its positions. None: products are the result, but for the bias. ``revised`` makes the
    layer with other matrices and so much more of its bias (columns,), which is left out where it is not ``biased``.
    """

    rows: Floats
    matrices: Floats
    effects: Callable[[], Floats] | None
    revised: Callable[[Floats, Floats], Layer]
    biased: bool


PARTS, MUCH = 1 << 13, 0.01
"""Parts of a range, by which 16 bits are never off, and the share of results that a user notices."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer(ABC):
    """A layer of the user's model, without its name and wiring. Shapes have no batch axis; arrays in ``reference`` do."""

    precisions: ClassVar[tuple[str, ...]] = ("result",)
    """Variables whose precision the user may set of a layer of this class, besides ``default``."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Fields of :class:`Settings`, beyond precision, reuse factor, strategy and trace, that have a meaning here."""

    trained: ClassVar[Mapping[str, str]] = {}
    """The fields that hold trained tensors, or None, by the precision variables of these."""
    priced: ClassVar[Mapping[str, bool]] = {}
    """Trained tensors whose products have prices, by their variables: True if each step of a recurrence has the product."""

    @property
    def kind(self) -> str:
        """The layer's type name, as configuration and reports use it."""
        return type(self).__name__

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the activation function that the layer is, if it is one, the most specific first."""
        return ()

    @property
    def families(self) -> tuple[str, ...]:
        """Names that other tools have for the layer, or for such layers."""
        return ()

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """The traits on which passes rely (see :mod:`bitsmith.layers.traits`)."""

    @property
    def jumps(self) -> bool:
        """Return True if the least change of an operand may change the result a lot: ``auto`` rounds nothing in front of it."""
        return False

    @property
    def edges_of_jumps(self) -> list[float]:
        """Places from which on a function of one number, which need not jump elsewhere, has another value than just before."""
        return [y for x, y in itertools.pairwise(self.turns or ()) if math.nextafter(x, math.inf) == y]

    @property
    def jumps_within(self) -> bool:
        """Return True if it decides by numbers that no other layer has, as in the steps of a recurrence."""
        return False

    @property
    def lowered_by_reuse(self) -> bool:
        """Return True if the layer becomes another program with a reuse factor, in which its parts take turns."""
        return False

    def words(self, operands: Sequence[Operand]) -> tuple[str, ...]:
        """Return sentences on the layer in a circuit with such ``operands``, in words of its own kind."""
        return ()

    @property
    def turns(self) -> tuple[float, ...] | None:
        """Places between which the layer, a function of one number, rises or falls; None: it is none, or has no such places.

        Between places that are next to each other it jumps.
        """
        return None

    def turning(self, least: float, most: float) -> tuple[float, ...] | None:
        """Places from ``least`` to ``most`` between which a function of one number rises or falls; None: it is none."""
        return None if self.jumps else self.turns

    def steep(self, least: float = -8.0, most: float = 8.0, size: float = np.inf, shape: Shape = ()) -> float:
        """The range of results, ``size`` at most, if a small part of operands ``least`` to ``most`` may make much of it; else 0.

        Of functions of one number, and of few: the operand has a ``shape``.
        """
        if self.turning(least, most) is None:
            return 0.0
        with np.errstate(all="ignore"):
            y = self.reference([np.linspace(least, most, PARTS)[None]])
        y = y[np.isfinite(y)]
        size = min(size, float(np.ptp(y))) if y.size > 1 else 0.0
        return size if float(np.abs(np.diff(y)).max(initial=0.0)) > MUCH * size else 0.0

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure | None:
        """Return what is known of the result, but for the circuit's own error in it; None: nothing.

        A circuit decides as exact values do, unless operands may be ``anywhere``, next to where the layer jumps, too.
        """
        return by_traits(self.traits, self.reference, operands)

    @property
    def bounded(self) -> bool:
        """Return True if all results lie within -1 to 1, whatever the operands.

        Their scale is the layer's own, as that of probabilities, so that small ones are as good as 0.
        """
        return False

    @property
    def stateful(self) -> bool:
        """Return True if a sample's result depends on the samples before it, which batches have in order."""
        return False

    def variables(self) -> tuple[str, ...]:
        """Variables whose precision the user may set of this very layer, besides ``default``."""
        return self.precisions

    def weights(self) -> Mapping[str, Floats]:
        """Trained tensors by their precision variable."""
        found: dict[str, Floats | None] = {name: getattr(self, field) for name, field in self.trained.items()}
        return {name: values for name, values in found.items() if values is not None}

    def with_weights(self, values: Mapping[str, Floats]) -> Layer:
        """The layer with other trained tensors, by their precision variable."""
        return replace(self, **{self.trained[name]: tensor for name, tensor in values.items()})

    def weight_exponents(self, variable: str, bits: int) -> Exponents | None:
        """Return the powers of two that steps follow where ``auto`` takes several formats of ``bits`` for a trained tensor.

        They broadcast to the tensor. None: it takes one format.
        """
        return None

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        """Return the scales for errors of trained tensors, by variable: magnitudes that broadcast to the tensor.

        ``operand`` are the largest magnitudes of the channels of the operand, which has ``rank`` axes; ``result`` is what errors
        of the result's channels are compared with. A tensor that is left out has one step for all its values.
        """
        return {}

    def products(self, kernel: Ints) -> list[Ints]:
        """The matrices of the products with a trained tensor, of elements of ``kernel``."""
        return [kernel]

    def trained_products(self, variable: str, operands: Sequence[Floats]) -> Products | None:
        """Return the products that a trained tensor is multiplied in, for batches of operands.

        None: it does other things than to multiply.
        """
        return None

    @abstractmethod
    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """The result's shape for operands of shapes ``inputs``.

        Raises:
            UnsupportedError: operands that do not fit.
        """

    @abstractmethod
    def reference(self, inputs: Sequence[Floats]) -> Floats:
        """Return the framework's result in float64; arrays have a leading batch axis."""

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        """The layer for operands that are stored in ``orders``, and the order of its result then.

        ``shapes`` are those of the operands in the user's model. None: it needs operands that are stored as they are there.
        """
        order = common(orders, shapes) if self.traits.elementwise else None
        return None if order is None else (self, order)

    def giving(self, order: Order, shape: Shape) -> Layer | None:
        """The layer whose result, which has ``shape`` in the user's model, is stored in ``order``, for the same operands.

        None: the order of its result follows from those of its operands.
        """
        return None

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        """Float values of inner tensors, by the precision variable that their format has: what ``auto`` needs of them."""
        return {}

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        """Return what the layer tells apart of its operand, if little; ``beyond`` is what all readers of its result do."""
        if beyond is None or not self.traits.moves_or_pads:
            return None
        return beyond if self.traits.elementwise else beyond.anywhere()

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        """The layer that acts as this one on each of ``steps`` items along a new first axis; ``inputs`` are shapes of items.

        None: it needs a loop over the steps.
        """
        return self if self.traits.elementwise and len(inputs) == 1 else None

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        """The layer for samples that are single steps along ``axis`` of the first operand; ``shapes`` are those of all steps.

        None: it needs steps at once that are in several samples.
        """
        ranks = {len(shape) for shape in shapes}
        return StepLayer(self, axis) if self.traits.elementwise and len(ranks) == 1 else None

    @abstractmethod
    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        """The layer as core ops."""


@dataclass(frozen=True, slots=True)
class StepLayer:
    """A ``layer`` for samples that are steps along ``axis`` of its result; it is given ``past`` steps of the samples before.

    Its results are ``late`` by so many steps, and the first ones, for which there is no past, are none of the layer's.
    """

    layer: Layer
    axis: int
    past: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Layer):
    """A layer of one operand, whose result has its shape: each element comes from the operand's element at its place."""

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return single(inputs, self.kind)


@dataclass(frozen=True, slots=True, eq=False)
class Weighted(Layer):
    """A layer of products with a ``kernel``, whose last axis is the result's channels, and a ``bias`` for each, or None."""

    kernel: Floats
    bias: Floats | None

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False, multiplies=True)
    precisions: ClassVar[tuple[str, ...]] = ("weight", "bias", "accum", "result")
    trained: ClassVar[Mapping[str, str]] = {"weight": "kernel", "bias": "bias"}

    def rescaled(self, scale: Floats, offset: Floats) -> Layer:
        """The layer with ``scale`` times the result plus ``offset``, in each channel."""
        bias = offset if self.bias is None else offset + self.bias * scale
        return replace(self, kernel=as_weights(self.kernel * scale), bias=as_weights(bias))


def single(inputs: Sequence[Shape], kind: str) -> Shape:
    """The one operand's shape."""
    if len(inputs) != 1:
        raise UnsupportedError(f"{kind} with {len(inputs)} inputs", accepted="one input")
    return inputs[0]


def broadcasts(shape: Shape, target: Shape) -> bool:
    """Return True if a tensor of ``shape`` broadcasts to ``target``."""
    aligned = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size in (1, wanted) for size, wanted in aligned)


def alike_along(axis: int, shape: Shape, rank: int) -> bool:
    """Return True if a tensor of ``shape``, broadcast to ``rank`` axes, has the same values all along ``axis``."""
    own = axis - rank + len(shape)
    return own < 0 or shape[own] == 1


def shifted(bias: Floats | None, shift: Floats) -> Floats | None:
    """A bias with ``shift`` more; none stays none."""
    return None if bias is None else as_weights(bias + shift)


def as_weights(values: npt.ArrayLike) -> Floats:
    """Trained values as a read-only float64 array."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
