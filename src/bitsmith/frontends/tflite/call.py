"""The operands and options of one operator, checked on access, and the builder of what it becomes.

Values of quantized tensors are codes with the zero point taken off, so that padding is 0 and products need no correction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError, one_of
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.known import Known, value_of
from bitsmith.frontends.builder.value import ONE, Kind, Value, constant
from bitsmith.frontends.files.json import MAX_SIZE
from bitsmith.frontends.tflite.fixedpoint import Integers, Reals, nearest
from bitsmith.frontends.tflite.graph import Operator, Options
from bitsmith.frontends.tflite.requantize import Kernels, Multiplier, check_room, integers, step_of
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer

_FIXED = ("int8", "uint8", "int16")
"""Types of activations."""

_MAX_INTEGERS = 4096

_LIMITS = (-(2.0**31), 2.0**31)

Limits: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Operand:
    """A value and the tensor that it is."""

    value: Value
    tensor: Tensor

    @property
    def scale(self) -> np.float32:
        """Return the quantization scale."""
        return self.tensor.quantized.scale

    @property
    def most(self) -> int:
        """The greatest magnitude of a value."""
        return max(map(abs, self.limits))

    @property
    def limits(self) -> Limits:
        """The least and the greatest value."""
        return limits_of(self.tensor)

    @property
    def is_wide(self) -> bool:
        """Return True of 16 bits."""
        return self.tensor.dtype == "int16"


@dataclass(frozen=True, slots=True)
class Call:
    """An operator on values; None for those that are left out. What is ``Known`` depends on the number of samples."""

    operator: Operator
    values: tuple[Value | Known | None, ...]
    build: Builder
    kernels: Kernels

    @property
    def options(self) -> Options:
        """The operator's options."""
        return self.operator.options

    @property
    def result(self) -> Tensor:
        """The tensor of the first result."""
        return self.operator.outputs[0]

    def error(self, found: str, accepted: str = "") -> ModelFileError:
        """The error of an operator that contradicts itself."""
        return ModelFileError(found, where=self.operator.where, accepted=accepted)

    def tensor(self, number: int) -> Tensor | None:
        """The tensor of input ``number``, None if it is left out."""
        return self.operator.inputs[number] if number < len(self.operator.inputs) else None

    def required(self, number: int) -> Tensor:
        """The same.

        Raises:
            ModelFileError: it is left out.
        """
        tensor = self.tensor(number)
        if tensor is None:
            raise self.error(f"{self.operator.kind} without input {number}")
        return tensor

    def value(self, number: int) -> Value:
        """Input ``number``, whatever its type."""
        self.required(number)
        value = self.values[number]
        if value is None:
            raise self.error(f"{self.operator.kind} without a value of input {number}")
        return value if isinstance(value, Value) else value_of(value, self.build.counts)

    def all_values(self) -> list[Value]:
        """All inputs."""
        return [self.value(number) for number in range(len(self.operator.inputs))]

    def operand(self, number: int) -> Operand:
        """Input ``number``; of an operator on codes quantized to 8 or 16 bits as a whole."""
        found = Operand(self.value(number), self.required(number))
        if self.operator.on_codes:
            checked(found.tensor)
        return found

    def is_nothing(self, number: int) -> bool:
        """Return True if input ``number`` is a constant of zeros without a scale, whose products kernels make 0."""
        value = self.value(number)
        plain = self.required(number).quantization is None
        return plain and value.constant is not None and not bool(np.any(value.constant))

    def trained(self, number: int, what: str) -> Floats:
        """Input ``number``, a constant, as real numbers: quantized weights are the numbers that their codes stand for."""
        value = self.value(number)
        if value.constant is None or not value.is_trained:
            raise UnsupportedError(f"{what} computed from an input", accepted="constants")
        return value.constant

    def biases(self, number: int, units: int) -> Floats | None:
        """Input ``number``, a constant of one real number for each of the ``units``; None if it is left out."""
        if self.tensor(number) is None:
            return None
        found = self.trained(number, "a bias")
        if found.size != units:
            raise self.error(f"a bias of shape {found.shape}", f"{units} numbers")
        return found.reshape(units)

    def array(self, number: int, what: str) -> npt.NDArray[np.generic]:
        """Input ``number``, which must be a constant, as it is in the file, or as it was computed of others."""
        tensor, value = self.required(number), self.values[number]
        if tensor.data is not None:
            return tensor.array()
        if isinstance(value, Known):
            return value.array()
        if value is None or value.constant is None:
            raise UnsupportedError(f"{what} computed from an input", accepted="constants")
        return value.constant

    def integers(self, number: int, what: str) -> tuple[int, ...]:
        """The same as a list of integers."""
        return self._listed(self.array(number, what), what)

    def counted(self, number: int, what: str) -> list[tuple[int, ...]]:
        """The same for each of the numbers of samples that the model's sizes are looked at for."""
        value, counts = self.values[number], self.build.counts
        if isinstance(value, Known) and not value.fixed:
            return [self._listed(array, what) for array in value.at]
        return [self.integers(number, what)] * len(counts)

    def _listed(self, values: npt.NDArray[np.generic], what: str) -> tuple[int, ...]:
        if values.dtype.kind == "f" and bool(np.all((np.abs(values) <= MAX_SIZE) & (values == np.rint(values)))):
            values = values.astype(np.int64)
        if values.ndim > 2 or values.size > _MAX_INTEGERS or values.dtype.kind not in "iu" or values.dtype == np.uint64:
            raise self.error(f"{what} of type {values.dtype} and shape {values.shape}", "integers")
        return tuple(int(value) for value in values.ravel())

    def weights(self, number: int, what: str) -> tuple[Integers, Tensor]:
        """Input ``number``, a constant, as codes without their zero points."""
        tensor = self.required(number)
        values = self.array(number, what)
        if values.dtype.kind not in "iu":
            raise UnsupportedError(
                f"{what} of {tensor.dtype}",
                accepted="integers",
                remedy="convert the model again, with full integer quantization",
            )
        return tensor.quantized.centered(values), tensor

    def bias(self, number: int, units: int) -> Integers | None:
        """Input ``number``, a constant of one integer for each of the ``units``; None if it is left out."""
        if self.tensor(number) is None:
            return None
        found = self.array(number, "a bias")
        if found.dtype.kind != "i" or found.size != units:
            raise self.error(f"a bias of {found.dtype} and shape {found.shape}", f"{units} integers")
        return found.astype(np.int64).reshape(units)

    def fused(self) -> Limits:
        """The least and the greatest value of the result after the fused activation."""
        return activated(self.result, self.options.text("fused_activation_function"))

    def rescaled(
        self, x: Value, reals: Sequence[float], limits: Limits, suffix: str = "", *, most: int, wide: bool = False
    ) -> Value:
        """Integers of up to ``most`` times the reals (of the channels) as the kernels multiply, within ``limits``."""
        check_room(reals, most)
        return self.multiplied(x, [Multiplier.of(real) for real in reals], limits, suffix, wide=wide)

    def multiplied(
        self, x: Value, multipliers: Sequence[Multiplier], limits: Limits, suffix: str = "", *, wide: bool = False
    ) -> Value:
        """The same for given multipliers."""
        if x.constant is not None and len(multipliers) == 1 and not wide:
            found = multipliers[0].applied(x.constant.astype(np.int64))
            return replace(x, node=as_weights(np.clip(found, *limits)))
        return self.build.emit(step_of(multipliers, limits, wide=wide), x, suffix=suffix)

    def quantized(self, x: Value, quantizer: Quantizer, suffix: str = "") -> Value:
        """``x`` on a grid."""
        return self.build.emit(Quantize(quantizer), x, suffix=suffix)

    def clipped(self, x: Value, limits: Limits, suffix: str = "") -> Value:
        """Integers within ``limits``."""
        return self.quantized(x, integers(Fraction(1), limits, Rounding.RND), suffix)

    def shifted(self, x: Value, by: int, suffix: str = "") -> Value:
        """Integers with one added to all."""
        return self.build.affine(x, ONE, constant(float(by)), suffix) if by else x

    def as_result(self, x: Operand, result: Tensor | None = None) -> Value:
        """The codes of ``x`` as those of the result, which may have another zero point."""
        result = result or self.result
        if x.tensor.dtype != result.dtype:
            raise self.error(f"{x.tensor.dtype} as {result.dtype}", "one type")
        return self.shifted(x.value, zero_point(x.tensor) - zero_point(result), "zero_point")

    def table(self, x: Operand, codes: Callable[[Integers], Integers | Reals], suffix: str = "") -> Value:
        """A function of 8 bits: ``codes`` has results, without their zero point, for values; they end where the result's do."""
        low, high = x.limits
        found = np.clip(codes(np.arange(low, high + 1)), *limits_of(self.result))
        return self.build.emit(Lookup(as_weights(0.0), low, as_weights(found)), x.value, suffix=suffix)

    def moved(self, y: Value, number: int = 0) -> Value:
        """``y``, elements of input ``number``, as codes of the result."""
        return self.as_result(Operand(y, self.required(number)))


