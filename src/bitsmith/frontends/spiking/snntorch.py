"""Reader of live modules of snnTorch 0.9 and newer: ``torch.nn.Sequential`` of its neurons and of layers of PyTorch.

The equations are those of ``snntorch/_neurons``; its states are 0 before the first step. A neuron fires where its membrane is
greater than its threshold. By default it is reset one step later, after the decay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bitsmith.errors import ConfigError, UnsupportedError, one_of
from bitsmith.frontends.input_shapes import InputShapes, sample_shapes
from bitsmith.frontends.outputs import Numbers
from bitsmith.frontends.spiking import is_neuron
from bitsmith.frontends.spiking.layers import SpikingBuilder, Times
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.spiking import Neurons, Reset

if TYPE_CHECKING:
    import torch

_QUANTIZED = (
    "The states of {} are quantized by a function, which is not read: give the formats of its state and current "
    "as precisions."
)


def read_snntorch(module: torch.nn.Module, shapes: InputShapes | None) -> Network:
    """The network of a module.

    Raises:
        ConfigError: no shape of the input.
        UnsupportedError: a layer that cannot be translated.
    """
    layers = list(_layers(module, ""))
    samples = sample_shapes(shapes, examples=False)
    rank = _rank(layers)
    if len(samples) != 1 or len(samples[0]) not in (rank, rank + 1):
        raise ConfigError(
            f"the input shape {shapes!r}",
            accepted=f"time and {rank} axes, such as (25, {', '.join(['28'] * rank)}); "
            "without time every sample is a time step",
        )
    item = samples[0][-rank:]
    builder = SpikingBuilder(Times.of(shapes, [item]), "the snnTorch module")
    x, notes = builder.input("input", item), list[str]()
    for name, layer in layers:
        kind = type(layer).__name__
        known = one_of(_KINDS, kind, f"the layer {kind}", f"the snnTorch module, {name}")
        x = known.read(builder, f"{name}_{kind.lower()}" if name.isdecimal() else name, layer, x)
        if getattr(layer, "state_quant", False):
            notes.append(_QUANTIZED.format(name))
    builder.output(x)
    return builder.network("snntorch", notes)


def _rank(layers: Sequence[tuple[str, torch.nn.Module]]) -> int:
    """The axes of a step of the input."""
    kinds = (_KINDS.get(type(layer).__name__) for _, layer in layers)
    return next((kind.rank for kind in kinds if kind is not None and kind.rank is not None), 1)


def _layers(module: torch.nn.Module, prefix: str) -> Iterator[tuple[str, torch.nn.Module]]:
    """The layers of a module in their order."""
    if is_neuron(module) or not list(module.children()):
        yield prefix or "layer", module
        return
    if type(module).__name__ != "Sequential":
        raise UnsupportedError(
            f"the module {type(module).__name__}, whose loop over time is its own",
            where=f"the snnTorch module{', ' * bool(prefix)}{prefix}",
            accepted="torch.nn.Sequential of layers, with neurons of init_hidden=True",
            remedy="put the same layers into a Sequential, or export the module to NIR",
        )
    for name, child in module.named_children():
        yield from _layers(child, f"{prefix}.{name}" if prefix else name)


def run_snntorch(module: torch.nn.Module, inputs: Sequence[Numbers]) -> Floats:
    """The spikes of a module, step by step from states of 0 on; what it remembers is as before afterwards."""
    import torch

    x = torch.as_tensor(np.asarray(inputs[0], dtype=np.float32))
    neurons = [each for each in module.modules() if is_neuron(each)]
    kept = [
        (each, name, getattr(each, name)) for each in neurons for name in ("mem", "syn", "spk") if hasattr(each, name)
    ]
    timed = x.ndim == _rank(list(_layers(module, ""))) + 2
    samples = x.transpose(0, 1) if timed else x[:, None]
    try:
        with torch.no_grad():
            for neuron, name, _ in kept:
                setattr(neuron, name, torch.zeros(0))
            steps = [module(step) for step in samples]
    finally:
        for neuron, name, value in kept:
            setattr(neuron, name, value)
    results = [step[0] if isinstance(step, tuple) else step for step in steps]
    stacked: Floats = (torch.stack(results, 1) if timed else torch.cat(results)).double().cpu().numpy()
    return stacked


def _array(value: Any) -> Floats:
    """A parameter, which may be a number."""
    return as_weights(value.detach().double().cpu().numpy() if hasattr(value, "detach") else value)


def _optional(value: Any) -> Floats | None:
    return None if value is None else _array(value)


# Layers of PyTorch have attributes of any type.
def _linear(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    return builder.dense(name, "Linear", x, _array(layer.weight), _optional(layer.bias))


def _conv(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise UnsupportedError(
            f"padding {layer.padding!r} of mode {layer.padding_mode!r}", where=name, accepted="numbers of zeros"
        )
    padding = tuple((each, each) for each in layer.padding)
    kind = type(layer).__name__
    weights = _array(layer.weight), _optional(layer.bias)
    return builder.conv(name, kind, x, *weights, layer.stride, padding, layer.dilation, layer.groups)


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _average(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    if layer.divisor_override is not None:
        raise UnsupportedError("divisor_override", where=name, accepted="the mean")
    layer = AveragePool(
        _pair(layer.kernel_size),
        _pair(layer.stride),
        tuple((each, each) for each in _pair(layer.padding)),
        ceil_mode=layer.ceil_mode,
        count_include_pad=layer.count_include_pad,
    )
    return builder.pool(name, "AvgPool2d", x, layer)


def _greatest(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    padding = tuple((each, each) for each in _pair(layer.padding))
    pool = MaxPool(
        _pair(layer.kernel_size), _pair(layer.stride), padding, _pair(layer.dilation), ceil_mode=layer.ceil_mode
    )
    return builder.pool(name, "MaxPool2d", x, pool)


def _flatten(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise UnsupportedError(f"start_dim {layer.start_dim}, end_dim {layer.end_dim}", where=name, accepted="1, -1")
    return builder.flat(name, "Flatten", x)


def _same(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    return x


def _reset(layer: Any, name: str, *, plain: bool) -> Reset:
    """The reset of a neuron; ``plain`` ones have one state, which the current of the same step joins after the reset."""
    threshold, mechanism = _array(layer.threshold), layer._reset_mechanism
    delayed = getattr(layer, "reset_delay", True)  # which Lapicque's neurons always are
    if bool(np.any(threshold < 0.0)) or layer.inhibition:
        raise UnsupportedError(
            "inhibition" if layer.inhibition else "a threshold below 0",
            where=f"the snnTorch module, {name}",
            accepted="neurons that fire on their own, with thresholds of 0 and more",
        )
    if mechanism == "none":
        return Reset.NONE
    if mechanism == "zero":
        return Reset.VALUE if plain or not delayed else Reset.HELD
    if not delayed:
        raise UnsupportedError(
            "reset_mechanism='subtract' with reset_delay=False",
            where=f"the snnTorch module, {name}",
            accepted="reset_delay=True, or reset_mechanism='zero'",
            remedy="a membrane beyond twice its threshold is reset twice there, by rules that depend on the step before",
        )
    return Reset.LATER


def _neurons(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    """``Leaky``, ``Synaptic``, and the same with spikes that come back."""
    kind = type(layer).__name__
    kernel, recurrent = None, kind.startswith("R")
    if recurrent:
        kernel, bias = _recurrent(layer, name, builder.item(x))
        x = builder.scaled(f"{name}_current", kind, x, np.ones(1), bias)
    synapse = np.clip(_array(layer.alpha), 0.0, 1.0) if hasattr(layer, "alpha") else None
    neurons = Neurons(
        as_weights(np.clip(_array(layer.beta), 0.0, 1.0)),
        _array(layer.threshold),
        _reset(layer, name, plain=not recurrent and synapse is None),
        synapse=None if synapse is None else as_weights(synapse),
        kernel=kernel,
    )
    spikes = builder.neurons(name, kind, x, neurons)
    factor = _array(layer.graded_spikes_factor).reshape(-1)
    if recurrent and bool(np.any(factor != 1.0)):
        raise UnsupportedError("graded spikes that come back", where=name, accepted="graded_spikes_factor=1")
    return builder.scaled(f"{name}_graded", kind, spikes, factor)


def _lapicque(builder: SpikingBuilder, name: str, layer: Any, x: str) -> str:
    """``Lapicque``: the circuit of a resistance and a capacitance, by Euler's method."""
    step, resistance, capacitance = (_array(value) for value in (layer.time_step, layer.R, layer.C))
    x = builder.scaled(f"{name}_current", "Lapicque", x, as_weights(step / capacitance).reshape(-1))
    decay = as_weights(1.0 - step / (resistance * capacitance))
    made = Neurons(decay, _array(layer.threshold), _reset(layer, name, plain=False))
    spikes = builder.neurons(name, "Lapicque", x, made)
    return builder.scaled(f"{name}_graded", "Lapicque", spikes, _array(layer.graded_spikes_factor).reshape(-1))


