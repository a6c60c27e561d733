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

_REMEDY = "convert the model as a whole, or give with_states a model that hands its states on"


def streamed(model: Model, axis: int = 0) -> Model:
    """The model that is given one time step a sample, and keeps what it needs of the steps before.

    Its results are those of ``model`` for steps in order: padding in front of a sequence becomes the zeros before the first step.
    :meth:`Model.reset_states` begins a new sequence.

    Args:
        model: a converted model whose layers look back along time and never ahead: causal convolutions, recurrent layers that
            give sequences, and layers that act on each step.
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
        self._taken = {node.name for node in network.nodes}
        self._nodes: list[NetworkNode] = []
        self._made: dict[str, Shape] = {}

    def network(self) -> Network:
        """The network of steps."""
        for node in self._before.nodes:
            self._translate(node)
        for name in self._before.outputs:
            axis = self._axes[name]
            if axis is None or self._shapes[name][axis] != self._steps:
                raise self._refused(name, "a result without a step for each of the input")
        return self._before.with_nodes(self._nodes)

    def _translate(self, node: NetworkNode) -> None:
        if node.name == self._input:
            axis = self._axes[node.name]
            assert isinstance(node.layer, Input) and axis is not None
            shape = node.layer.shape
            self._emit(replace(node, layer=replace(node.layer, shape=(*shape[:axis], 1, *shape[axis + 1 :]))))
            return
        axes = {self._axes[each] for each in node.inputs}
        if axes <= {None}:
            self._axes[node.name] = None
            self._emit(node)
            return
        axis = axes.pop()
        if axes or axis is None:
            raise self._refused(node.name, "operands that have time along different axes, or not at all")
        found = node.layer.step_by_step(axis, [self._shapes[each] for each in node.inputs])
        if found is None:
            raise self._refused(node.name, f"{node.layer.kind}, which needs several steps at once")
        inputs = node.inputs
        if found.past:
            name = free_name(f"{node.name}_past", self._taken)
            self._emit(NetworkNode(name, Past(found.past, axis, stateful=True), inputs, source="Past", inner=True))
            inputs = (name,)
        self._axes[node.name] = found.axis
        self._emit(replace(node, layer=found.layer, inputs=inputs))
        if self._made[node.name][found.axis] - 1 != self._shapes[node.name][found.axis] - self._steps:
            raise self._refused(node.name, f"{node.layer.kind} that changes the number of steps")

    def _emit(self, node: NetworkNode) -> None:
        try:
            self._made[node.name] = node.layer.output_shape([self._made[each] for each in node.inputs])
        except UnsupportedError:
            raise self._refused(node.name, f"{node.layer.kind} that looks ahead, or leaves steps out") from None
        self._nodes.append(node)

    @staticmethod
    def _refused(name: str, found: str) -> UnsupportedError:
        return UnsupportedError(
            found,
            where=f"layer {name!r}",
            accepted="causal convolutions, recurrent layers that give sequences, and layers that act on each step",
            remedy=_REMEDY,
        )
