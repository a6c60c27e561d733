"""HGQ2's recurrent layers, unrolled: one step after the other, each of quantized products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Value, constant, held
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.hgq.functions import quantized_function, quantizer, scalar_function
from bitsmith.frontends.keras.hgq.grids import FixedPoint, quantized
from bitsmith.frontends.keras.hgq.quantizers import variables
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.selection import part, select, stack
from bitsmith.ir.types import Ints
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights, broadcasts
from bitsmith.layers.quantizer import Quantizer

_MOST_STEPS = 1024

_ONE = held(constant(1.0))

_TRAINED = {"kernel": "kq", "recurrent_kernel": "rkq", "bias": "bq"}


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell's trained tensors on their grids, its quantizers by name, and its functions by the name of their arguments."""

    units: int
    trained: Mapping[str, tuple[Floats, Quantizer | None]]
    quantizers: Mapping[str, FixedPoint | None]
    functions: Mapping[str, tuple[str, Layer]]
    reset_after: bool

    def product(self, build: Builder, x: Value, name: str, gates: slice, row: int = 0, *, biased: bool = True) -> Value:
        """``x`` times the columns of some ``gates`` of a kernel, plus a row of the biases if it is ``biased``."""
        columns = slice(gates.start * self.units, gates.stop * self.units)
        kernel, grid = _taken(self.trained[name], (slice(None), columns))
        grids = {} if grid is None else {"weight": grid}
        bias = None
        if biased and "bias" in self.trained:
            found = self.trained["bias"]
            index = (row, columns) if found[0].ndim == 2 else (columns,)
            bias, grid = _taken(found, index)
            grids |= {} if grid is None else {"bias": grid}
        return held(build.emit(Dense(kernel, bias), x, quantizers=grids))

    def on_grid(self, build: Builder, x: Value, name: str) -> Value:
        """``x`` as the quantizer of that name has it."""
        return held(quantized(build, x, self.quantizers[name], name))

    def function(self, build: Builder, x: Value, name: str, before: str = "", after: str = "") -> Value:
        """A function of ``x``, with a quantizer before or after it."""
        iq, oq = (self.quantizers[one] if one else None for one in (before, after))
        return quantized_function(build.within(before or after), x, *self.functions[name], iq, oq)


def _taken(found: tuple[Floats, Quantizer | None], index: tuple[slice | int, ...]) -> tuple[Floats, Quantizer | None]:
    """A part of a trained tensor, and of its grid."""
    values, grid = found
    if grid is None:
        return as_weights(values[index]), None

    def taken(part: Ints) -> Ints:
        return np.broadcast_to(part, values.shape)[index]

    step, offset = taken(grid.step), taken(grid.offset)
    taken_grid = replace(grid, scale=taken(grid.scale), step=step, offset=offset, lo=taken(grid.lo), hi=taken(grid.hi))
    return as_weights(values[index]), taken_grid


def _simple_step(build: Builder, cell: _Cell, x: Value, state: Value) -> Value:
    """``activation(paq(x + kernel * sq(state)))``, where ``x`` is the product of the operand."""
    seen = cell.on_grid(build, state, "sq")
    total = add(
        build.within("sum"), x, cell.product(build.within("state"), seen, "recurrent_kernel", slice(0, 1), biased=False)
    )
    return cell.function(build, total, "activation", before="paq")


def _gated_step(build: Builder, cell: _Cell, x: Value, state: Value) -> Value:
    """K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014; quantizers as HGQ2 has them."""
    units, seen = cell.units, cell.on_grid(build, state, "sq")
    gates = cell.product(build.within("state"), seen, "recurrent_kernel", slice(0, 2), 1, biased=cell.reset_after)
    total = add(build.within("gates_sum"), _columns(build, x, 0, 2 * units, "x_gates"), gates)
    opened = cell.function(build, total, "recurrent_activation", after="praq")
    update, reset = _columns(build, opened, 0, units, "update"), _columns(build, opened, units, 2 * units, "reset")
    inner = build.within("candidate")
    if cell.reset_after:
        own = cell.product(inner.within("state"), seen, "recurrent_kernel", slice(2, 3), 1)
        shown = multiply(inner.within("reset"), reset, cell.on_grid(inner, own, "rhq"))
    else:
        kept = cell.on_grid(inner, multiply(inner.within("reset"), reset, seen), "rhq")
        shown = cell.product(inner.within("state"), kept, "recurrent_kernel", slice(2, 3), biased=False)
    total = add(inner.within("sum"), _columns(build, x, 2 * units, 3 * units, "x_candidate"), shown)
    candidate = cell.function(inner, total, "activation", after="paq")
    old = multiply(build.within("old"), update, seen)
    new = multiply(build.within("new"), subtract(build.within("rest"), _ONE, update), candidate)
    return add(build, old, new)


def _columns(build: Builder, x: Value, start: int, stop: int, suffix: str) -> Value:
    return part(build, x, {x.rank - 1: range(start, stop)}, suffix)


