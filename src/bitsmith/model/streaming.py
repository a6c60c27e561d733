"""Models over time as models that take one step of it a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.building.notes import note_on_states
from bitsmith.compiler import Source, compile_network
from bitsmith.errors import InputDataError, UnsupportedError
from bitsmith.fidelity.certificate import certify
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Shape
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.past import Past
from bitsmith.model.model import Model
from bitsmith.options.signature import answering

_ONCE = -1
"""The axis of time of results that a whole sequence has one of."""

_ACCEPTED = (
    "causal convolutions or ones without padding, recurrent layers that give sequences, layers that act on each step"
)
_REMEDY = "convert the model as a whole, or give with_states a model that hands its states on"


@answering
def streamed(model: Model, axis: int = 0) -> Model:
    """The model that is given one time step a sample, and keeps what it needs of the steps before.

    Its results are those of ``model`` for steps in order: padding in front of a sequence becomes the zeros before the first step.
    Convolutions without padding give a result for each window of steps that ends with the sample: the first ones, before there is
    a whole window, mean nothing, and a note says how many these are. :meth:`Model.reset_states` begins a new sequence.

    Args:
        model: a converted model whose layers look back along time and never ahead: convolutions that are causal or without
            padding, recurrent layers that give sequences, and layers that act on each step.
        axis: the axis of time of its input, counted without that of samples; 1 for channels first.

    Raises:
        InputDataError: a model that was loaded, one of several inputs, or another axis.
        UnsupportedError: a layer that needs several steps at once, by name.

    Examples:
        ```python
        import keras

        causal = keras.layers.Conv1D(4, 3, padding="causal")
        whole = keras.Sequential([keras.Input((16, 3)), causal])
        sequences = np.random.default_rng(0).uniform(-1, 1, (50, 16, 3))
        stream = bitsmith.streamed(bitsmith.convert(whole, calibration=sequences))
        stream.predict(sequences[0][:, None])  # the steps of one sequence
        ```
    """
    source = model.source
    if source is None or len(source.network.inputs) != 1:
        raise InputDataError(
            "a model that was loaded, or has several inputs",
            where="streamed",
            accepted="a converted model of one input",
        )
    network = one_step(source.network, axis)
    frames = None
    if source.calibration is not None:
        moved = np.moveaxis(source.calibration[0], axis + 1, 1)
        frames = [np.moveaxis(moved.reshape(-1, 1, *moved.shape[2:]), 1, axis + 1)]
    compiled = compile_network(network, frames)
    known = certify(network, compiled.network, compiled.program, frames)
    names = [node.name for node in network.nodes if node.layer.stateful]
    notes = (*compiled.notes, *([note_on_states(names)] if names else []))
    return Model(compiled.network, compiled.program, model.target, notes, known, Source(network, frames, None))


def one_step(network: Network, axis: int) -> Network:
    """``network`` for samples that are single steps along ``axis`` of its input.

    Raises:
        InputDataError: an axis that there is not.
        UnsupportedError: a layer that needs several steps at once.
    """
    (name,) = network.inputs
    shapes = network.shapes()
    if not 0 <= axis < len(shapes[name]):
        accepted = f"an axis of the input's shape {shapes[name]}"
        raise InputDataError(f"the axis {axis} of time", where="streamed", accepted=accepted)
    return _Steps(network, shapes, axis).network()


class _Steps:
    """Translates a network node by node."""

    def __init__(self, network: Network, shapes: dict[str, Shape], axis: int) -> None:
        self._before, self._shapes = network, shapes
        (self._input,) = network.inputs
        self._steps = shapes[self._input][axis]
        self._axes: dict[str, int | None] = {self._input: axis}
        self._late: dict[str, int] = {self._input: 0}
        self._taken = {node.name for node in network.nodes}
        self._nodes: list[NetworkNode] = []
        self._made: dict[str, Shape] = {}

    def network(self) -> Network:
        """The network of steps."""
        for node in self._before.nodes:
            self._translate(node)
        for name in self._before.outputs:
            axis = self._axes[name]
            if axis is None or (axis != _ONCE and self._shapes[name][axis] != self._steps - self._late[name]):
                raise self._refused(name, "a result without a step for each of the input")
        early = (
            f"The first {self._late[name]} results of {name!r} come before the first whole window of steps."
            for name in self._before.outputs
            if self._late[name]
        )
        return replace(self._before.with_nodes(self._nodes), notes=(*self._before.notes, *early))

    def _translate(self, node: NetworkNode) -> None:
        if node.name == self._input:
            axis = self._axes[node.name]
            assert isinstance(node.layer, Input) and axis is not None
            shape = node.layer.shape
            self._emit(replace(node, layer=replace(node.layer, shape=(*shape[:axis], 1, *shape[axis + 1 :]))))
            return
        timed = [each for each in node.inputs if self._axes[each] is not None]
        axes = {self._axes[each] for each in timed}
        self._late[node.name] = late = max((self._late[each] for each in timed), default=0)
        if not timed or (late and all(self._is_once(each) for each in timed)):
            self._axes[node.name] = _ONCE if timed else None
            self._emit(node)
            return
        axis = axes.pop()
        if axes or axis is None or len(timed) < len(node.inputs):
            raise self._refused(node.name, "operands that have time along different axes, or not at all")
        if any(self._late[each] < late for each in timed):
            raise self._refused(node.name, "operands of which some are later than others")
        step = node.layer.step_by_step(axis, [self._shapes[each] for each in node.inputs])
        if step is None:
            raise self._refused(node.name, f"{node.layer.kind}, which needs several steps at once")
        if late and (step.past > step.late or step.layer.stateful):
            raise self._refused(node.name, f"{node.layer.kind} that begins with the first whole window of steps")
        inputs = node.inputs
        # A layer of zeros in front has the steps before that a convolution without padding needs.
        given = min(step.late, *(self._made[each][axis] - 1 for each in timed))
        past, own = step.past - given, step.late - given
        if past:
            name = free_name(f"{node.name}_past", self._taken)
            self._emit(NetworkNode(name, Past(past, axis, stateful=True), inputs, source="Past", inner=True))
            inputs = (name,)
        self._axes[node.name], self._late[node.name] = step.axis, late + own
        self._emit(replace(node, layer=step.layer, inputs=inputs))
        whole = self._shapes[node.name][step.axis] + self._late[node.name]
        if self._made[node.name][step.axis] - 1 != whole - self._steps:
            raise self._refused(node.name, f"{node.layer.kind} that changes the number of steps")

    def _is_once(self, name: str) -> bool:
        """True if a whole sequence has one result of the node."""
        axis = self._axes[name]
        return axis == _ONCE or (axis is not None and self._shapes[name][axis] == 1)

    def _emit(self, node: NetworkNode) -> None:
        try:
            self._made[node.name] = node.layer.output_shape([self._made[each] for each in node.inputs])
        except UnsupportedError:
            raise self._refused(node.name, f"{node.layer.kind} that looks ahead, or leaves steps out") from None
        self._nodes.append(node)

    @staticmethod
    def _refused(name: str, found: str) -> UnsupportedError:
        return UnsupportedError(found, where=f"layer {name!r}", accepted=_ACCEPTED, remedy=_REMEDY)
