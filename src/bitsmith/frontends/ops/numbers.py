"""Tests for what is no number: every fixed-point number is one, while frameworks may compute NaN or infinity."""

import math

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Value
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats

_LEAST, _MOST = 2.0**-6, 2.0**14
"""Magnitudes of samples, beside 0; large ones leave the domain of a root with an offset."""

_ELEMENTS, _SAMPLES = 1 << 10, 8
"""Numbers of all samples of an input, and samples, at least."""


def check_numbers(draft: Draft, *values: Value) -> None:
    """Check that frameworks compute a number for each element, as samples of several magnitudes show.

    Raises:
        UnsupportedError: they compute NaN or infinity for some, and the circuit a number.
    """
    needed, results = draft.needed([x.node for x in values if isinstance(x.node, int)]), dict[int, Floats]()
    if all(draft.nodes[number].layer.traits.total for number in needed):
        return
    layers, rng = {number: draft.nodes[number].layer for number in needed}, np.random.default_rng(0)
    inputs = [math.prod(layer.shape) for layer in layers.values() if isinstance(layer, Input)]
    count = max(_ELEMENTS // max(min(inputs, default=1), 1), _SAMPLES)
    sizes = np.array([0.0, *np.geomspace(_LEAST, _MOST, count)])
    with np.errstate(all="ignore"):
        for number, layer in layers.items():
            operands = [results[operand] for operand in draft.nodes[number].inputs]
            result = layer.reference([_samples(layer, sizes, rng)] if isinstance(layer, Input) else operands)
            results[number] = np.broadcast_to(result, (len(sizes), *result.shape[1:]))  # a constant, for each sample
    if not all(np.all(np.isfinite(results[x.node])) for x in values if isinstance(x.node, int)):
        first = next(number for number in needed if not np.all(np.isfinite(results[number])))
        raise UnsupportedError(
            f"a test for results of {draft.nodes[first].layer.kind} that are no numbers",
            accepted="results that are numbers for any inputs",
            remedy="test the operand instead, as where(x > 0, log(x), 0) does",
        )


def _samples(layer: Input, sizes: Floats, rng: np.random.Generator) -> Floats:
    """A sample of each magnitude, of integers if the input has them."""
    magnitudes = sizes.reshape(-1, *(1,) * len(layer.shape))
    values = layer.scaled(rng.normal(size=(len(sizes), *layer.shape)) * magnitudes)
    if layer.integer:
        values = np.rint(values)
    return values if layer.limits is None else np.clip(values, *layer.limits)