def _recurrent(layer: Any, name: str, item: Shape) -> tuple[Floats, Floats | None]:
    """The weights of spikes that come back, and their bias."""
    weights = getattr(layer.recurrent, "weight", None)
    if not layer.all_to_all:
        factors = np.broadcast_to(_array(layer.recurrent.V), item)
        return as_weights(np.diag(factors)), None
    if weights is None or weights.ndim != 2:
        raise UnsupportedError("spikes that come back by a convolution", where=name, accepted="linear_features")
    return as_weights(_array(weights).T), _optional(layer.recurrent.bias)


@dataclass(frozen=True, slots=True)
class _Kind:
    """The facts of a class of layers: its translation, and the axes of an item that it takes; None of any number."""

    read: Callable[[SpikingBuilder, str, Any, str], str]
    rank: int | None


_KINDS = {
    "Linear": _Kind(_linear, 1),
    "Conv1d": _Kind(_conv, 2),
    "Conv2d": _Kind(_conv, 3),
    "AvgPool2d": _Kind(_average, 3),
    "MaxPool2d": _Kind(_greatest, 3),
    "Flatten": _Kind(_flatten, None),
    "Dropout": _Kind(_same, None),
    "Identity": _Kind(_same, None),
    "Lapicque": _Kind(_lapicque, None),
    "Leaky": _Kind(_neurons, None),
    "Synaptic": _Kind(_neurons, None),
    "RLeaky": _Kind(_neurons, None),
    "RSynaptic": _Kind(_neurons, None),
}
