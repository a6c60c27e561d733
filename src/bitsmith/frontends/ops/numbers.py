"""Tests for what is no number: every fixed-point number is one, while frameworks may compute NaN or infinity."""

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Value
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats

_SIZES = (0.0, 0.1, 1.0, 10.0)
"""Magnitudes of the numbers in each sample."""


def check_numbers(draft: Draft, *values: Value) -> None:
    """Check that frameworks compute a number for each element, as samples of several magnitudes show.

    Raises:
        UnsupportedError: they compute NaN or infinity for some, and the circuit a number.
    """
    needed, results = draft.needed([x.node for x in values if isinstance(x.node, int)]), dict[int, Floats]()
    if all(draft.nodes[number].layer.traits.total for number in needed):
        return
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for number in needed:
            layer = draft.nodes[number].layer
            operands = [results[operand] for operand in draft.nodes[number].inputs]
            results[number] = layer.reference([_samples(layer, rng)] if isinstance(layer, Input) else operands)
    if not all(np.all(np.isfinite(results[x.node])) for x in values if isinstance(x.node, int)):
        first = next(number for number in needed if not np.all(np.isfinite(results[number])))
        raise UnsupportedError(
            f"a test for results of {draft.nodes[first].layer.kind} that are no numbers",
            accepted="results that are numbers for any inputs",
            remedy="test the operand instead, as where(x > 0, log(x), 0) does",
        )


def _samples(layer: Input, rng: np.random.Generator) -> Floats:
    """A sample of each magnitude, of integers if the input has them."""
    sizes = np.reshape(_SIZES, (-1, *(1,) * len(layer.shape)))
    values = layer.scaled(rng.normal(size=(len(_SIZES), *layer.shape)) * sizes)
    if layer.integer:
        values = np.rint(values)
    return values if layer.limits is None else np.clip(values, *layer.limits)
