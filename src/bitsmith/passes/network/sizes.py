"""Bounds on what a network computes: conversion takes 30 to 130 bytes of memory for each element of each result."""

import math

from bitsmith.errors import UnsupportedError
from bitsmith.layers.network import Network

MAX_RESULT = 1 << 23
"""Most elements of one result."""

MAX_RESULTS = 3 << 25
"""Most elements of all results; a frontend's own permutations, most of which become views, do not count."""


def check_sizes(network: Network) -> None:
    """Refuse a network that is too large to convert.

    Raises:
        UnsupportedError: naming the first layer of more elements than one may have, or else the one that has most.
    """
    inner = {node.name for node in network.nodes if node.inner}
    sizes = {name: math.prod(shape) for name, shape in network.shapes().items() if name not in inner}
    first = next((name for name, size in sizes.items() if size > MAX_RESULT), None)
    if first is not None:
        raise UnsupportedError(
            f"a result of {sizes[first]:,} elements, shape {network.shapes()[first]}",
            where=f"layer {first!r}",
            accepted=f"at most {MAX_RESULT:,}",
            remedy="make its image, sequence or channels smaller",
        )
    total = sum(sizes.values())
    if total > MAX_RESULTS:
        most = max(sizes, key=lambda name: sizes[name])
        raise UnsupportedError(
            f"{len(sizes)} layers with {total:,} elements in all their results; {most!r} has the most, {sizes[most]:,}",
            accepted=f"at most {MAX_RESULTS:,}",
            remedy="make the images or sequences smaller, or split the model into several",
        )
