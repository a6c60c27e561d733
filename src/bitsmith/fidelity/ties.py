"""Decisions of layers that jump: those that single precision leaves open, and the bits that others need.

Frameworks compute in single precision. A number that it does not hold is off by some of its last places, and what is decided
that near to a threshold may be either. All other decisions are the model's.
"""

from collections.abc import Sequence

import numpy as np

from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.traits import Exactness

LAST_PLACE = 2.0**-23
"""Share of a number that its last place in single precision is at most; what is rounded to that is off by half of it."""

_OFF = 4.0 * LAST_PLACE
"""Share of a sample's greatest magnitude by which frameworks' results are off after some roundings."""

_FEW_BITS = 16
"""Bits of numbers that nothing has rounded."""

_OPEN = 1 / 64
"""Share of samples that may be left open: where they are more, as where data are thresholds, a user must hear of them."""

TRIES = 16
"""Draws of such errors: two values that are compared are off to one another in one of four."""

_BESIDE = 2.0**-10
"""Share of half a step that is right beside a number."""

_MOST_BITS = 12
"""Most bits beyond those of ``auto`` that are looked at."""


def decides_anew(node: NetworkNode) -> bool:
    """Return True if the layer rounds and then decides, so that its last place moves a whole result, such as a spike."""
    return node.layer.jumps and node.layer.traits.exactness is Exactness.APPROXIMATE


def decides(layer: Layer) -> bool:
    """Return True if the least change of an operand may lead to another result."""
    jumps = layer.jumps or layer.jumps_within or bool(layer.edges_of_jumps)
    return jumps or layer.traits.exactness is Exactness.GRID


def deciding(layer: Layer) -> Sequence[Layer]:
    """The layer if it jumps, or a staircase of the places at which it does among others; nothing of one that never does."""
    if layer.jumps:
        return [layer]
    edges = layer.edges_of_jumps
    return [Staircase(as_weights(edges), as_weights(range(len(edges) + 1)))] if edges else []


def open_decisions(layer: Layer, operands: Sequence[Floats], result: Floats, emulated: Floats | None) -> Floats:
    """The ``result`` of a layer, but what is nearest to what is ``emulated`` of those that single precision leaves open.

    Where it leaves many open, they are as they are, unless the layer has a grid that operands may be on.
    """
    if emulated is None or emulated.shape != result.shape or not decides(layer):
        return result
    rows = differing(result, emulated)
    if not rows.size:
        return result
    few, decided = [x[rows] for x in operands], result.copy()
    rng = np.random.default_rng(0)
    for _ in range(TRIES):
        other = layer.reference([off(x, rng) for x in few])
        nearer = np.abs(emulated[rows] - other) < np.abs(emulated[rows] - decided[rows])
        decided[rows] = np.where(nearer, other, decided[rows])
    on_grid = layer.traits.exactness is Exactness.GRID
    return decided if on_grid or are_few(len(differing(result, decided)), len(result)) else result


def are_few(samples: int, among: int) -> bool:
    """Return True if samples that are left open are so few that a user need not hear of them."""
    return samples <= max(_OPEN * among, 1)


def rounded_alike(
    layer: Layer, held: Sequence[Floats], halves: Sequence[Floats | float], own: Floats, stored: Floats
) -> Floats:
    """Decisions of a layer's ``own``, but what is ``stored`` where it is that of other numbers with the same rounding.

    An input that rounds to nearest takes constants beside it along (:func:`~bitsmith.layers.thresholds.compared`). ``halves`` of
    its steps reach to the others. What changes right beside a number that is ``held`` depends on equality, and stays.
    """
    for side in (-1.0, 1.0) if layer.jumps and not np.array_equal(own, stored) else ():
        near, far = (
            layer.reference([x + side * share * half for x, half in zip(held, halves, strict=True)])
            for share in (_BESIDE, 1.0)
        )
        own = np.where((near == own) & (np.abs(stored - far) < np.abs(stored - own)), far, own)
    return own


def at_ties(rng: np.random.Generator, node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
    """The ``result`` of a layer, decided by operands as a framework may have them."""
    return node.layer.reference([off(x, rng) for x in operands]) if decides(node.layer) else result


def in_single(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
    """The ``result`` of a layer, decided by operands in single precision: codes of unlike scales may be equal there alone."""
    return node.layer.reference([as_weights(x.astype(np.float32)) for x in operands]) if decides(node.layer) else result


def off(x: Floats, rng: np.random.Generator) -> Floats:
    """Numbers that differ as a framework's may: by last places of their own, and of their sample's if they need them.

    Numbers of few bits among others of few bits, such as integers, are as they are.
    """
    if bool(np.all(np.ldexp(np.frexp(x)[0], _FEW_BITS) % 1.0 == 0.0)):
        return x
    most = np.abs(x).max(axis=tuple(range(1, x.ndim)), keepdims=True, initial=0.0)
    error = _OFF * np.where(x == x.astype(np.float32), np.abs(x) / 2.0, most)
    return np.asarray(x + error * rng.choice([-1.0, 1.0], x.shape))


def differing(result: Floats, other: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The numbers of the samples in which anything differs."""
    return np.flatnonzero((result != other).reshape(len(result), -1).any(axis=1))


def more_bits(layer: Layer, operands: Sequence[Floats], held: Sequence[Floats], result: Floats) -> int | None:
    """The bits that operands need beyond those that they are ``held`` with, for all decisions to be those of the ``result``.

    Each halves the error. None: so many that they are not known.
    """
    own = layer.reference(held)
    rows = differing(result, own)
    errors = [(x[rows], y[rows] - x[rows]) for x, y in zip(operands, held, strict=True)]
    for bits in range(_MOST_BITS) if rows.size else ():
        nearer = layer.reference([x + np.ldexp(error, -bits) for x, error in errors])
        if np.array_equal(nearer, result[rows]):
            return bits
    return None if rows.size else 0
