"""Shapes, names and ranges of inputs, or example inputs, that users give beside a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import BitsmithError, ConfigError
from bitsmith.layers.layer import Shape

if TYPE_CHECKING:
    import torch

InputShapes: TypeAlias = "int | Sequence[int] | Sequence[Sequence[int]]"
"""The shape of a sample of the input, or of each input, without the batch axis; or with it, as None or -1; 16 is (16,)."""

NamedInputs: TypeAlias = "Sequence[str] | Mapping[str, tuple[float, float]]"
"""Names of a formula's inputs in their order, perhaps with the least and the greatest number of each."""

Example: TypeAlias = "torch.Tensor | npt.NDArray[np.generic]"
"""One input for a few samples."""


def sample_shapes(shapes: InputShapes | None, *, examples: bool) -> tuple[Shape, ...]:
    """The shape of one sample of each input; ``examples`` would do instead, or not.

    Raises:
        ConfigError: none, or something else.
    """
    accepted, remedy = (
        "input_shape=(3, 32, 32), that of one sample, or a list of several",
        "leave the axis of samples out",
    )
    if examples:
        accepted, remedy = (
            f"{accepted}; or example=x",
            "give input_shape, or example inputs whose first axis counts samples",
        )
    shapes = (shapes,) if isinstance(shapes, int) else shapes
    several = shapes is not None and len(shapes) > 0 and not isinstance(shapes[0], int | None)
    listed = list(shapes or ()) if several else [shapes or ()]
    whole: list[Shape] = []
    for shape in listed:
        sizes = list(shape) if isinstance(shape, Sequence) else []
        sizes = sizes[1:] if sizes and sizes[0] in (None, -1) else sizes
        if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ConfigError(
                f"the input shape {shape!r}" if shapes is not None else "a PyTorch module says nothing of its inputs",
                accepted=accepted,
                remedy=remedy,
            )
        whole.append(tuple(sizes))
    return tuple(whole)


def filled_sizes(
    inputs: Sequence[tuple[str, Sequence[object]]],
    shapes: InputShapes,
    where: str,
    wrong: type[BitsmithError] = ConfigError,
) -> tuple[Shape, ...]:
    """The shape of one sample of each input of a model that may leave sizes open, from the names and sizes of its inputs.

    Their first axis is that of the samples; open sizes are None.

    Raises:
        BitsmithError: ``wrong``, of shapes that are not those of the model's inputs.
    """
    samples = sample_shapes(shapes, examples=False)
    for (name, sizes), shape in zip(inputs, samples, strict=False):
        own = sizes[1:]
        if len(own) != len(shape) or any(size not in (None, wanted) for size, wanted in zip(own, shape, strict=True)):
            raise wrong(
                f"the input shape {shape} for the input {name[:100]!r} of sizes {tuple(sizes)}",
                where=where,
                accepted="the shape of one sample, without the first axis, with the sizes that the model fixes",
            )
    if len(samples) != len(inputs):
        raise wrong(f"{len(samples)} input shapes for {len(inputs)} inputs", where=where, accepted="one for each")
    return samples
