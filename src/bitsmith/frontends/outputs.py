"""Outputs of a model as its own framework computes them: what the readers of all frameworks share.

Frameworks are imported only to run a live model of theirs, or a file where the user insists. Nothing that a file brings is
executed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from bitsmith.layers.layer import Floats

if TYPE_CHECKING:
    import torch

    from bitsmith.frontends.custom.call import Layers

Numbers: TypeAlias = npt.NDArray[np.generic]
Run: TypeAlias = Callable[[Sequence[Numbers]], object]
"""A model, from its inputs to whatever holds its outputs."""

HALVES = ("float16", "bfloat16")
"""Names of the types of half precision."""


class NotComparedError(Exception):
    """Reason why a framework's outputs cannot be computed."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelRun:
    """A run of a model by its own framework that is asked for.

    ``layers`` are the user's translations, which may say what computes an operator. The user may ``insist`` on the run of a file.
    """

    model: object
    inputs: Sequence[Numbers]
    layers: Layers | None
    insist: bool

    @property
    def is_left_out(self) -> bool:
        """True of a file, unless the user insists."""
        return isinstance(self.model, str | os.PathLike) and not self.insist


@dataclass(frozen=True, slots=True)
class FrameworkRun:
    """Outputs of ``framework``, which computes in half precision or on an accelerator, or not."""

    framework: str
    outputs: tuple[Floats, ...]
    half: bool = False
    accelerated: bool = False


def flat(result: object) -> tuple[Floats, ...]:
    """The arrays in what a model returned.

    Raises:
        NotComparedError: outputs that have no order.
    """
    if isinstance(result, Mapping):
        if len(result) > 1:
            raise NotComparedError("its outputs have names instead of an order")
        return flat(next(iter(result.values())))
    if isinstance(result, tuple) and hasattr(result, "zero_point"):  # of Brevitas, a tensor and its grid
        return flat(result[0])
    if isinstance(result, list | tuple):
        return tuple(array for item in result for array in flat(item))
    tensor = cast("torch.Tensor", result)
    if hasattr(tensor, "detach"):
        return (tensor.detach().double().cpu().numpy(),)
    return (np.asarray(result).astype(np.float64),)


def in_parts(run: Run, inputs: Sequence[Numbers], size: int) -> tuple[Floats, ...]:
    """Outputs of a model that takes ``size`` samples at once; samples that fill no part are repeated ones.

    Raises:
        NotComparedError: the samples of its results are not along the first axis.
    """
    total = len(inputs[0])

    def part(start: int) -> tuple[Floats, ...]:
        return flat(run([x[np.arange(start, start + size) % total] for x in inputs]))

    parts = [part(start) for start in range(0, total, size)]
    for first, next_first in zip(parts[0], part(1), strict=True):
        if first.shape[:1] != (size,) or not np.allclose(first[1:], next_first[:-1], 1e-3, 1e-6, equal_nan=True):
            raise NotComparedError("the samples of its results are not along the first axis")
    return tuple(np.concatenate(columns)[:total] for columns in zip(*parts, strict=True))
