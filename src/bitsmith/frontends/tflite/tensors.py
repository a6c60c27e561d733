"""Tensors of a graph: their sizes, elements and quantization."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError, one_of
from bitsmith.frontends.files.json import shown
from bitsmith.layers.layer import Shape

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """Meaning of codes: ``(code - zero_point) * scale``, with one number or one for each element of ``axis``."""

    scales: npt.NDArray[np.float32]
    zero_points: Integers
    axis: int

    @property
    def scale(self) -> np.float32:
        """The scale of the whole tensor, which kernels take for it also where each channel has one."""
        return np.float32(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The zero point of the whole tensor."""
        return int(self.zero_points[0])

    @property
    def is_plain(self) -> bool:
        """Return True if one scale and one zero point are those of all elements."""
        return len(self.scales) == 1

    def centered(self, codes: npt.NDArray[np.generic]) -> Integers:
        """Codes without their zero points."""
        return codes.astype(np.int64) - self.zero_points.reshape(self._shape(codes.ndim))

    def real(self, codes: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """The numbers that codes stand for, exactly."""
        scales = self.scales.astype(np.float64).reshape(self._shape(codes.ndim))
        return np.asarray(self.centered(codes) * scales, dtype=np.float64)

    def _shape(self, rank: int) -> Shape:
        """Return the shape of scales and zero points as they broadcast to a tensor of so many axes."""
        return tuple(len(self.scales) if axis == self.axis else 1 for axis in range(rank))


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the graph; ``dtype`` is the name of its elements' type, ``sizes`` has None for sizes that are left open."""

    number: int
    name: str
    dtype: str
    shape: Shape
    sizes: tuple[int | None, ...]
    quantization: Quantization | None
    data: memoryview | None
    where: str
    is_variable: bool = False
    is_sparse: bool = False

    @property
    def is_numeric(self) -> bool:
        """Return True of elements that are numbers, as far as they are told apart."""
        return self.dtype in (*_STORED, *_UNSIGNED)

    @property
    def is_quantized(self) -> bool:
        """Return True of activations, or of weights, that are codes."""
        return self.quantization is not None and self.dtype in _QUANTIZED

    @property
    def quantized(self) -> Quantization:
        """Return the quantization of its codes.

        Raises:
            UnsupportedError: a tensor that is not quantized.
        """
        if self.quantization is None or self.dtype not in _CODES:
            raise UnsupportedError(
                f"the tensor {shown(self.name)} of {self.dtype}{'' if self.quantization else ' without a scale'} beside "
                "quantized ones",
                accepted="operands and results that are all quantized to 8 or 16 bits, or all of floating point",
                remedy="convert the model again, with or without full integer quantization",
            )
        return self.quantization

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest code."""
        return _CODES[self.dtype]

    def array(self) -> npt.NDArray[np.generic]:
        """The elements of a constant."""
        if self.is_sparse:
            raise UnsupportedError("a sparse tensor", where=self.where, accepted="dense ones")
        count = math.prod(self.shape)
        raw = self.data if self.data is not None else memoryview(b"")
        if self.dtype == "int4":
            return self._halves(raw, count)
        form = np.dtype(one_of(_STORED, self.dtype, f"a constant of {self.dtype}", self.where))
        self._check_size(raw, count * form.itemsize)
        return np.frombuffer(raw, dtype=form).reshape(self.shape)

    def _halves(self, raw: memoryview, count: int) -> npt.NDArray[np.generic]:
        """Integers of four bits, two in a byte, the first in its lower half."""
        self._check_size(raw, (count + 1) // 2)
        pairs = np.frombuffer(raw, dtype=np.int8)
        halves = np.stack([np.left_shift(pairs, 4) >> 4, pairs >> 4], axis=-1)
        return halves.ravel()[:count].reshape(self.shape)

    def _check_size(self, raw: memoryview, size: int) -> None:
        if len(raw) != size:
            raise ModelFileError(
                f"{len(raw)} bytes for {self.dtype} of shape {self.shape}", where=self.where, accepted=f"{size} bytes"
            )


_CODES = {
    "int4": (-8, 7),
    "int8": (-(1 << 7), (1 << 7) - 1),
    "uint8": (0, (1 << 8) - 1),
    "int16": (-(1 << 15), (1 << 15) - 1),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
}
_QUANTIZED = ("int4", "int8", "uint8", "int16")
_UNSIGNED = ("uint16", "uint32", "uint64")
_STORED = {
    "float32": "<f4",
    "int8": "i1",
    "uint8": "u1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "bool": "?",
    "float16": "<f2",
    "float64": "<f8",
}