def zero_point(tensor: Tensor) -> int:
    """Return the tensor's zero point."""
    if tensor.quantization is None or tensor.dtype not in _FIXED:
        return 0
    return tensor.quantization.zero_point


def limits_of(tensor: Tensor) -> Limits:
    """The least and the greatest value of a tensor."""
    low, high = tensor.limits
    return low - zero_point(tensor), high - zero_point(tensor)


def checked(tensor: Tensor) -> Tensor:
    """A tensor of activations.

    Raises:
        UnsupportedError: it is not quantized to 8 or 16 bits, or not as a whole.
    """
    quantization = tensor.quantized
    if tensor.dtype not in _FIXED or not quantization.is_plain:
        raise UnsupportedError(
            f"{tensor.dtype} with {len(quantization.scales)} scales", accepted=f"{', '.join(_FIXED)} with one scale"
        )
    low, high = tensor.limits
    if not low <= quantization.zero_point <= high:
        raise ModelFileError(
            f"the zero point {quantization.zero_point} of {tensor.dtype}",
            where=tensor.where,
            accepted=f"{low} to {high}",
        )
    return tensor


def kind_of(tensor: Tensor) -> Kind:
    """Return the meaning of a type to arithmetic, of a tensor that is not quantized."""
    return Kind.named(tensor.dtype)


