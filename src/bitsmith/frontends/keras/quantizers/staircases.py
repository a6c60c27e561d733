"""Functions that are constant between steps, as the staircases that they are in single precision."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.quantizers.scales import Singles
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Staircase

Function: TypeAlias = Callable[[Singles], Singles]
"""A function of one number in single precision; where arrays have several axes, the last one counts numbers."""

MOST_STEPS = 4096

_MAGNITUDE = np.int64(0x7FFFFFFF)
_GREATEST = float(np.float32(2.0**96))
"""Beyond all numbers of a network, and far from where single precision overflows."""


def _ordinals(values: Sequence[float]) -> npt.NDArray[np.int64]:
    """The numbers of single precision as consecutive integers."""
    raw = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(raw < 0, -(raw & _MAGNITUDE), raw)


def _singles(ordinals: npt.NDArray[np.int64]) -> Singles:
    """Numbers of single precision by their places in rising order, from 0 at place 0."""
    magnitude = np.abs(ordinals).astype(np.int32).view(np.float32)
    return np.where(ordinals < 0, -magnitude, magnitude)


def staircase(function: Function, cuts: Sequence[float]) -> Staircase:
    """The ``function``, which rises or falls between the ``cuts``, in rising order.

    Its steps are found by bisection, over all numbers of single precision.

    Raises:
        UnsupportedError: too many steps.
    """
    at = np.unique(_ordinals([-_GREATEST, *cuts, _GREATEST]))
    ends = np.unique(np.concatenate([at, at[1:] - 1, at[:-1] + 1]))
    with np.errstate(all="ignore"):
        before, after = ends[:-1], ends[1:]
        steps = []
        while before.size:
            differs = function(_singles(before)) != function(_singles(after))
            before, after = before[differs], after[differs]
            near = after - before == 1
            steps.append(after[near])
            before, after = before[~near], after[~near]
            if before.size > MOST_STEPS:
                break
            middle = (before + after) // 2
            before, after = np.concatenate([before, middle]), np.concatenate([middle, after])
        thresholds = np.sort(np.concatenate(steps))
        if before.size or thresholds.size > MOST_STEPS:
            raise UnsupportedError("a function of too many steps", accepted=f"at most {MOST_STEPS}: fewer bits")
        levels = function(_singles(np.concatenate([at[:1], thresholds])))
    return Staircase(as_weights(_singles(thresholds)), as_weights(levels))
