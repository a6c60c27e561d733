"""Layers of spiking networks over time, from nodes that know of no time and have their channels first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.input_shapes import InputShapes, sample_shapes
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.shape import Permute, Reshape
from bitsmith.layers.spiking import Neurons
from bitsmith.layers.time_distributed import over_time

Axes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """The time steps of a sample; None if each sample is a step, and states live on from one to the next."""

    steps: int | None

    @staticmethod
    def of(shapes: InputShapes | None, items: Sequence[Shape]) -> Times:
        """The steps that the user's input shapes say, for inputs whose steps have the shapes ``items``.

        Raises:
            ConfigError: shapes that do not fit.
        """
        wanted = list(items) if shapes is None else list(sample_shapes(shapes, examples=False))
        if wanted == list(items):
            return Times(None)
        steps = {shape[0] for shape in wanted}
        if len(steps) == 1 and [shape[1:] for shape in wanted] == list(items):
            return Times(steps.pop())
        raise ConfigError(
            f"the input shape {', '.join(map(str, wanted))}",
            accepted=f"{', '.join(map(str, items))}, and every sample is a time step; or the same with an axis of time before",
        )


class SpikingBuilder:
    """Emits nodes of a network; names of nodes stand for their results."""

    def __init__(self, times: Times, where: str) -> None:
        self._times, self._where = times, where
        self._names = UniqueNames()
        self._nodes: list[NetworkNode] = []
        self._shapes: dict[str, Shape] = {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []

    def _emit(self, name: str, source: str, layer: Layer, *inputs: str, inner: bool = False) -> str:
        taken = self._names.take(name)
        try:
            self._shapes[taken] = layer.output_shape([self._shapes[each] for each in inputs])
        except UnsupportedError as error:
            raise UnsupportedError(
                error.found, where=f"{self._where}, node {name!r}", accepted=error.accepted, remedy=error.remedy
            ) from None
        self._nodes.append(NetworkNode(taken, layer, inputs, source=source, inner=inner))
        return taken

    def _each(self, name: str, source: str, layer: Layer, x: str) -> str:
        """``layer`` on each step of ``x``."""
        steps, *item = self._shapes[x]
        return self._emit(name, source, over_time(layer, [tuple(item)], steps), x)

    def item(self, x: str) -> Shape:
        """The shape of a step of ``x``, its channels last."""
        return self._shapes[x][1:]

    def input(self, name: str, item: Shape) -> str:
        """An input whose steps have the shape ``item``, its channels first."""
        shape = item if self._times.steps is None else (self._times.steps, *item)
        x = self._emit(name, "Input", Input(shape))
        self._inputs.append(x)
        if self._times.steps is None:
            x = self._emit(f"{name}_step", "Input", Reshape((1, *item)), x, inner=True)
        return self._permuted(x, _last(len(item)))

    def output(self, x: str) -> None:
        """``x`` as an output of the network."""
        item = self.item(x)
        x = self._permuted(x, _first(len(item)))
        if self._times.steps is None:
            x = self._emit(f"{x}_step", "Output", Reshape(self.item(x)), x, inner=True)
        self._outputs.append(x)

    def _permuted(self, x: str, perm: Axes) -> str:
        if perm == tuple(range(len(perm))):
            return x
        return self._emit(f"{x}_axes", "Permute", Permute(perm), x, inner=True)

    def dense(self, name: str, source: str, x: str, weight: Floats, bias: Floats | None) -> str:
        """``weight`` (out, in) by each step of ``x`` (in,)."""
        if weight.ndim != 2 or len(self.item(x)) != 1:
            raise UnsupportedError(
                f"weights of shape {weight.shape} on steps of shape {self.item(x)}",
                where=f"{self._where}, node {name!r}",
                accepted="weights (out, in) on steps of one axis",
            )
        return self._emit(name, source, Dense(as_weights(weight.T), None if bias is None else as_weights(bias)), x)

    def conv(
        self,
        name: str,
        source: str,
        x: str,
        kernel: Floats,
        bias: Floats | None,
        strides: Axes,
        padding: tuple[tuple[int, int], ...],
        dilation: Axes,
        groups: int,
    ) -> str:
        """A convolution with a ``kernel`` (out, in // groups, *size)."""
        moved = as_weights(np.moveaxis(kernel, (0, 1), (-1, -2)))
        layer = Conv(moved, None if bias is None else as_weights(bias), strides, dilation, padding, groups)
        return self._each(name, source, layer, x)

    def pool(self, name: str, source: str, x: str, layer: AveragePool | MaxPool) -> str:
        """Windows of each step."""
        return self._each(name, source, layer, x)

    def flat(self, name: str, source: str, x: str) -> str:
        """All axes of each step as one, channels first."""
        x = self._permuted(x, _first(len(self.item(x))))
        steps, *item = self._shapes[x]
        return self._emit(name, source, Reshape((steps, int(np.prod(item)))), x)

    def scaled(self, name: str, source: str, x: str, scale: Floats, offset: Floats | None = None) -> str:
        """``x * scale + offset``, with numbers for all elements or for each channel; ``x`` itself if that is the same."""
        if bool(np.all(scale == 1.0)) and (offset is None or not np.any(offset)):
            return x
        channels = self.item(x)[-1]
        factors = self._of_channels(scale, channels, name)
        offsets = self._of_channels(np.zeros(1) if offset is None else offset, channels, name)
        return self._emit(name, source, BatchNormalization(factors, offsets), x)

    def _of_channels(self, values: Floats, channels: int, name: str) -> Floats:
        """A number for each channel, from numbers for all elements, the channels first."""
        alike = values.reshape(values.shape[0], -1) if values.ndim > 1 else values.reshape(-1, 1)
        if bool(np.any(alike != alike[:, :1])):
            raise UnsupportedError(
                "factors that differ within a channel",
                where=f"{self._where}, node {name!r}",
                accepted="one for each channel, or for all",
            )
        return as_weights(np.broadcast_to(alike[:, 0], channels))

    def neurons(self, name: str, source: str, x: str, layer: Neurons) -> str:
        """Neurons whose parameters have the channels first."""
        moved = {
            variable: as_weights(_parameter(values, len(self.item(x)), variable == "recurrent_weight"))
            for variable, values in layer.weights().items()
        }
        timed = replace(layer, stateful=self._times.steps is None)
        return self._emit(name, source, timed.with_weights(moved), x)

    def sum(self, name: str, xs: Sequence[str]) -> str:
        """The sum of all that comes to a node."""
        return xs[0] if len(xs) == 1 else self._emit(f"{name}_sum", "Add", Add(), *xs, inner=True)

    def network(self, name: str, notes: Sequence[str]) -> Network:
        """The network that was emitted."""
        return Network(tuple(self._nodes), tuple(self._inputs), tuple(self._outputs), name, tuple(notes))


def _parameter(values: Floats, rank: int, matrix: bool) -> Floats:
    """A parameter of neurons with the channels last; one number for all as such."""
    if matrix:
        return values
    if values.size == 1:
        return values.reshape(())
    return np.moveaxis(values, 0, -1) if values.ndim == rank else values


def _last(rank: int) -> Axes:
    """The order of the axes, after time, that puts channels last."""
    return (0, *range(2, rank + 1), 1)


def _first(rank: int) -> Axes:
    """The order of the axes, after time, that puts channels first again."""
    return (0, rank, *range(1, rank))


def number(values: Mapping[str, Floats | str], name: str, where: str) -> Floats:
    """A parameter that must be there, as numbers.

    Raises:
        UnsupportedError: it is missing, or something else.
    """
    found = values.get(name)
    if not isinstance(found, np.ndarray):
        raise UnsupportedError(f"{name} is {'missing' if found is None else found!r}", where=where, accepted="numbers")
    return found
