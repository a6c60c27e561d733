"""Minus infinity: constants that hold it say which elements a softmax leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.layers.layer import Floats, as_weights, broadcasts

_MASKED = -1e30
"""What is less than this is as good as minus infinity; nothing but masks holds it."""


def hidden(values: Floats) -> npt.NDArray[np.bool_]:
    """True where an element is minus infinity, or as good as that."""
    return np.asarray(np.less(values, _MASKED), dtype=np.bool_)


def hides(x: Value, *, everywhere: bool = False) -> bool:
    """Return True if ``x`` is a constant that is minus infinity somewhere, or ``everywhere``."""
    values = x.constant
    return values is not None and values.size > 0 and bool((np.all if everywhere else np.any)(hidden(values)))


def hiding(build: Builder, x: Value, kept: Value) -> Value:
    """``x`` that counts as minus infinity where the constant ``kept`` is 0."""
    _, aligned = build.aligned(x, kept)
    mask = aligned.constant
    if mask is None:
        raise UnsupportedError("a mask that is computed from the inputs", accepted="constant masks")
    if not broadcasts(mask.shape, x.shape):
        raise UnsupportedError("a mask of more axes than the tensor", accepted="masks that broadcast to it")
    if x.constant is not None:
        return replace(x, node=as_weights(np.where(np.broadcast_to(mask, x.shape) != 0.0, x.constant, -np.inf)))
    return replace(x, mask=mask if x.mask is None else as_weights(mask * x.mask))


def masked_sum(build: Builder, x: Value, mask: Value, add: Callable[[Builder, Value, Value], Value]) -> Value:
    """``x`` plus the constant ``mask``, which is minus infinity in places."""
    values = mask.constant
    assert values is not None
    gone = hidden(values)
    rest = replace(mask, node=as_weights(np.where(gone, 0.0, values)))
    total = add(build, replace(x, mask=None), rest) if bool(np.any(values[~gone] != 0.0)) else x
    return hiding(build, replace(total, mask=x.mask), replace(mask, node=as_weights(~gone)))
