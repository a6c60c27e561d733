"""Convolutions over one to three spatial axes, channels last; what is padded is zeros."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import window_positions
from bitsmith.ir.types import MAX_ELEMENTS, Fracs, Ints
from bitsmith.layers.auto import product_scales
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Products, Shape, StepLayer, Weighted, as_weights, shifted, single
from bitsmith.layers.lowering import Lowering

_AT_ONCE = 1 << 15
"""Numbers of a result that are computed at a time where channels do not mix."""

_BLOCK_CHANNELS = 16
"""Input channels up to which groups are computed together: more emulate slower, fewer are more ops."""

Axes: TypeAlias = tuple[int, ...]
"""A number for each spatial axis."""

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class _Convolution(Weighted):
    """A layer with a kernel (*size, in // groups, out), and a bias (out,) or None.

    Input channels and output channels are in ``groups`` blocks, each computed from its own.
    """

    strides: Axes
    dilation: Axes

    options: ClassVar[frozenset[str]] = frozenset({"weights"})

    @property
    @abstractmethod
    def groups(self) -> int:
        """Blocks of channels."""

    @property
    def size(self) -> Axes:
        """Taps along each axis."""
        return self.kernel.shape[:-2]

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        return {"weight": _kernel_scales(operand, result, self.kernel, self.groups), "bias": result}

    def _places(self, positions: Axes) -> Iterator[tuple[Axes, tuple[slice, ...]]]:
        """Return for each tap the places, of batches, that it is at for so many windows along each axis."""
        for tap in np.ndindex(*self.size):
            axes = zip(tap, self.dilation, self.strides, positions, strict=True)
            places = (slice(t * step, t * step + (n - 1) * stride + 1, stride) for t, step, stride, n in axes)
            yield tap, (slice(None), *places)


@dataclass(frozen=True, slots=True, eq=False)
class Conv(_Convolution):
    """``y[p] = sum over taps t of x[p * strides + t * dilation - before] @ kernel[t] + bias``.

    The kernel is (*size, in // groups, out), the bias (out,) or None. ``padding`` has the zeros (before, after) of each
    axis. Input channels and output channels are in ``groups`` blocks, each computed from its own.
    """

    padding: tuple[tuple[int, int], ...]
    groups: int = 1

    options: ClassVar[frozenset[str]] = _Convolution.options | {"digit_price"}
    priced: ClassVar[Mapping[str, bool]] = {"weight": False}

    @property
    def kind(self) -> str:
        depthwise = self.groups > 1 and self.kernel.shape[-2] == 1
        return f"{'Depthwise' if depthwise else ''}Conv{len(self.size)}D"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        _check_channels(shape, self.kernel, self.groups)
        padded = [n + sum(padding) for n, padding in zip(shape[:-1], self.padding, strict=True)]
        if math.prod(padded) * shape[-1] > MAX_ELEMENTS:
            raise UnsupportedError(f"an input that is padded to {padded}", accepted=f"{MAX_ELEMENTS} elements at most")
        positions = tuple(map(window_positions, shape[:-1], self.size, self.strides, self.dilation, self.padding))
        if min(positions) < 1:
            raise UnsupportedError(
                f"a kernel of {self.size} taps, dilated by {self.dilation}, on an input of shape {shape}",
                accepted="kernels no larger than the padded input",
            )
        return (*positions, self.kernel.shape[-1])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x, result = self._padded(inputs[0]), np.empty((len(inputs[0]), *self.output_shape([inputs[0].shape[1:]])))
        # Where channels do not mix, some rows at a time, which stay in a processor's cache from tap to tap.
        apart = self.groups > 1 == self.kernel.shape[-2]
        step = max(_AT_ONCE // max(result[:, 0].size, 1), 1) if apart else result.shape[1]
        for start in range(0, result.shape[1], step):
            rows, part = x[:, start * self.strides[0] :], result[:, start : start + step]
            (tap, places), *others = self._places(part.shape[1:-1])
            _mix(rows[places], self.kernel[tap], self.groups, part)
            product = np.empty_like(part) if others else part
            for tap, places in others:
                _mix(rows[places], self.kernel[tap], self.groups, product)
                part += product
        if self.bias is not None:
            result += self.bias
        return result

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        padding = list(self.padding)
        if axis >= len(padding) or padding[axis][1] or self.strides[axis] != 1:
            return None
        before, padding[axis] = padding[axis][0], (0, 0)
        reach = (self.size[axis] - 1) * self.dilation[axis]
        return StepLayer(replace(self, padding=tuple(padding)), axis, max(before, reach), max(reach - before, 0))

    def _padded(self, operand: Floats) -> Floats:
        return np.pad(operand, ((0, 0), *self.padding, (0, 0))) if any(map(any, self.padding)) else operand

    def trained_products(self, variable: str, operands: Sequence[Floats]) -> Products | None:
        x, positions = self._padded(operands[0]), self.output_shape([operands[0].shape[1:]])[:-1]
        parts = [x[places].reshape(-1, self.groups, self.kernel.shape[-2]) for _, places in self._places(positions)]
        rows = np.stack(parts, axis=2)
        matrices = self.kernel.reshape(-1, self.groups, self.kernel.shape[-1] // self.groups).transpose(1, 0, 2)
        rows = rows.reshape(len(rows), self.groups, -1).transpose(1, 0, 2)
        return Products(rows, matrices, None, self._revised, self.bias is not None)

    def products(self, kernel: Ints) -> list[Ints]:
        # With zeros beside groups.
        return list(_matrices(kernel.reshape(-1, *kernel.shape[-2:]), self.groups))

    def _revised(self, matrices: Floats, shift: Floats) -> Conv:
        kernel = as_weights(matrices.transpose(1, 0, 2).reshape(self.kernel.shape))
        return replace(self, kernel=kernel, bias=shifted(self.bias, shift))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x, rank = lowering.builder, inputs[0], len(self.size)
        if lowering.loaded:
            x = builder.aligned(x)  # weights that are not known cannot take the scales of elements
        if (*self.size, *self.strides) != (1,) * (2 * rank) or any(map(any, self.padding)):
            x = builder.window(x, self.size, self.strides, self.dilation, self.padding)
        windows = builder.reshape(x, (*x.shape[:rank], math.prod(self.size), x.shape[-1]))
        if lowering.loaded:
            result = self._loaded_products(lowering, windows)
        else:
            raw, frac = lowering.scaled_constant("weight", self.kernel)
            frac = frac.reshape(-1, *frac.shape[-2:]) if frac.ndim > 2 else frac
            result = _products(builder, windows, raw.reshape(-1, *raw.shape[-2:]), frac, self.groups)
        if self.bias is not None:
            result = builder.add(result, lowering.trained("bias", self.bias))
        return lowering.result(lowering.cast("accum", result))

    def _loaded_products(self, lowering: Lowering, windows: Value) -> Value:
        """Windows (*positions, taps, in) by weights that are not known: for each group its channels by its matrix."""
        builder, n_out = lowering.builder, self.kernel.shape[-1]
        weight = as_weights(self.kernel.reshape(-1, n_out))
        *positions, taps, channels = windows.shape
        if self.groups == 1:
            return lowering.product(builder.reshape(windows, (*positions, taps * channels)), weight)
        each, outer = channels // self.groups, n_out // self.groups
        matrix = builder.reshape(lowering.parameter("weight", weight), (taps * each, self.groups, outer))
        return _in_groups(builder, windows, builder.transpose(matrix, (1, 0, 2)))


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose(_Convolution):
    """``y = full[crop : crop + output] + bias`` where ``full[i * strides + t * dilation] += x[i] @ kernel[t]`` for all i, t.

    The kernel is (*size, in // groups, out), the bias (out,) or None. ``output`` elements per axis are kept, from ``crop``
    on; those beyond ``full`` are zeros (and the bias).
    """

    crop: Axes
    output: Axes
    groups: int = 1

    @property
    def kind(self) -> str:
        return f"Conv{len(self.size)}DTranspose"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        _check_channels(shape, self.kernel, self.groups)
        full = _full_sizes(shape[:-1], self.size, self.strides, self.dilation)
        reached = [max(n, crop + kept) for n, crop, kept in zip(full, self.crop, self.output, strict=True)]
        result = (*self.output, self.kernel.shape[-1])
        if min(self.output) < 1 or math.prod(reached) * max(result[-1], shape[-1]) > MAX_ELEMENTS:
            raise UnsupportedError(
                f"an output of shape {result}, of {reached} positions before it is cropped",
                accepted=f"1 to {MAX_ELEMENTS} elements",
            )
        return result

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        sizes = _full_sizes(x.shape[1:-1], self.size, self.strides, self.dilation)
        reached = [max(n, crop + kept) for n, crop, kept in zip(sizes, self.crop, self.output, strict=True)]
        full = np.zeros((len(x), *reached, self.kernel.shape[-1]))
        product = np.empty((*x.shape[:-1], self.kernel.shape[-1]))
        for tap, part in self._places(x.shape[1:-1]):
            _mix(x, self.kernel[tap], self.groups, product)
            full[part] += product
        kept = full[(slice(None), *(slice(crop, crop + n) for crop, n in zip(self.crop, self.output, strict=True)))]
        return kept if self.bias is None else kept + self.bias

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        """Outputs ``stride * j + phase`` for all phases are the channels of one convolution at ``j``, then laid side by side."""
        builder, x, rank = lowering.builder, inputs[0], len(self.size)
        phases, n_out = math.prod(self.strides), self.kernel.shape[-1]
        axes = [
            _PhasedAxis.fewest_products(*axis)
            for axis in zip(x.shape, self.size, self.strides, self.dilation, self.crop, self.output, strict=False)
        ]
        spans = tuple(axis.span for axis in axes)
        if lowering.loaded:
            x = builder.aligned(x)
        x = builder.window(x, spans, (1,) * rank, (1,) * rank, [axis.padding for axis in axes])
        positions = x.shape[:rank]
        windows = builder.reshape(x, (*positions, math.prod(spans), x.shape[-1]))
        if lowering.loaded:
            result = self._loaded_products(lowering, windows, axes)
        else:
            raw, frac = lowering.scaled_constant("weight", self.kernel)
            if frac.ndim > 0:
                frac = self._phased(np.broadcast_to(frac, raw.shape), axes)
            result = _products(builder, windows, self._phased(raw, axes), frac, self.groups)
        result = builder.reshape(result, (*positions, self.groups, phases, n_out // self.groups))
        result = builder.transpose(result, (*range(rank), rank + 1, rank, rank + 2))
        result = builder.reshape(result, (*positions, phases, n_out))
        if self.bias is not None:
            result = builder.add(result, lowering.trained("bias", self.bias))
        result = lowering.cast("accum", result)
        result = builder.unify(result)  # over the phases, which become positions
        result = builder.reshape(lowering.result(result), (*positions, *self.strides, n_out))
        result = builder.transpose(result, (*(axis for k in range(rank) for axis in (k, rank + k)), 2 * rank))
        result = builder.reshape(result, (*(n * s for n, s in zip(positions, self.strides, strict=True)), n_out))
        start = [axis.cropped for axis in axes]
        stop = [a + n for a, n in zip(start, self.output, strict=True)]
        return builder.slice(result, (*start, 0), (*stop, n_out))

    def _loaded_products(self, lowering: Lowering, windows: Value, axes: Sequence[_PhasedAxis]) -> Value:
        """Windows (*positions, taps, in) by weights that are not known, each tap at its places among those of all phases."""
        builder, (*_, n_in, n_out) = lowering.builder, self.kernel.shape
        taps, phases = math.prod(self.size), math.prod(self.strides)
        numbers = np.broadcast_to(np.arange(1, taps + 1).reshape(*self.size, 1, 1), (*self.size, 1, self.groups))
        tap_of = self._phased(numbers, axes).reshape(-1, self.groups, phases)[:, 0] - 1
        kernel = builder.reshape(lowering.parameter("weight", self.kernel.reshape(-1, n_out)), (taps, n_in, n_out))
        padded = builder.pad(kernel, (0, 0, 0), (1, 0, 0))
        placed = builder.gather(padded, np.where(tap_of < 0, taps, tap_of), 0)
        if self.groups > 1:
            n_each = n_out // self.groups
            split = builder.reshape(placed, (len(tap_of), phases, n_in, self.groups, n_each))
            split = builder.transpose(split, (3, 0, 2, 1, 4))
            matrix = builder.reshape(split, (self.groups, len(tap_of) * n_in, phases * n_each))
            return _in_groups(builder, windows, matrix)
        matrix = builder.reshape(builder.transpose(placed, (0, 2, 1, 3)), (len(tap_of) * n_in, phases * n_out))
        rows = builder.reshape(windows, (*windows.shape[:-2], len(tap_of) * n_in))
        return builder.matmul(rows, matrix)

    def _phased(self, kernel: npt.NDArray[_Number], axes: Sequence[_PhasedAxis]) -> npt.NDArray[_Number]:
        """The kernel (window, in // groups, groups * phases * out // groups) of the convolution that computes all phases."""
        n_in, n_out = kernel.shape[-2:]
        spans = tuple(axis.span for axis in axes)
        result = np.zeros((*spans, n_in, self.groups, *self.strides, n_out // self.groups), dtype=kernel.dtype)
        for tap in np.ndindex(*self.size):
            place, phase = zip(*(axis.taps[t] for t, axis in zip(tap, axes, strict=True)), strict=True)
            result[(*place, slice(None), slice(None), *phase)] = kernel[tap].reshape(n_in, self.groups, -1)
        return result.reshape(math.prod(spans), n_in, -1)


@dataclass(frozen=True, slots=True)
class _PhasedAxis:
    """An axis of a transposed convolution as one of windows over its operand, each of which has ``stride`` results.

    ``taps`` has the place in the window, and the phase, of each tap; ``cropped`` results come before the first that is wanted.
    """

    span: int
    padding: tuple[int, int]
    taps: tuple[tuple[int, int], ...]
    cropped: int

    @classmethod
    def fewest_products(cls, n: int, taps: int, stride: int, dilation: int, crop: int, output: int) -> _PhasedAxis:
        """Return the least number of windows times places."""
        found = [cls._of(n, taps, stride, dilation, crop, output, early) for early in range(stride)]
        windows = [n + sum(one.padding) - one.span + 1 for one in found]
        return min(zip(windows, found, strict=True), key=lambda each: (each[0] * each[1].span, each[1].cropped))[1]

    @classmethod
    def _of(cls, n: int, taps: int, stride: int, dilation: int, crop: int, output: int, early: int) -> _PhasedAxis:
        """Windows whose first result comes ``early`` positions before the first one that is wanted, or whole windows more.

        Result ``stride * j + phase`` is made of operands ``j + (first + phase - tap * dilation) / stride``.
        """
        first = crop - early
        phases = [(tap * dilation - first) % stride for tap in range(taps)]
        behind = [(first + phase - tap * dilation) // stride for tap, phase in enumerate(phases)]
        later = max(min(behind), 0)  # no window begins after the first operand
        least = min(behind) - later
        span, last = max(behind) - later - least + 1, -(-(early + stride * later + output) // stride) - 1
        after = max(last + least + span - n, 0)
        places = tuple((each - later - least, phase) for each, phase in zip(behind, phases, strict=True))
        return cls(span, (-least, after), places, early + stride * later)


def _check_channels(shape: Shape, kernel: Floats, groups: int) -> None:
    if len(shape) != kernel.ndim - 1 or shape[-1] != kernel.shape[-2] * groups or kernel.shape[-1] % groups:
        raise UnsupportedError(
            f"a kernel of shape {kernel.shape} in {groups} groups on an input of shape {shape}",
            accepted=f"inputs of {kernel.ndim - 2} spatial axes and {kernel.shape[-2] * groups} channels",
        )


def _kernel_scales(operand: Floats, result: Floats, kernel: Floats, groups: int) -> Floats:
    """Return the scales that errors of a kernel (*size, in // groups, out) are compared with, for each pair of channels."""
    rows = np.repeat(operand.reshape(groups, -1).T, kernel.shape[-1] // groups, axis=1)
    return product_scales(rows, result, math.prod(kernel.shape[:-1]))


def _full_sizes(sizes: Shape, taps: Axes, strides: Axes, dilation: Axes) -> list[int]:
    """Elements per axis that some product of a transposed convolution goes to."""
    return [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(sizes, taps, strides, dilation, strict=True)]


def _mix(x: Floats, kernel: Floats, groups: int, result: Floats) -> None:
    """Put ``x @ kernel`` for one tap (in // groups, out) into ``result``, each group of channels by itself."""
    n_in, n_out = kernel.shape
    if groups == 1:
        np.matmul(x.reshape(-1, n_in), kernel, out=result.reshape(-1, n_out))
    elif n_in == 1:
        np.multiply(x if groups == n_out else np.repeat(x, n_out // groups, axis=-1), kernel[0], out=result)
    else:
        split = np.moveaxis(x.reshape(-1, groups, n_in), 1, 0)
        products = split @ np.moveaxis(kernel.reshape(n_in, groups, -1), 1, 0)
        result[...] = np.moveaxis(products, 0, 1).reshape(result.shape)


def _in_groups(builder: ProgramBuilder, windows: Value, matrices: Value) -> Value:
    """Windows (*positions, taps, in) by the matrix of each group (groups, taps * in // groups, m): (*positions, groups * m)."""
    *positions, taps, channels = windows.shape
    groups, n, m = matrices.shape
    rank = len(positions)
    split = builder.reshape(windows, (*positions, taps, groups, channels // groups))
    split = builder.transpose(split, (*range(rank), rank + 1, rank, rank + 2))
    rows = builder.reshape(split, (*positions, groups, 1, n))
    return builder.reshape(builder.matmul(rows, matrices), (*positions, groups * m))


def _products(builder: ProgramBuilder, windows: Value, kernel: Ints, frac: Fracs, groups: int) -> Value:
    """Windows (*positions, taps, in) by a kernel (taps, in // groups, out): the results (*positions, out).

    ``frac`` is one for all or broadcasts to the kernel.

    Small groups are computed together, by a matrix with zeros outside its diagonal blocks: zeros cost nothing in a circuit,
    and a matrix shares more between its products than single products and sums would.
    """
    *positions, taps, _ = windows.shape
    n_in = kernel.shape[-2]
    fracs = _matrices(np.broadcast_to(frac, kernel.shape), groups) if frac.ndim > 0 else None
    results, first = [], 0
    for matrix in _matrices(kernel, groups):
        channels, part = len(matrix) // taps, windows
        if channels < groups * n_in:
            part = builder.slice(windows, (*(0 for _ in positions), 0, first), (*positions, taps, first + channels))
        each = frac if fracs is None else next(fracs)
        results.append(builder.linear(builder.reshape(part, (*positions, len(matrix))), matrix, each))
        first += channels
    return results[0] if len(results) == 1 else builder.concat(results, -1)


def _matrices(kernel: npt.NDArray[_Number], groups: int) -> Iterator[npt.NDArray[_Number]]:
    """The matrices of a kernel (taps, in // groups, out): of small groups several together."""
    n_in, n_out = kernel.shape[-2], kernel.shape[-1] // groups
    together = min(max(_BLOCK_CHANNELS // n_in, 1), groups)
    for first in range(0, groups, together):
        count = min(together, groups - first)
        yield _block_diagonal(kernel[..., first * n_out : (first + count) * n_out], count)


def _block_diagonal(kernel: npt.NDArray[_Number], count: int) -> npt.NDArray[_Number]:
    """The matrix (taps * in, out) of ``count`` groups whose kernels (taps, in // count, out // count) lie side by side."""
    taps, n_in, n_out = kernel.shape
    matrix = np.zeros((taps, count, n_in, count, n_out // count), dtype=kernel.dtype)
    for k in range(count):
        matrix[:, k, :, k] = kernel[..., k * n_out // count : (k + 1) * n_out // count]
    return matrix.reshape(taps * count * n_in, n_out)


EXAMPLES = (
    Example(Conv(quarters(2, 2, 2, 3), quarters(3), (1, 2), (1, 1), ((0, 0), (1, 0))), ((4, 4, 2),)),
    Example(ConvTranspose(quarters(2, 1, 2), quarters(2), (2,), (1,), (0,), (6,)), ((3, 1),)),
)
