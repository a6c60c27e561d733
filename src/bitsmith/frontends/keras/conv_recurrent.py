"""Keras's convolutional LSTM, unrolled: one convolution of the images of all steps, and one of the state in each step."""

from dataclasses import dataclass

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant, held
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, check_flags, is_channels_first
from bitsmith.frontends.keras.recurrent import activation, unrolled_sequence
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.arithmetic import add, multiply
from bitsmith.frontends.ops.selection import part
from bitsmith.frontends.ops.shape import move
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.frontends.ops.unrolled import Gates, States, over_steps
from bitsmith.layers.layer import Layer
from bitsmith.layers.recurrent import SIGMOID, TANH
from bitsmith.layers.resample import Pairs


@dataclass(frozen=True, slots=True)
class _Cell:
    """A step on images with their channels last; ``kernel`` (*size, filters, 4 * filters) is that of the state."""

    kernel: Value
    filters: int
    activation: Layer
    opening: Layer

    def step(self, build: Builder, operands: Gates, states: States) -> tuple[Value, States]:
        """The hidden state, and both: gates are in the order input, forget, candidate, output."""
        (z,), (hidden, cell) = operands, states
        first = hidden.constant is not None
        if not first:
            size, ones = self.kernel.shape[:-2], (1,) * (self.kernel.rank - 2)
            trained = build.draft.shared(self.kernel)
            seen = spatial.convolution(build, hidden, trained, None, Taps(size, ones, ones, Same.AFTER), suffix="state")
            z = add(build.within("gates"), z, seen)
        taken, kept, candidate, shown = (self._gate(build, z, number) for number in range(4))
        fresh = multiply(
            build.within("fresh"),
            build.emit(self.opening, taken, suffix="input"),
            build.emit(self.activation, candidate, suffix="candidate"),
        )
        if not first:
            old = multiply(build.within("kept"), build.emit(self.opening, kept, suffix="forget"), cell)
            fresh = add(build.within("cell"), old, fresh)
        opened = build.emit(self.opening, shown, suffix="output")
        hidden = multiply(build, opened, build.emit(self.activation, fresh, suffix="cell_activation"))
        return hidden, (hidden, fresh)

    def _gate(self, build: Builder, z: Value, number: int) -> Value:
        channels = range(number * self.filters, (number + 1) * self.filters)
        return part(build.within(f"gate{number}"), z, {z.rank - 1: channels})


def _read(rank: int, call: LayerCall) -> tuple[Value, ...]:
    """The hidden states of all steps, or the last one; and both last states if they are returned."""
    config = call.config
    check_flags(config, time_major=False)
    x = unrolled_sequence(call, config, axes=rank + 3)
    turned = is_channels_first(config)
    x = move(call.build.within("channels_last"), x, [2], [-1]) if turned else x
    filters = config.positive("filters")
    size, strides, dilation = (
        config.per_axis(key, rank, default)
        for key, default in (("kernel_size", None), ("strides", 1), ("dilation_rate", 1))
    )
    modes: dict[str, Pairs | Same] = {"valid": ((0, 0),) * (rank + 1), "same": Same.AFTER}
    if (mode := config.text("padding", "valid").lower()) not in modes:
        raise UnsupportedError(f"the padding {mode!r}", accepted=" and ".join(modes))
    shapes = [("kernel", (*size, x.dims[-1], 4 * filters)), ("recurrent_kernel", (*size, filters, 4 * filters))]
    biases = [("bias", (4 * filters,))] * config.flag("use_bias", True)
    kernel, recurrent, *bias = call.trained(*shapes, *biases, parts=["cell"])
    taps = Taps((1, *size), (1, *strides), (1, *dilation), modes[mode])
    of_steps = kernel.moved(lambda elements: elements[None])
    z = spatial.convolution(call.build, x, of_steps, bias[0] if bias else None, taps, suffix="operands")
    cell = _Cell(
        recurrent,
        filters,
        activation(config, "activation", call.major, TANH),
        activation(config, "recurrent_activation", call.major, SIGMOID),
    )
    rest = held(constant(np.zeros((1, *z.dims[2:-1], filters))))
    sequences, backwards = (config.flag(key, False) for key in ("return_sequences", "go_backwards"))
    shown, last = over_steps(call.build, (z,), (rest, rest), cell.step, sequences=sequences, backwards=backwards)
    results = (shown, *last) if config.flag("return_state", False) else (shown,)
    if turned:
        results = tuple(move(call.build, y, [-1], [2 if y.rank == rank + 3 else 1]) for y in results)
    return results


def _along(rank: int) -> Translation:
    return Translation(lambda call: _read(rank, call), "Conv, and Slice, Conv, Add, Multiply and Stack for each step")


CONV_RECURRENT: ByClass = {f"ConvLSTM{rank}D": _along(rank) for rank in (1, 2)}
