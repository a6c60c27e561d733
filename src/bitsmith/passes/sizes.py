"""Bounds on what a network computes: conversion takes about 130 bytes of memory for each element of each result."""

from __future__ import annotations

import math

from bitsmith.errors import UnsupportedError
from bitsmith.layers.network import Network

MAX_RESULT = 1 << 22
"""Most elements of one result."""

MAX_RESULTS = 1 << 26
"""Most elements of all results."""


def check_sizes(network: Network) -> None:
    """Refuse a network that is too large to convert.

    Raises:
        UnsupportedError: naming the first layer beyond a bound.
    """
    total = 0
    for name, shape in network.shapes().items():
        elements = math.prod(shape)
        total += elements
        if elements > MAX_RESULT or total > MAX_RESULTS:
            raise UnsupportedError(
                f"a result of shape {shape}",
                where=f"layer {name!r}",
                accepted=f"results of at most {MAX_RESULT} elements, and {MAX_RESULTS} of all layers together",
            )
