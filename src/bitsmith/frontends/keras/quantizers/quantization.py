"""Quantizers of QKeras: as layers, and what they make of trained tensors.

A quantizer adds ``quantized(x) - x`` to ``x`` in single precision, so that where these are far apart what it gives is a rounding
error away from its grid. Here it gives the grid's own numbers. The random ones are as they are outside of training.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.quantizers import scales
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Retrained, as_floats

MOST_EXPONENTS = 64
"""Most exponents of one sign that powers of two have which are computed."""


@dataclass(frozen=True, slots=True)
class Quantization(ABC):
    """A quantizer, with the name of its class."""

    name: str

    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """Layers applied to an activation, one after the other.

        Raises:
            UnsupportedError: one whose scale depends on the activation's values.
        """

    @abstractmethod
    def on_grid(self, values: Floats) -> tuple[Floats, Quantizer]:
        """A trained tensor, laid out as Keras has it, on its grid, and the grid."""


@dataclass(frozen=True, slots=True)
class Fixed(Quantization):
    """A quantizer that does not depend on what it quantizes. Its grid is that of the ``scale``, if that is given."""

    steps: tuple[Layer, ...]
    scale: Floats | None = None

    def layers(self) -> tuple[Layer, ...]:
        return self.steps

    def on_grid(self, values: Floats) -> tuple[Floats, Quantizer]:
        _check_tensor(values.shape)
        for layer in self.steps:
            layer.output_shape([values.shape])
            values = layer.reference([values])
        levels = self._levels()
        if self.scale is None:
            return values, Quantizer.holding(np.concatenate([values.ravel(), levels.ravel()]))
        codes = np.rint(values / self.scale)
        ends = np.concatenate([codes.ravel(), np.rint(levels / self.scale[..., None]).ravel()])
        grid = Quantizer.uniform(self.scale, int(ends.min()), int(ends.max()))
        own = self.steps[0].quantizer if len(self.steps) == 1 and isinstance(self.steps[0], Quantize) else None
        if own is not None and own.keeps_scale and not bool(np.any(own.offset != 0)):
            grid = replace(grid, rounding=own.rounding, retrained=Retrained.QUANTIZED)
        return as_weights(codes * self.scale), grid

    def _levels(self) -> Floats:
        """Return the least and greatest numbers that it gives, at least, along the last axis."""
        match self.steps[-1]:
            case Quantize(quantizer=quantizer):
                ends = [as_floats(end) for end in quantizer.bounds]
                return np.stack(np.broadcast_arrays(*ends, as_floats(quantizer.step))[:2], axis=-1)
            case Staircase(levels=levels) | Lookup(values=levels):
                return levels
            case _:
                return as_weights(np.zeros(1))


@dataclass(frozen=True, slots=True)
class OfTrained(Fixed):
    """A quantizer of so many exponents that only those are looked at that the numbers of a trained tensor have."""

    def _levels(self) -> Floats:
        return as_weights(np.zeros(1))

    def layers(self) -> tuple[Layer, ...]:
        raise UnsupportedError(
            f"{self.name} of activations with exponents beyond {MOST_EXPONENTS}",
            accepted=f"at most {MOST_EXPONENTS}, or trained tensors",
            remedy="give it fewer bits, or a max_value of at most 1",
        )


@dataclass(frozen=True, slots=True)
class FromData(Quantization):
    """A quantizer that takes its scale from the tensor; its codes are those from ``lo`` to ``hi``."""

    rule: scales.Rule
    lo: int
    hi: int

    def layers(self) -> tuple[Layer, ...]:
        raise UnsupportedError(
            f"{self.name} with a scale that depends on the values of each batch (alpha auto or auto_po2)",
            accepted="a number as alpha, or trained tensors",
            remedy="train the activation with alpha=1",
        )

    def on_grid(self, values: Floats) -> tuple[Floats, Quantizer]:
        _check_tensor(values.shape)
        with np.errstate(all="ignore"):
            codes, scale = self.rule(values.astype(np.float32))
        # A channel of zeros may have no scale at all.
        known = np.where(np.isfinite(scale) & (scale != 0.0), scale, 1.0).astype(np.float64)
        codes = np.where(np.isfinite(codes) & np.isfinite(scale), codes, 0.0).astype(np.float64)
        return as_weights(codes * known), Quantizer.uniform(known, self.lo, self.hi)


def _check_tensor(shape: Shape) -> None:
    if not shape or min(shape) < 1:
        raise UnsupportedError(f"a quantizer of a tensor of shape {shape}", accepted="tensors with elements")
