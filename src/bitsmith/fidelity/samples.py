"""The inputs on which a program and the float model are compared: few, so that a conversion hardly takes longer."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.ir.types import FixedFormat
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settled import decided_inputs, is_quantized, resolution_of
from bitsmith.passes.network.calibration import generated

SAMPLES = 64
SAMPLES_OF_DECISIONS = 1024
"""Samples where layers decide, of the user's or in steps of the user's: a single one of hundreds may be on another side."""

SAMPLES_OF_RANGES = 4096
"""Samples where the user states the ranges of all inputs, so that the worst of them says what is the worst within these."""

_LEAST_SAMPLES = 2
_ELEMENTS, _ALL_ELEMENTS = 1 << 20, 1 << 24
"""Elements of the largest tensor, and of all, above which fewer samples are compared: positions are samples enough."""


def samples(network: Network, calibration: Sequence[Floats] | None) -> list[Floats]:
    """A few of the calibration data, evenly spaced, or generated inputs; all in single precision, as frameworks take them."""
    sizes = [max(math.prod(shape), 1) for shape in network.shapes().values()]
    rounded = is_quantized(network) and any(node.is_given for node in network.nodes)
    decides = rounded or (calibration is not None and any(node.layer.jumps for node in network.nodes))
    unstated = any(network.input(name).least is None for name in network.inputs)
    most = SAMPLES_OF_RANGES if not unstated else SAMPLES_OF_DECISIONS if decides else SAMPLES
    count = min(max(min(_ELEMENTS // max(sizes), _ALL_ELEMENTS // sum(sizes)), _LEAST_SAMPLES), most)
    if calibration is None:
        drawn = generated(_with_ranges_of_the_model(network), count)
        batches = [_fitting(network, name, x) for name, x in zip(network.inputs, drawn, strict=True)]
    else:
        total = len(calibration[0])
        picked = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
        batches = [batch[picked] for batch in calibration]
    return [_single(network, name, batch) for name, batch in zip(network.inputs, batches, strict=True)]


def without_data(network: Network, calibration: object, tests: object) -> str:
    """Return what takes the place of data that are not given, and what to do; empty where nothing is missing."""
    if calibration is not None or not network.unknown_inputs():
        return ""
    scores = " and scores" * (tests is None)
    return f"No calibration data: formats{scores} are those of generated inputs; give samples as calibration"


def _single(network: Network, name: str, batch: Floats) -> Floats:
    """Numbers in single precision, each on its side of the thresholds that it is compared with."""
    nearest = batch.astype(np.float32)
    told = resolution_of(network, name)
    if told is not None and told.edges is not None and len(told.edges) == batch.shape[-1]:
        beside = np.nextafter(nearest, np.where(nearest > batch, -np.inf, np.inf).astype(np.float32))
        for k, edges in enumerate(told.edges):
            crossed = np.searchsorted(edges, nearest[..., k]) != np.searchsorted(edges, batch[..., k])
            nearest[..., k] = np.where(crossed, beside[..., k], nearest[..., k])
    return nearest.astype(np.float64)


def _with_ranges_of_the_model(network: Network) -> Network:
    """The network without the user's formats of inputs that the model quantizes: those may be narrower than its own."""
    return network.with_changed(
        decided_inputs(network), lambda node: replace(node, settings=replace(node.settings, precision={}))
    )


def between_steps(network: Network, calibration: Sequence[Floats] | None) -> list[str]:
    """The inputs whose readers tell numbers apart between the circuit's steps, in which :func:`samples` has all of them."""
    if calibration is not None:
        return []
    stepped = (name for name in network.inputs if _own_steps(network.node(name), network))
    return [name for name in stepped if resolution_of(network, name) is None]


def _fitting(network: Network, name: str, batch: Floats) -> Floats:
    """Generated numbers as ones that the input takes: integers where it takes these, and in its steps if others would show a
    quantized model that another code is nearest. What a format of the user's rounds away counts.
    """
    node = network.node(name)
    assert isinstance(node.layer, Input)
    if node.layer.own_grid is not None:
        return node.layer.own_grid.applied(batch)
    fmt, steps = _format(node), _own_steps(node, network)
    if fmt.frac > 0 and not node.layer.integer and not steps:
        return batch
    whole = np.ldexp(np.rint(np.ldexp(batch, steps)), -steps)
    whole = np.clip(whole, math.ldexp(fmt.lo, -fmt.frac), math.ldexp(fmt.hi, -fmt.frac))
    return np.minimum(whole, node.layer.entries - 1) if node.layer.entries is not None else whole


def _format(node: NetworkNode) -> FixedFormat:
    """The format of an input that no data tell of."""
    assert isinstance(node.layer, Input)
    return node.settings.precision.get("result", node.layer.default_format(node.settings.result_bits))


def _own_steps(node: NetworkNode, network: Network) -> int:
    """The fractional bits of an input of a quantized model that neither this nor the user decides; 0 of any other."""
    assert isinstance(node.layer, Input)
    decided = "result" in node.settings.precision or node.layer.quantizer is not None or node.layer.integer
    return _format(node).frac if is_quantized(network) and not decided else 0
