"""Arrays that repeat along a tensor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import compact, objects


def suffix(shape: tuple[int, ...], of: tuple[int, ...]) -> bool:
    """Return True if a tensor of ``shape`` broadcasts to shape ``of`` by repeating itself in row-major order."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return not shape or of[-len(shape) :] == shape


def repeated(
    values: npt.NDArray[np.object_] | npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.object_]:
    """The smallest array that repeats along a tensor of ``shape`` as broadcasting ``values`` to it would."""
    small = objects(compact(objects(values)))
    return small if suffix(small.shape, shape) else objects(np.broadcast_to(small, shape).astype(np.object_))
