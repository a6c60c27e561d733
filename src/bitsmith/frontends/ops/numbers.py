"""Tests for NaN and infinity: every fixed-point number is finite, while frameworks may compute others."""

import math
from collections.abc import Sequence

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Value
from bitsmith.layers.enclosure import Enclosure, between_turns
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.network import APPROXIMATE

_LEAST, _MOST = 2.0**-6, 2.0**14
"""Magnitudes of samples, beside 0; large ones leave the domain of a root with an offset."""

_ANY = 2.0**40
"""The greatest magnitude of what nothing is known of: its square is a number in single precision, too."""

_ELEMENTS, _SAMPLES = 1 << 10, 8
"""Numbers of all samples of an input, and samples, at least."""


def check_numbers(build: Builder, *values: Value) -> None:
    """Check that frameworks compute a finite number for each element, by intervals, else by samples, which a note then says.

    Raises:
        UnsupportedError: they compute NaN or infinity for some, and the circuit a number.
    """
    draft, numbers = build.draft, [x.node for x in values if isinstance(x.node, int)]
    doubtful = _doubtful(draft, numbers)
    if doubtful is None:
        return
    layers = {number: draft.nodes[number].layer for number in draft.needed(numbers)}
    results, rng = dict[int, Floats](), np.random.default_rng(0)
    inputs = [math.prod(layer.shape) for layer in layers.values() if isinstance(layer, Input)]
    count = max(_ELEMENTS // max(min(inputs, default=1), 1), _SAMPLES)
    sizes = np.array([0.0, *np.geomspace(_LEAST, _MOST, count)])
    with np.errstate(all="ignore"):
        for number, layer in layers.items():
            operands = [results[operand] for operand in draft.nodes[number].inputs]
            result = layer.reference([_samples(layer, sizes, rng)] if isinstance(layer, Input) else operands)
            results[number] = np.broadcast_to(result, (len(sizes), *result.shape[1:]))  # a constant, for each sample
    if not all(np.all(np.isfinite(results[number])) for number in numbers):
        first = next(number for number in layers if not np.all(np.isfinite(results[number])))
        raise UnsupportedError(
            f"a test for results of {layers[first].kind} that are NaN or infinity",
            accepted="results that are finite numbers for any inputs",
            remedy="test the operand instead, as where(x > 0, log(x), 0) does",
        )
    name, kind = draft.origins[draft.nodes[doubtful].origin].name, layers[doubtful].kind
    draft.approximated.append(
        f"{APPROXIMATE}{build.where}: a test for NaN or infinity, which {kind} in {name} may give for rare inputs; instead all "
        "results count as finite. Keep its operands where it is defined, as log(clip(x, 1e-6, 1e6)) does."
    )


def _samples(layer: Input, sizes: Floats, rng: np.random.Generator) -> Floats:
    """A sample of each magnitude, of integers if the input has them."""
    magnitudes = sizes.reshape(-1, *(1,) * len(layer.shape))
    values = layer.scaled(rng.normal(size=(len(sizes), *layer.shape)) * magnitudes)
    if layer.integer:
        values = np.rint(values)
    return values if layer.limits is None else np.clip(values, *layer.limits)


def _doubtful(draft: Draft, numbers: Sequence[int]) -> int | None:
    """Return the first node of which intervals do not prove that it, and what depends on it, is defined; None: all are."""
    needed = draft.needed(numbers)
    if all(draft.nodes[number].layer.traits.total for number in needed):
        return None
    known = dict[int, Enclosure]()
    with np.errstate(all="ignore"):
        for number in needed:
            layer = draft.nodes[number].layer
            enclosed = _enclosed(layer, [known[operand] for operand in draft.nodes[number].inputs])
            ends = () if enclosed is None else (enclosed.least, enclosed.most)
            finite = not layer.traits.total or number in numbers
            if enclosed is None or any(np.any(~np.isfinite(end) if finite else np.isnan(end)) for end in ends):
                return number
            known[number] = enclosed
    return None


def _enclosed(layer: Layer, operands: Sequence[Enclosure]) -> Enclosure | None:
    """The ends of a result, if it is defined, else None."""
    if isinstance(layer, Input):
        bounds = layer.limits or (-_ANY, _ANY)
        return _exact(*(layer.reference([np.full((1, *layer.shape), float(end))]) for end in bounds))
    if not operands:
        return _exact(*[layer.reference([])] * 2)
    found, total = layer.enclosed(operands, anywhere=True), layer.traits.total
    if found is not None:  # whose error tells divisors around 0, and the like
        return _exact(found.least, found.most) if total or np.all(np.isfinite(found.error)) else None
    if any(np.any(~np.isfinite(end)) for x in operands for end in (x.least, x.most)):
        return None
    turns = layer.turning(float(operands[0].least.min()), float(operands[0].most.max()))
    if turns is not None:
        return _exact(*between_turns(layer.reference, turns, operands[0]))
    shape = (1, *layer.output_shape([x.least.shape[1:] for x in operands]))
    most = np.full(shape, 1.0 if layer.bounded else _ANY)
    return _exact(-most, most) if total else None


def _exact(least: Floats, most: Floats) -> Enclosure:
    return Enclosure(least, most, np.zeros(least.shape))
