"""Prices of single weights and bits, as arrays in the shapes of the user's kernels, and masks of weights that are worth theirs.

For loops that prune and quantize while they train. :mod:`bitsmith.model.pricing` finds the prices.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ConfigError, InputDataError, UnsupportedError
from bitsmith.estimate.figures import Cells
from bitsmith.layers.layer import Floats
from bitsmith.model.masks import Candidates, Masks, Structure, knapsack, read_structure
from bitsmith.report.shown import Shown
from bitsmith.report.terminal import as_text, rows_table

_Numbers: TypeAlias = npt.NDArray[np.int64]

RESOURCES = ("adder_bits", "lut", "ff", "dsp")
"""Units of prices."""

_OF_CELLS = "lut", "dsp", "bram"
"""Figures of whole layers; registers between layers are of none."""

WEIGHTS = "weights"
"""The number of weights that are not zero, as a resource."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Full adders, look-up tables, flip-flops and multiplier blocks that each element takes; arrays of one shape.

    Full adders of weights sum to those of the adder graphs exactly. Look-up tables follow from them by the family's areas, and
    flip-flops are their usual share of the whole circuit's: estimates.
    """

    adder_bits: Floats
    lut: Floats
    ff: Floats
    dsp: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LayerCost:
    """Prices of a trained tensor of a dense, convolutional or recurrent layer.

    Attributes:
        weights: what each weight takes; its removal saves about that. In the shape of the kernel in the user's model.
        weight_bits: what a further bit of each weight takes, on average over the values that it may have.
        input_bits: what a further bit of each input channel takes, at all positions.
        multiplier: the number of the multiplier that serves each weight; None where products are adder graphs.
        row, column: the place of each weight in the matrix of the product; output channels are columns.
        there: whether the circuit has the weight: those that are rounded to zero take nothing.
    """

    name: str
    weights: Prices
    weight_bits: Prices
    input_bits: Prices
    multiplier: _Numbers | None
    row: _Numbers
    column: _Numbers
    there: npt.NDArray[np.bool_]

    def price(self, resource: str) -> Floats:
        """Return what each weight takes of ``adder_bits``, ``lut``, ``ff`` or ``dsp``; of ``weights`` 1, where it is not zero."""
        if resource == WEIGHTS:
            return self.there.astype(np.float64)
        if resource not in RESOURCES:
            raise ConfigError(repr(resource), where="resource", accepted=", ".join((*RESOURCES, WEIGHTS)))
        found: Floats = getattr(self.weights, resource)
        return found

    def groups(self, structure: Structure, block: tuple[int, int]) -> _Numbers:
        """The number of the group that each weight is removed with."""
        if structure is Structure.WEIGHT:
            return np.arange(self.row.size).reshape(self.row.shape)
        if structure is Structure.CHANNEL:
            return self.column
        if structure is Structure.BLOCK:
            across = -(-(int(self.column.max()) + 1) // block[1])
            return np.asarray(self.row // block[0] * across + self.column // block[1])
        if self.multiplier is None:
            raise ConfigError(
                "structure 'pattern'",
                where=f"layer {self.name!r}",
                accepted="layers with a ReuseFactor, whose multipliers serve several weights",
                remedy="give importances of such layers only, or choose 'weight', 'channel' or 'block'",
            )
        return self.multiplier


@dataclass(frozen=True, eq=False)
class Cost(Shown):
    """Prices by layer, as :func:`bitsmith.cost` finds them; it prints as a table.

    Attributes:
        layers: the prices of each layer that has some. A recurrent one has two, those for states by
            ``"name.recurrent_weight"``.
        without: why other layers with weights have none.
        cells: about what each layer of the circuit takes whole: also tables, normalizations, products of two operands.
    """

    layers: Mapping[str, LayerCost]
    without: Mapping[str, str]
    cells: Mapping[str, Cells]

    def __getitem__(self, name: str) -> LayerCost:
        """Return the prices of a layer.

        Raises:
            UnsupportedError: it has none.
        """
        if name in self.layers:
            return self.layers[name]
        known = ", ".join(map(repr, self.layers)) or "none in this model"
        reason = self.without.get(name, "no such layer, or one without weights")
        raise UnsupportedError(f"no prices: {reason}", where=f"layer {name!r}", accepted=f"layers with prices: {known}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __contains__(self, name: object) -> bool:
        return name in self.layers

    def total(self, resource: str) -> float:
        """Sum up what all weights take of a resource: ``adder_bits``, ``lut``, ``ff``, ``dsp``, or ``weights``, their number."""
        return sum(float(each.price(resource).sum()) for each in self.layers.values())

    def whole(self, name: str, resource: str = "lut") -> float:
        """Estimate what a layer takes, or all layers of a pattern: about what the removal of it saves.

        Args:
            name: of a layer, or a pattern: ``block.self_attn*`` is also ``block.self_attn_softmax``.
            resource: ``lut``, ``dsp`` or ``bram``.

        Raises:
            UnsupportedError: no layer has that name.
        """
        known = [layer for layer in self.cells if layer == name or fnmatchcase(layer, name)]
        if not known:
            raise UnsupportedError(f"no layer of {name!r}", where="cost", accepted=", ".join(map(repr, self.cells)))
        if resource not in _OF_CELLS:
            raise ConfigError(repr(resource), where="resource", accepted=", ".join(_OF_CELLS))
        return sum(float(getattr(self.cells[layer], resource)) for layer in known)

    def masks(
        self,
        importance: Mapping[str, npt.ArrayLike],
        budget: Mapping[str, float],
        structure: str = "weight",
        block: tuple[int, int] = (4, 4),
    ) -> Masks:
        """Choose the weights that stay, such that their prices are within a budget.

        The most important ones for their price are taken first, each price as a share of its budget.

        Args:
            importance: of each weight, by layer, in the shape of its kernel: 0 or more. Other layers stay as they are.
            budget: what the weights of these layers may take, by resource: ``{"lut": 2000}``. Up to 1 it is a share of what they
                take now: ``{"lut": 0.8, "dsp": 0.5}``. ``weights`` is their number.
            structure: what goes together: ``weight`` (or ``unstructured``), ``channel`` (all weights of an output channel, or
                ``structured``), ``block`` (of the kernel's matrix), or ``pattern`` (weights that share a multiplier).
            block: rows and columns of a block.

        Returns:
            By layer an array in the shape of the kernel, True where a weight stays. Weights that are zero in the circuit are
            False, unless others of their group stay: multiply by the mask after each step, and no weight comes back.

        Raises:
            ConfigError: no such structure or resource, or a budget that is not positive.
            InputDataError: importances of another shape, or that are negative or not finite.
            UnsupportedError: a layer without prices.
        """
        chosen, resources = read_structure(structure), list(budget)
        if min(block) < 1 or not importance:
            raise ConfigError(
                f"block {block} for {len(importance)} layers", where="masks", accepted="1 or more of each"
            )
        layers = {name: self[name] for name in importance}
        candidates = {
            name: Candidates(
                np.unique(layer.groups(chosen, block), return_inverse=True)[1].reshape(layer.row.shape),
                _importance(importance[name], layer),
                [layer.price(resource) for resource in resources],
                layer.there,
            )
            for name, layer in layers.items()
        }
        limits = []
        for place, (resource, most) in enumerate(budget.items()):
            if not most > 0:
                raise ConfigError(f"{most}", where=f"budget of {resource!r}", accepted="a positive number")
            now = sum(float(each.prices[place].sum()) for each in candidates.values())
            limits.append(most * now if most <= 1 else most)
        return knapsack(candidates, limits)

    def __str__(self) -> str:
        rows = [
            (name, f"{int(each.there.sum()):,}", *(f"{each.price(key).sum():,.0f}" for key in RESOURCES))
            for name, each in self.layers.items()
        ]
        columns = ("Layer", "Weights", "Adder bits", "LUT", "FF", "DSP")
        rows += [
            (name, "", "", f"{each.lut:,.0f}", "", f"{each.dsp:,.0f}")
            for name, each in self.cells.items()
            if name and name not in self.layers and each.lut + each.dsp >= 1
        ]
        told = [f"{name!r} has no prices: {reason}" for name, reason in self.without.items()]
        return "\n".join([as_text(rows_table("What weights take (estimate)", columns, rows)), *told])


def _importance(given: npt.ArrayLike, layer: LayerCost) -> Floats:
    values = np.asarray(given)
    where = f"importance of layer {layer.name!r}"
    if values.shape != layer.row.shape or values.dtype.kind not in "fiub":
        accepted = f"numbers of shape {layer.row.shape}"
        raise InputDataError(f"{values.dtype} of shape {values.shape}", where=where, accepted=accepted)
    if not bool(np.all(np.isfinite(values) & (values >= 0))):
        raise InputDataError("negative numbers, or such that are not finite", where=where, accepted="0 or more")
    return values.astype(np.float64)