def _step(value: float, scale: np.float32) -> int:
    """A number in steps of single precision, within 32 bits."""
    with np.errstate(over="ignore"):
        return int(nearest(np.asarray(np.clip(np.float32(value) / scale, *_LIMITS))))


_BOUNDS: Mapping[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}
"""Activations that are bounds."""


def activated(result: Tensor, activation: str) -> Limits:
    """The least and the greatest value of a tensor after an activation."""
    least, most = one_of(_BOUNDS, activation, f"the fused activation {activation}")
    scale, (low, high) = checked(result).quantized.scale, limits_of(result)
    low = low if least is None else max(low, _step(least, scale))
    high = high if most is None else min(high, _step(most, scale))
    if low > high:
        raise UnsupportedError(f"the fused activation {activation} of a tensor that never reaches it")
    return low, high


Results: TypeAlias = "Value | Known | tuple[Value | Known, ...]"

Translator: TypeAlias = Callable[[Call], Results]


@dataclass(frozen=True, slots=True)
class Translation:
    """Reader of an operator, and ``becomes``, the kinds of layer that it turns into, for documentation.

    On sizes alone, one that differs at a single number of samples is ``judged`` by another, which does so on both of its sides.
    """

    read: Translator
    becomes: str
    judged: Translator | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """Readers of an operator: on ``codes``, with the arithmetic of its kernel, and on ``numbers``; None if it is not."""

    codes: Translation | None = None
    numbers: Translation | None = None


Operators: TypeAlias = dict[str, Entry]
"""Readers of operators, by name."""


def alike(read: Translator, becomes: str) -> Entry:
    """An operator that does the same with codes and with numbers."""
    found = Translation(read, becomes)
    return Entry(found, found)


def moving(make: Callable[..., Value], becomes: str, *reads: Callable[[Call], object]) -> Entry:
    """``make`` of the builder, input 0 and what the ``reads`` give, which only moves elements."""
    return alike(lambda call: call.moved(make(call.build, call.value(0), *(read(call) for read in reads))), becomes)
