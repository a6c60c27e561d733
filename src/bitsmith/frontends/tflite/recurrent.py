"""The LSTM over a sequence: on numbers one layer; with 8-bit inputs and hidden states and 16-bit cell states step by step.

Gates are sums of two products, each rescaled to steps of 2**-12 within 16 bits; gates and the cell's hyperbolic tangent have
gemmlowp's functions of 16 bits. Each sample begins with states of 0, as after an interpreter's ``reset_all_variables``.
Where there is one step only, the states are operands and results.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Batch, Value, constant, layouts_of
from bitsmith.frontends.ops import recurrent
from bitsmith.frontends.ops.contraction import dense
from bitsmith.frontends.ops.unrolled import Function, QuantizedCell
from bitsmith.frontends.tflite.arithmetic import exponent_of
from bitsmith.frontends.tflite.call import Call, Entry, Operators, Results, Translation, checked, limits_of, zero_point
from bitsmith.frontends.tflite.fixed_layers import FixedLayers, rounded
from bitsmith.frontends.tflite.fixedpoint import Fixed
from bitsmith.frontends.tflite.requantize import INT32, exact
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import Floats
from bitsmith.layers.recurrent import LSTM, LSTM_GATES

_INT16 = (-(1 << 15), (1 << 15) - 1)
_INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES = 1, 5, 12
_OUTPUT_STATE, _CELL_STATE = 18, 19
_PEEPHOLES = (9, 10, 11)
_REFUSED_OF_NUMBERS = {16: "a projection", **dict.fromkeys(range(20, 24), "normalization")}
_REFUSED = {**dict.fromkeys(_PEEPHOLES, "peepholes"), **_REFUSED_OF_NUMBERS}
_MOST_STEPS = 256

_COUPLED = [0, 0, 1, 2]
"""The gates that stand in four places where there are those of forget, cell and output: the second is not read."""

_INTEGER_BITS = 3
"""Positions of the operands of gates."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """Weights of all gates, (in, gates * units), and what their products are multiplied by to come to steps of 2**-12."""

    kernel: Value
    factors: tuple[float, ...]

    def most(self, bias: Floats | float) -> int:
        """Return the greatest sum of products with codes of 8 bits, and a bias."""
        return int((255.0 * np.abs(self.kernel.elements).sum(axis=0) + np.abs(bias)).max())


def _check_plain(call: Call, refused: Mapping[int, str]) -> None:
    for number, name in refused.items():
        if call.tensor(number) is not None:
            raise UnsupportedError(f"an LSTM with {name}", accepted="a plain one")
    if call.options.flag("diagonal_recurrent_tensors"):
        raise UnsupportedError("an LSTM of diagonal weights", accepted="full ones")
    if call.options.text("fused_activation_function") != "TANH":
        raise UnsupportedError("an LSTM with another activation", accepted="TANH")


def _gates(call: Call) -> list[int]:
    """The gates that it has of input, forget, cell and output."""
    gates = [gate for gate in range(4) if call.tensor(_INPUT_WEIGHTS + gate) is not None]
    if gates not in ([0, 1, 2, 3], [1, 2, 3]):
        raise call.error("an LSTM without one of its gates")
    return gates


def _layer(call: Call) -> Results:
    """An LSTM on numbers."""
    _check_plain(call, _REFUSED_OF_NUMBERS)
    x, gates = call.value(0), _gates(call)
    steps = 0 if call.options.flag("time_major") else 1
    if x.rank != 3 or x.batch is None or x.counted(x.batch.axis) == steps:
        raise call.error(f"a sequence of axes {x.dims}", "samples, steps and channels")
    kernels = [
        [call.trained(first + gate, "the weights of a gate") for gate in gates]
        for first in (_INPUT_WEIGHTS, _RECURRENT_WEIGHTS)
    ]
    units = len(kernels[0][0])
    for listed, width in zip(kernels, (x.dims[2], units), strict=True):
        if any(one.shape != (units, width) for one in listed):
            raise call.error(f"weights of shapes {[one.shape for one in listed]}", f"{(units, width)}")
    found = [call.biases(_BIASES + gate, units) for gate in gates]
    biases = [np.zeros(units) if one is None else one for one in found]
    every = range(4) if len(gates) == 4 else _COUPLED
    stacked = {
        "weight": constant(np.stack(kernels[0])).moved(lambda values: _in_columns(values[every])),
        "recurrent_weight": constant(np.stack(kernels[1])).moved(lambda values: _in_columns(values[every])),
        "bias": constant(np.stack(biases)).moved(lambda values: values[every].ravel()),
    }
    cell = recurrent.cell(LSTM, [one.elements for one in stacked.values()])
    assert isinstance(cell, LSTM)
    clip = call.options.number("cell_clip")
    peephole = _peephole(call, gates, units)
    if peephole is not None:
        stacked["peephole_weight"] = peephole
    cell = replace(
        cell, peephole=None if peephole is None else peephole.elements, cell_clip=clip if clip > 0.0 else math.inf
    )
    cell = cell if len(gates) == 4 else replace(recurrent.coupled(cell), keeps=True)
    states, layouts = _states(call), layouts_of(**stacked)
    if not states:
        return recurrent.run(call.build, cell, x, (), 0, layouts=layouts)
    cell = replace(cell, return_state=True)
    names = ("", *recurrent.RESULTS[1:])
    return tuple(
        recurrent.run(call.build.within(name), cell, x, states, k, layouts=layouts) for k, name in enumerate(names)
    )


def _in_columns(gates: Floats) -> Floats:
    """Weights (in, gates * units) of those of each gate, (units, in)."""
    return gates.reshape(-1, gates.shape[-1]).T


def _states(call: Call) -> tuple[Value, ...]:
    """The hidden state and that of the cell before the first step; none stand for zeros."""
    states = tuple(call.value(number) for number in (_OUTPUT_STATE, _CELL_STATE) if call.values[number] is not None)
    if any(one.batch != Batch(0) or one.rank != 2 for one in states):
        raise call.error(f"states of axes {[one.dims for one in states]}", "samples and units")
    return states


def _peephole(call: Call, gates: Sequence[int], units: int) -> Value | None:
    """The peephole weights of input, forget and output, if there are any."""
    if all(call.tensor(number) is None for number in _PEEPHOLES):
        return None
    found = [call.biases(number, units) for number in _PEEPHOLES]
    if len(gates) < 4 or any(one is None for one in found):
        raise UnsupportedError("an LSTM with peepholes of some of its gates", accepted="those of all, or none")
    return constant(np.stack([one for one in found if one is not None])).moved(np.ravel)


def _lstm(call: Call) -> Results:
    _check_plain(call, _REFUSED)
    if call.options.flag("time_major"):
        raise UnsupportedError("an LSTM of codes with time before samples", accepted="samples first")
    x, hidden, cell = call.operand(0), checked(call.required(_OUTPUT_STATE)), checked(call.required(_CELL_STATE))
    power = exponent_of(cell.quantized.scale)
    if x.is_wide:
        raise UnsupportedError("an LSTM of 16 bits", accepted="8 bits: the interpreter has no kernel of more")
    if x.value.rank != 3 or hidden.dtype != "int8" or cell.dtype != "int16" or power is None:
        raise UnsupportedError("an LSTM of other types", accepted="8 bits, a cell state of 16, and three axes")
    if x.value.dims[1] > _MOST_STEPS or not -15 <= power <= -11:
        raise UnsupportedError(
            f"an LSTM of {x.value.dims[1]} steps, with cell states in steps of 2**{power}",
            accepted=f"at most {_MOST_STEPS}, and 2**-15 to 2**-11",
        )
    return _Steps(call, _gates(call), hidden, cell, power).run(x.value)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of one LSTM; ``gates`` are those that it has of input, forget, cell and output."""

    call: Call
    gates: list[int]
    hidden: Tensor
    cell: Tensor
    power: int

    def run(self, x: Value) -> Results:
        """The hidden states after all steps; and, where they are given, the states after the last."""
        call = self.call
        inputs = self._weights(_INPUT_WEIGHTS, call.required(0))
        again = self._weights(_RECURRENT_WEIGHTS, self.hidden)
        units, rest = divmod(inputs.kernel.shape[1], len(self.gates))
        if rest or again.kernel.shape != (units, len(self.gates) * units) or inputs.kernel.shape[0] != x.dims[2]:
            raise call.error(f"weights of shapes {inputs.kernel.shape} and {again.kernel.shape}")
        found = [call.bias(_BIASES + gate, units) for gate in self.gates]
        biases = [np.zeros(units, np.int64) if one is None else one for one in found]
        bias = constant(exact(np.stack(biases))).moved(np.ravel)
        product = _product(call.build, x, "inputs", weight=inputs.kernel, bias=bias)
        projected = call.rescaled(product, inputs.factors, _INT16, "projected", most=inputs.most(bias.elements))
        weights = np.zeros((x.dims[2], 4 * units)), np.zeros((units, 4 * units))
        coupled = len(self.gates) < 4
        cell = QuantizedCell(
            LSTM(*weights, coupled=coupled, keeps=coupled),
            lambda build, state, first, last: (self._again(build, state, again),),
            self._functions(),
            places=_COUPLED if coupled else range(4),
            one=constant(32767.0),
        )
        given = _states(call)
        y, states = cell.unrolled(call.build, (projected,), given, sequences=True, backwards=False)
        return (y, *states) if given else y

    def _again(self, build: Builder, state: Value, weights: _Weights) -> Value:
        """The product of a state."""
        product = _product(build, state, "recurrent", weight=weights.kernel)
        return self._at(build).rescaled(product, weights.factors, INT32, "repeated", most=weights.most(0.0))

    def _functions(self) -> Mapping[str, Function]:
        """The functions of results of the equations, by name."""
        return {
            "gates": lambda build, x: self._at(build).clipped(x, _INT16),
            **dict.fromkeys(LSTM_GATES, lambda build, x: _layers(build).logistic(x, _INTEGER_BITS)),
            "candidate": lambda build, x: _layers(build).tanh(x, _INTEGER_BITS),
            "kept": lambda build, x: rounded(build, x, 15, Rounding.RND_INF, ""),
            "fresh": lambda build, x: rounded(build, x, 30 + self.power, Rounding.RND_INF, ""),
            "cell": lambda build, x: self._at(build).clipped(x, self._cell_limits()),
            "cell_activation": lambda build, x: _layers(build).tanh(x, 15 + self.power),
            "state": lambda build, x: self._hidden(self._at(build), x),
        }

    def _at(self, build: Builder) -> Call:
        return replace(self.call, build=build)

    def _weights(self, first: int, operand: Tensor) -> _Weights:
        """The weights of all gates from input ``first`` on."""
        rows, factors = [], []
        for gate in self.gates:
            codes, tensor = self.call.weights(first + gate, "the weights of a gate")
            if codes.ndim != 2 or not tensor.quantized.is_plain:
                raise UnsupportedError(f"gates of shape {codes.shape}", accepted="two axes and one scale")
            factor = tensor.quantized.scale * operand.quantized.scale / np.float32(2.0**-12)
            rows.append(codes)
            factors += [float(factor)] * len(codes)
        if len({codes.shape for codes in rows}) > 1:
            raise self.call.error("gates of different shapes")
        return _Weights(constant(exact(np.stack(rows))).moved(_in_columns), tuple(factors))

    def _cell_limits(self) -> tuple[int, int]:
        clip = self.call.options.number("cell_clip")
        if clip <= 0.0:
            return _INT16
        most = int(min(max(np.float32(clip) / self.cell.quantized.scale, np.float32(-32768)), np.float32(32767)))
        return -most, most

    def _hidden(self, call: Call, product: Value) -> Value:
        """The hidden state, with the zero point of the result taken off."""
        inner = call.operator.intermediates
        if len(inner) != 5 or len({*map(zero_point, (inner[4], self.hidden, call.result))}) > 1:
            raise call.error("an LSTM without the scale of its hidden state, or with several zero points")
        scale = np.float32(2.0**-15 / float(inner[4].quantized.scale) * 2.0**-15)
        return call.rescaled(product, [float(scale)], limits_of(self.hidden), most=1 << 30)


def _layers(build: Builder) -> FixedLayers:
    return FixedLayers(build, Fixed(16))


def _product(build: Builder, x: Value, suffix: str, weight: Value, bias: Value | None = None) -> Value:
    """The product with trained tensors, which all steps share."""
    return dense(build, x, build.draft.shared(weight), bias and build.draft.shared(bias), suffix)


RECURRENT: Operators = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Entry(
        Translation(_lstm, "Dense, Quantize, Multiply, Lookup and Stack, step by step"), Translation(_layer, "LSTM")
    )
}
