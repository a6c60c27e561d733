"""Weights that users give to layers whose weights can be loaded: checked, and as raw values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitsmith.errors import InputDataError
from bitsmith.ir.program import Node
from bitsmith.ir.types import FixedFormat, Ints, width_of
from bitsmith.layers.auto import to_raw
from bitsmith.layers.layer import Floats, as_weights


def as_given(values: npt.ArrayLike, shape: tuple[int, ...], where: str) -> Floats:
    """A user's weights.

    Raises:
        InputDataError: they are not finite numbers of that shape.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.shape != shape or not bool(np.all(np.isfinite(array))):
        raise InputDataError(
            f"weights of {array.dtype} and shape {array.shape}",
            where=where,
            accepted=f"finite numbers of shape {shape}",
        )
    return as_weights(array)


def raw_values(values: Floats, node: Node, where: str) -> Ints:
    """The raw values that weights are in the format of the parameter ``node``.

    Raises:
        InputDataError: they are beyond it.
    """
    span = node.type.span
    rounded = np.rint(np.ldexp(values, span.frac))
    if bool(np.any((rounded < float(span.lo)) | (rounded > float(span.hi)))):
        raise InputDataError(
            f"weights from {values.min():g} to {values.max():g}",
            where=where,
            accepted=f"{float(span.least):g} to {float(span.greatest):g}, the range of the format",
            remedy="give the layer's weight or bias a wider precision",
        )
    return to_raw(values, FixedFormat(span.lo < 0, width_of(span.lo, span.hi), span.frac))
