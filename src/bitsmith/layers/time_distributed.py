"""A layer applied to each time step on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import step_type
from bitsmith.layers.dense import Dense
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape, StepLayer, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.recurrent_cell import body_input
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Traits


@dataclass(frozen=True, slots=True, eq=False)
class TimeDistributed(Layer):
    """``layer`` on each slice of the operands along their first axis; the results are stacked along a new first axis.

    It is lowered as a recurrence without a state.
    """

    layer: Layer

    @property
    def traits(self) -> Traits:
        return self.layer.traits

    @property
    def jumps(self) -> bool:
        return self.layer.jumps

    def variables(self) -> tuple[str, ...]:
        return self.layer.variables()

    def weights(self) -> Mapping[str, Floats]:
        return self.layer.weights()

    def with_weights(self, values: Mapping[str, Floats]) -> Layer:
        return TimeDistributed(self.layer.with_weights(values))

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if not inputs or any(len(shape) < 2 or shape[0] != inputs[0][0] for shape in inputs):
            raise UnsupportedError(
                f"operands of shapes {list(inputs)}", accepted="equally many time steps of one axis or more"
            )
        return (inputs[0][0], *self.layer.output_shape([shape[1:] for shape in inputs]))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        result = self.layer.reference(_steps(inputs))
        return result.reshape(*inputs[0].shape[:2], *result.shape[1:])

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        return self.layer.internals(_steps(inputs))

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        return self.layer.resolution(beyond)

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        return StepLayer(self, axis) if axis == 0 else None

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        sequences = [lowering.builder.aligned(x, (0,)) for x in inputs]
        body = ProgramBuilder()
        items = [body_input(body, f"item{k}", step_type(x.type)) for k, x in enumerate(sequences)]
        result = self.layer.lower(replace(lowering, builder=body), items)
        return lowering.builder.scan(body.program([("result", result)]), [], sequences)


def _steps(inputs: Sequence[Floats]) -> list[Floats]:
    """Time steps as samples."""
    return [x.reshape(-1, *x.shape[2:]) for x in inputs]


def over_time(layer: Layer, inputs: Sequence[Shape], steps: int) -> Layer:
    """``layer``, made for operands of shapes ``inputs``, on ``steps`` of them."""
    return layer.over_steps(steps, inputs) or TimeDistributed(layer)


EXAMPLES = (Example(TimeDistributed(Dense(quarters(2, 2), as_weights([0.5, -0.25]))), ((3, 2),)),)
