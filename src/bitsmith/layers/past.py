"""Steps of the samples before, for layers that look back along time where a sample is one step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import step_type
from bitsmith.ir.types import TensorType, frozen, objects
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.recurrent_cell import body_input
from bitsmith.layers.traits import Elements, Traits, moved


@dataclass(frozen=True, slots=True, eq=False)
class Past(Layer):
    """One step along ``axis`` behind ``steps`` steps of zeros; if ``stateful``, behind those of the samples before."""

    steps: int
    axis: int = 0
    stateful: bool = False

    traits: ClassVar[Traits] = moved(Elements.PADDED)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not 0 <= self.axis < len(shape) or shape[self.axis] != 1 or self.steps < 1:
            raise UnsupportedError(
                f"{self.steps} steps of the past along axis {self.axis} of an input of shape {shape}",
                accepted="at least one, along an axis of 1",
            )
        return (*shape[: self.axis], self.steps + 1, *shape[self.axis + 1 :])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        if not self.stateful:
            pairs = [(0, 0)] * inputs[0].ndim
            pairs[self.axis + 1] = (self.steps, 0)
            return np.pad(inputs[0], pairs)
        stream = np.moveaxis(inputs[0], self.axis + 1, 1)[:, 0]
        known = np.concatenate([np.zeros((self.steps, *stream.shape[1:])), stream])
        windows = [known[step : step + len(stream)] for step in range(self.steps + 1)]
        return np.moveaxis(np.stack(windows, axis=1), 1, self.axis + 1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, rank = lowering.builder, len(inputs[0].shape)
        rest = [axis for axis in range(rank) if axis != self.axis]
        x = builder.transpose(inputs[0], (self.axis, *rest))
        item, kind = x.shape[1:], step_type(x.type)
        body = ProgramBuilder()
        before = body_input(
            body,
            "past",
            TensorType.of(
                (self.steps, *item), kind.frac[None], np.minimum(kind.lo, 0)[None], np.maximum(kind.hi, 0)[None]
            ),
        )
        step = body.reshape(body_input(body, "input", kind), (1, *item))
        window = body.concat([before, step], 0)
        following = body.slice(window, (1, *(0,) * len(item)), window.shape)
        first = builder.apply(
            ops.Const(frozen(objects(np.zeros((self.steps, *item), dtype=np.int64))), before.type.frac)
        )
        scanned = builder.scan(
            body.program([("past", following), ("result", window)]), [first], [x], int(self.stateful)
        )
        back = [*range(1, self.axis + 1), 0, *range(self.axis + 1, rank)]
        return lowering.cast("result", builder.transpose(builder.reshape(scanned, window.shape), back))


EXAMPLES = (Example(Past(2), ((1, 3),)), Example(Past(1, axis=1), ((2, 1),)))
