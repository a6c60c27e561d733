"""Sizes in a PyTorch program, which may grow with the number of samples, and tensors viewed under other sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ANY_SAMPLES, Batch, Value, through_reshape
from bitsmith.layers.layer import Shape


@dataclass(frozen=True, slots=True)
class Size:
    """A number of elements, times the number of samples if ``batched``; -1 is what is left."""

    count: int
    batched: bool = False


def reshaped(value: Value, sizes: Sequence[Size], samples: int | None) -> tuple[Shape, Batch | None]:
    """The axes, and the place of the batch, when ``value`` is viewed as ``sizes`` (one may be -1).

    ``samples`` is the number of samples that the program is fixed to; None if it is left open.

    Raises:
        UnsupportedError: samples would be mixed, or the elements do not fit.
    """
    counts = ANY_SAMPLES if samples is None else (samples,)
    after = [_filled([size.count * (n if size.batched else 1) for size in sizes], value.sizes(n)) for n in counts]
    return through_reshape(value, after, counts)


def _filled(counts: Sequence[int], before: Shape) -> Shape:
    """``counts`` with the size that -1 stands for."""
    total, known = math.prod(before), math.prod(count for count in counts if count != -1)
    wild = list(counts).count(-1)
    if wild > 1 or known < 0 or (wild and (known == 0 or total % known)):
        raise UnsupportedError(f"{total} elements viewed as {tuple(counts)}")
    return tuple(total // known if count == -1 else count for count in counts)
