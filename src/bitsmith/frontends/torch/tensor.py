"""Tensors of a PyTorch program as we follow them: which axis is the batch, and what one sample has of it.

An axis may be the batch merged with others, as in ``view(batch * heads, ...)``: then a sample has ``outer * inner`` elements
along it, ``outer`` of them counted slower than the samples and ``inner`` faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitsmith.errors import UnsupportedError
from bitsmith.layers.layer import Floats, Shape


@dataclass(frozen=True, slots=True)
class Batch:
    """Where the samples are: along ``axis``, perhaps merged with others."""

    axis: int
    outer: int = 1
    inner: int = 1

    @property
    def merged(self) -> int:
        """Elements that one sample has along the axis."""
        return self.outer * self.inner

    def at(self, axis: int) -> Batch:
        """The same along another axis."""
        return replace(self, axis=axis)


@dataclass(frozen=True, slots=True)
class Size:
    """A number of elements, times the number of samples if ``batched``."""

    count: int
    batched: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of torch: ``value`` is a node's number, or what a constant holds; ``shape`` is that of one sample.

    Without ``batch`` it is the same for all samples. ``label`` is a constant's name. Where ``hidden`` is 0, an element is minus
    infinity, whatever ``value`` says; only softmax takes such a tensor.
    """

    value: int | Floats
    shape: Shape
    batch: Batch | None = None
    label: str = ""
    hidden: Floats | None = None

    @property
    def dims(self) -> Shape:
        """torch's axes; that of the batch has the number of elements that belong to one sample."""
        if self.batch is None or self.batch.merged > 1:
            return self.shape
        return (*self.shape[: self.batch.axis], 1, *self.shape[self.batch.axis :])

    @property
    def rank(self) -> int:
        """Number of axes that torch sees."""
        return len(self.dims)

    @property
    def constant(self) -> Floats | None:
        """The values of a constant."""
        return None if isinstance(self.value, int) else self.value

    def counted(self, dim: int, *, new: bool = False) -> int:
        """The axis ``dim``, which may be negative, from 0 on; ``new`` if it is one of the result's that is not there yet."""
        rank = self.rank + new
        if not -max(rank, 1) <= dim < max(rank, 1):
            raise UnsupportedError(f"axis {dim} of a tensor of {self.rank} axes")
        return dim % max(rank, 1)

    def axis(self, dim: int) -> int:
        """torch's axis ``dim`` as one of :attr:`shape`.

        Raises:
            UnsupportedError: the batch axis.
        """
        counted = self.counted(dim)
        if self.rank == 0:
            raise UnsupportedError(f"axis {dim} of a single number", accepted="tensors with axes")
        if self.batch is None:
            return counted
        if counted == self.batch.axis:
            raise UnsupportedError(
                "it works along the batch axis, which would mix samples",
                accepted="axes within a sample",
                remedy="the batch is the first axis of an input, or an export's only dynamic one",
            )
        return counted - int(self.batch.merged == 1 and counted > self.batch.axis)

    def sample_axes(self) -> tuple[int | None, ...]:
        """For each axis of torch the one of :attr:`shape`; None for the batch axis, unless others are merged with it."""
        if self.batch is None or self.batch.merged > 1:
            return tuple(range(self.rank))
        return tuple(None if dim == self.batch.axis else dim - int(dim > self.batch.axis) for dim in range(self.rank))

    def plain(self, axis: int = 0) -> Tensor:
        """This tensor, if its batch is all of the axis ``axis``."""
        if self.batch != Batch(axis):
            raise self._misplaced(axis)
        return self

    @property
    def item(self) -> Shape:
        """The shape behind the first axis, which has the batch and perhaps more."""
        if self.batch is None or self.batch.axis != 0:
            raise self._misplaced(0)
        return self.shape if self.batch.merged == 1 else self.shape[1:]

    def _misplaced(self, axis: int) -> UnsupportedError:
        where = "no axis" if self.batch is None else f"axis {self.batch.axis}"
        merged = ", merged with others" if self.batch is not None and self.batch.merged > 1 else ""
        return UnsupportedError(
            f"an operand whose batch is {where}{merged}",
            accepted=f"the batch as axis {axis}",
            remedy="transpose or reshape the operand before",
        )


def sample_shape(dims: Shape, batch: Batch | None) -> Shape:
    """What one sample has of a tensor of ``dims``."""
    if batch is None or batch.merged > 1:
        return dims
    return (*dims[: batch.axis], *dims[batch.axis + 1 :])


def reshaped(tensor: Tensor, sizes: Sequence[Size], samples: int | None) -> tuple[Shape, Batch | None]:
    """The axes, and the place of the batch, when ``tensor`` is viewed as ``sizes`` (one may be -1).

    ``samples`` is the number of samples that the program is fixed to; None if it is left open.

    Raises:
        UnsupportedError: samples would be mixed, or the elements do not fit.
    """
    total = math.prod(tensor.dims)
    counts = [size.count for size in sizes]
    if tensor.batch is None:
        return _filled(counts, total, sizes), None
    before = math.prod(tensor.dims[: tensor.batch.axis]) * tensor.batch.outer
    if samples is None:
        places = [axis for axis, size in enumerate(sizes) if size.batched] or [
            axis for axis, size in enumerate(sizes) if size.count == -1
        ]
        counts = list(_filled(counts, total, sizes))
    else:
        counts = list(_filled(counts, total * samples, sizes))
        places = [axis for axis, count in enumerate(counts) if count % samples == 0]
    found: list[tuple[int, Batch]] = []
    for axis in places:
        merged = counts[axis] // (samples or 1)
        outer, left = divmod(before, math.prod(counts[:axis]))
        if left == 0 and outer >= 1 and merged % outer == 0:
            found.append((axis, Batch(axis, outer, merged // outer)))
    if found:
        # A batch of one may be taken for any axis: best one that holds nothing else, and not the channels.
        axis, batch = min(
            found, key=lambda one: (one[1].merged > 1, one[0] == len(counts) - 1, one[1].outer > 1, one[0])
        )
        counts[axis] = batch.merged
        return tuple(counts), batch
    raise UnsupportedError(
        f"a tensor of axes {tensor.dims} viewed as {tuple(size.count for size in sizes)}, which mixes samples",
        accepted="shapes that keep the batch axis",
        remedy="view(x.shape[0], -1) or flatten(1)",
    )


def _filled(counts: Sequence[int], total: int, sizes: Sequence[Size]) -> Shape:
    """``counts`` with the size that -1 stands for."""
    known = math.prod(count for count in counts if count != -1)
    wild = list(counts).count(-1)
    if wild > 1 or known < 0 or (wild and (known == 0 or total % known)) or (not wild and known != total):
        raise UnsupportedError(f"{total} elements viewed as {tuple(size.count for size in sizes)}")
    return tuple(total // known if count == -1 else count for count in counts)