@dataclass(frozen=True, slots=True)
class _Class:
    """A recurrent class: its gates, its quantizers, its functions and its step."""

    gates: int
    quantizers: tuple[str, ...]
    functions: tuple[str, ...]
    step: Callable[[Builder, _Cell, Value, Value], Value]

    def read(self, call: LayerCall) -> tuple[Value, ...]:
        """The states of all steps, or the last one; and the last one again if it is returned."""
        x = sequence(call)
        for key, accepted in (("enable_iq", True), ("enable_oq", False)):
            if call.config.flag(key, accepted) is not accepted:
                raise UnsupportedError(f"{key}={not accepted}", accepted=f"{key}={accepted}")
        cell = self._cell(call)
        operands = of_steps(call, x, quantizer(call, "cell/iq", "iq_conf"))
        operands = cell.product(call.build.within("operands"), operands, "kernel", slice(0, self.gates))

        def step(build: Builder, x: Value, state: Value) -> tuple[Value, Value]:
            state = self.step(build, cell, x, state)
            return state, state

        return unrolled(call, operands, cell.units, step)

    def _cell(self, call: LayerCall) -> _Cell:
        units, channels = call.config.positive("units"), call.x.dims[-1]
        after = self.gates > 1 and call.config.flag("reset_after", True)
        columns = self.gates * units
        shapes: dict[str, Shape] = {"kernel": (channels, columns), "recurrent_kernel": (units, columns)}
        if call.config.flag("use_bias", True):
            shapes["bias"] = (2, columns) if after else (columns,)
        stored = variables(call, "cell")
        if [one.shape for one in stored] != list(shapes.values()):
            raise call.config.error(f"weights of shapes {[one.shape for one in stored]}", f"{list(shapes.values())}")
        trained: dict[str, tuple[Floats, Quantizer | None]] = {}
        for name, one in zip(shapes, stored, strict=True):
            values, key = as_weights(finite(one.read(), name, call.config.where)), _TRAINED[name]
            found = quantizer(call, f"cell/{key}", f"{key}_conf")
            if found is not None and not broadcasts(found.shape, values.shape):
                raise call.config.error(f"a {name} of shape {values.shape} with a quantizer of shape {found.shape}")
            trained[name] = (values, None) if found is None else found.on_grid(values)
        quantizers = {name: self._quantizer(call, name) for name in self.quantizers}
        functions = {name: scalar_function(call.config, call.major, name) for name in self.functions}
        return _Cell(units, trained, quantizers, functions, after)

    def _quantizer(self, call: LayerCall, name: str) -> FixedPoint | None:
        """Return a quantizer; that of a QSimpleRNN's state is configured only where there is one."""
        if name == "sq" and self.gates == 1 and call.config.get("sq_conf") is not None:
            call.notes.append(
                f"{call.config.where}: its state is quantized, as it was where the file was written; HGQ2 0.2.0 itself does "
                "without when it loads a file"
            )
        return quantizer(call, f"cell/{name}", f"{name}_conf", call.config.get(f"{name}_conf") is not None)


def sequence(call: LayerCall) -> Value:
    """The operand, a sequence of few enough steps."""
    x = call.x
    if x.rank != 3:
        raise call.config.error(f"called on a tensor of axes {x.dims}", "a sequence of shape (time, channels)")
    if x.dims[1] > _MOST_STEPS:
        raise UnsupportedError(f"{x.dims[1]} steps", accepted=f"at most {_MOST_STEPS}")
    if call.config.flag("zero_output_for_mask", False):
        raise UnsupportedError("zero_output_for_mask=True", accepted="zero_output_for_mask=False")
    if call.mask(x) is not None:
        raise UnsupportedError("a mask of steps", accepted="sequences without a mask")
    return x


def of_steps(call: LayerCall, x: Value, found: FixedPoint | None) -> Value:
    """The sequence on the grid of a quantizer that works on each step."""
    if found is not None and len(found.shape) != 2:
        raise call.config.error(f"a quantizer of shape {found.shape}", "one for batch and channels")
    return quantized(call.build, x, None if found is None else found.mapped(lambda part: part[:, None]), "iq")


def unrolled(
    call: LayerCall, operands: Value, units: int, step: Callable[[Builder, Value, Value], tuple[Value, Value]]
) -> tuple[Value, ...]:
    """The results of all steps, or the last one, and the last state if it is returned; ``step`` gives result and state."""
    sequences, backwards = call.config.flag("return_sequences", False), call.config.flag("go_backwards", False)
    state, results, count = held(constant(np.zeros((1, units)))), list[Value](), operands.dims[1]
    for number in range(count):
        last = number == count - 1 and not sequences
        build = call.build if last else call.build.within(f"step{number}")
        place = count - 1 - number if backwards else number
        result, state = step(build, select(build.within("x"), operands, 1, place), state)
        results.append(result)
    shown = stack(call.build, results, 1) if sequences else results[-1]
    return (shown, state)[: 1 + call.config.flag("return_state", False)]


_SIMPLE = _Class(1, ("sq", "paq"), ("activation",), _simple_step)
_GATED = _Class(3, ("sq", "paq", "praq", "rhq"), ("activation", "recurrent_activation"), _gated_step)

RECURRENT: dict[str, Translation] = {
    "QSimpleRNN": Translation(_SIMPLE.read, "Quantize, Dense, Slice, Add and Stack, for each step"),
    "QGRU": Translation(_GATED.read, "Quantize, Dense, Slice, Add, Multiply and Stack, for each step"),
}
"""Layers by class name."""
