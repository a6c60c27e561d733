"""Normalizations: by trained statistics, and by those of each sample over axes, within groups of channels or around a channel.

Axes are the model's; scales (gamma) and offsets (beta) are constants.
"""

import math
import string
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, checked_elements, constant, real
from bitsmith.frontends.ops.arithmetic import clip, multiply, share
from bitsmith.frontends.ops.contraction import contracted
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Power
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization

_LEAST = 1e-12
"""A norm that is nothing beside the least step of fixed-point numbers."""


class Parameters(NamedTuple):
    """Factor of the normalized elements, their offset, and the number added to a variance."""

    gamma: Floats
    beta: Floats
    epsilon: float


def batch(build: Builder, x: Value, dim: int, mean: Floats, variance: Floats, parameters: Parameters) -> Value:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` with trained numbers for each index of an axis.

    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, algorithm 2.
    """
    axis = x.axis(dim)
    shapes = [values.shape for values in (mean, variance, parameters.gamma, parameters.beta)]
    if set(shapes) != {(x.shape[axis],)}:
        raise UnsupportedError(f"parameters of shapes {shapes}", accepted=f"one number for each of {x.shape[axis]}")
    return build.emit(BatchNormalization(*normalizing(mean, variance, parameters), axis), x)


def normalizing(mean: Floats, variance: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
    """The scale and the offset of a normalization by these statistics."""
    gamma, beta, epsilon = parameters
    if not bool(np.all(variance + epsilon > 0.0)):
        raise UnsupportedError("a variance plus epsilon that is not positive", accepted="positive ones")
    scale = gamma / np.sqrt(variance + epsilon)
    return as_weights(scale), as_weights(beta - mean * scale)


def over_axes(build: Builder, x: Value, dims: Sequence[int], parameters: Parameters, *, centered: bool = True) -> Value:
    """Layer normalization over ``dims``; without ``centered`` the mean is not subtracted, and beta does not count."""
    axes, beta = tuple(x.axis(dim) for dim in dims), parameters.beta if centered else as_weights(0.0)
    return build.emit(LayerNormalization(axes, parameters.gamma, beta, _checked(parameters.epsilon), centered), real(x))


def root_mean_square(build: Builder, x: Value, dims: Sequence[int], gamma: Floats, epsilon: float) -> Value:
    """``x / sqrt(mean(x**2) + epsilon) * gamma``, the mean over ``dims``."""
    return build.emit(RMSNormalization(tuple(x.axis(dim) for dim in dims), gamma, _checked(epsilon)), real(x))


def groups(build: Builder, x: Value, number: int, dim: int, parameters: Parameters) -> Value:
    """Layer normalization within each of ``number`` equal groups along an axis; the samples are along the first one."""
    axis = x.axis(dim) - (len(x.shape) - len(x.item))
    layer = GroupNormalization(number, axis, parameters.gamma, parameters.beta, _checked(parameters.epsilon))
    return build.each(layer, real(x))


def unit(build: Builder, x: Value, dims: Sequence[int], order: int = 2, epsilon: float = _LEAST) -> Value:
    """``x`` over its norm along ``dims``, which counts as at least epsilon."""
    if order == 1:
        total = REDUCERS["l1"].of(build.within("norm"), real(x), dims, keepdims=True)
        return share(build, x, clip(build.within("bounded_norm"), total, epsilon) if epsilon > _LEAST else total)
    if order != 2:
        raise UnsupportedError(f"vectors of length 1 in the norm {order}", accepted="order 1, order 2")
    return build.emit(UnitNormalization(tuple(x.axis(dim) for dim in dims), _checked(epsilon)), real(x))


def around(build: Builder, x: Value, dim: int, size: int, alpha: float, beta: float, bias: float) -> Value:
    """``x / (bias + alpha / size * s) ** beta``, where ``s`` sums the squares of ``size`` neighbors along an axis.

    A. Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012, section 3.3.
    """
    if size < 1 or alpha < 0.0 or bias <= 0.0 or x.rank > len(string.ascii_lowercase):
        raise UnsupportedError(f"a sum over {size} channels, alpha {alpha:g}, bias {bias:g}", accepted="positive ones")
    places = np.arange(x.shape[x.axis(dim)])
    checked_elements((len(places), len(places)))
    far = places[:, None] - places
    near = constant(as_weights((far >= -((size - 1) // 2)) & (far <= size // 2)))
    term = string.ascii_lowercase[: x.rank]
    label = term[x.counted(dim)]
    squares = build.emit(Power(2.0), x, suffix="squares")
    sums = contracted(build.within("sums"), (term, f"{label}Z"), term.replace(label, "Z"), (squares, near))
    spread = build.affine(sums, constant(alpha / size), constant(bias), "spread")
    return multiply(build, x, build.emit(Power(-beta), spread, suffix="scale"))


def _checked(epsilon: float) -> float:
    if not 0.0 <= epsilon < math.inf:
        raise UnsupportedError(f"epsilon is {epsilon:g}", accepted="a number from 0 up")
    return epsilon
