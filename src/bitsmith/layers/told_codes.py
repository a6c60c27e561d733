"""Ladders of an input: where the quantizers and staircases that read it, directly or beyond other layers, have other codes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from bitsmith.ir.ladders import Ladder, Places
from bitsmith.layers.layer import Shape
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.resolution import ANY
from bitsmith.layers.settled import line_of
from bitsmith.layers.time_distributed import TimeDistributed


def ladders_of(network: Network, name: str) -> tuple[Ladder, ...]:
    """Return the ladders of what reads a node as it is, or beyond layers that pass it on; whatever else reads it."""
    ladders = (each for reader in network.consumers(name) for each in _of_reader(network, reader, name))
    return tuple(dict.fromkeys(each.compact() for each in ladders))


def _of_reader(network: Network, reader: NetworkNode, name: str) -> tuple[Ladder, ...]:
    layer = reader.layer.layer if isinstance(reader.layer, TimeDistributed) else reader.layer
    if isinstance(layer, Quantize):
        return (layer.quantizer.ladder,)  # of those that wrap around, too
    own = layer.resolution(None)
    if own is not None:
        return own.ladders
    seen = layer.resolution(ANY)
    beyond = ladders_of(network, reader.name) if seen is not None or layer.traits.affine else ()
    if not beyond:
        return ()
    shapes = network.shapes()
    if layer.traits.moves_or_pads and not layer.traits.elementwise:
        return tuple(_moved(reader, name, shapes, beyond))
    if seen is None:
        line = line_of(network, reader, name, shapes[name])
        return () if line is None else tuple(each.of_line(*line) for each in beyond)
    passed = layer.resolution(replace(ANY, ladders=beyond))
    return () if passed is None else passed.ladders


def _moved(
    reader: NetworkNode, name: str, shapes: Mapping[str, Shape], ladders: tuple[Ladder, ...]
) -> Iterator[Ladder]:
    """The ladders of what a layer moves: one that is alike for all elements stays one."""
    unlike = [each for each in ladders if any(part.size > 1 for part in each.arrays)]
    yield from (each.of_any_shape() for each in ladders if each not in unlike)
    for sources, places in copies(reader, name, shapes) if unlike else ():
        yield from (each.moved(shapes[name], sources, shapes[reader.name], places) for each in unlike)


def copies(node: NetworkNode, name: str, shapes: Mapping[str, Shape]) -> Iterator[tuple[Places, Places]]:
    """The elements of operand ``name`` that a layer moves, and where to: each at most once, as often as there are copies."""
    size = math.prod(shapes[name])
    first = np.arange(size, dtype=np.float64).reshape(1, *shapes[name])
    others = {each: np.zeros((1, *shapes[each])) for each in node.inputs}
    source, other = (
        node.layer.reference([{**others, name: x}[each] for each in node.inputs]).ravel() for x in (first, first + size)
    )
    moved = np.flatnonzero(other - source == size)  # the others are padding, or of other operands
    sources = source[moved].astype(np.int64)
    order = np.argsort(sources, kind="stable")
    starts = np.searchsorted(sources[order], sources[order])
    numbers = np.arange(len(order)) - starts
    for number in range(int(numbers.max(initial=-1)) + 1):
        chosen = order[numbers == number]
        yield sources[chosen], moved[chosen]
