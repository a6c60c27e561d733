"""Outputs that are further from the float model's than a user expects, on inputs of any kind.

In: a network, inputs, and its outputs for these in the circuit. Out: the output that is furthest off, beside *its range on these
inputs*. Small inputs have outputs of a small range, for which steps may be coarse that are fine for others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from bitsmith.base.blas import one_thread
from bitsmith.fidelity.budgets import allowance, excused
from bitsmith.fidelity.deviation import Span, deviation, signal_to_noise, spans
from bitsmith.fidelity.ties import LAST_PLACE, TRIES, are_few, at_ties, decides, decides_anew
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode, Revision
from bitsmith.report.sections import percent


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Differences that formats of ``auto`` with 16 bits may cause.

    Attributes:
        error: that of a single value, as a share of its output's range.
        share, few: the share of values, and the number of them, that may exceed it where a layer jumps, or rounds itself.
        mean: the mean error where nothing jumps, for 16 bits; that for a budget of fewer bits grows with their steps.
    """

    error: float = 0.01
    share: float = 0.0
    few: int = 0
    mean: float = math.inf

    def many(self, distances: Floats, size: float) -> bool:
        """True if more of the ``distances`` than may be are more than the error of a range of ``size``."""
        return int(np.count_nonzero(distances > self.error * size)) > max(self.share * distances.size, self.few)


USUAL_TOLERANCE = Tolerance()

SATURATED_ERROR = 0.05
"""Error of a single value, as a share of its output's range, that values which saturate in formats of the user may cause."""

LEAST_SNR_DB, LEAST_ERROR = 10.0, 0.02
"""Signal to noise below which an output is of no use, if its mean error exceeds the other as well."""

_SHAKEN = 2.0
"""Times the effect of the inputs' last place in single precision that is no error of the circuit."""

_LAST, _TRIES = 2.0**-12, 4
"""Share of a trained number by which states of 16 bits may be off after some steps, and how often that is tried."""

_ELEMENTS = 1 << 23
"""Elements of all results of the samples that are computed at a time, which bounds memory."""

_SPIKES = Tolerance(share=0.02, few=2)
"""Tolerance for what is decided anew in each step, where a single one moves all that come."""

_STILL = 2.0**-12
"""Least range of an output, as a share of its greatest magnitude."""


@dataclass(frozen=True, slots=True)
class Deviating:
    """Distance of an output from the float model's, as shares of its range: in the mean and at worst; ``wrong`` if too large.

    So many ``samples`` are, where they are counted.
    """

    output: str
    error: float
    worst: float
    wrong: bool
    samples: int = 0

    def __str__(self) -> str:
        return (
            f"output {self.output!r} differs from the float model's by {percent(self.error)} of its range, "
            f"at worst by {percent(self.worst)}"
        )


def float_outputs(network: Network, inputs: Sequence[Floats], revised: Revision | None = None) -> list[Floats]:
    """The float model's outputs, with results that are ``revised``, computed for a few samples at a time.

    Samples in order, which go on with states, are computed at once.
    """
    samples = max(len(inputs[0]), 1)
    step = samples if network.stateful else max(_ELEMENTS // max(sum(map(math.prod, network.shapes().values())), 1), 1)
    parts = [
        _float_outputs(network, [x[start : start + step] for x in inputs], revised) for start in range(0, samples, step)
    ]
    return [np.concatenate(rows) for rows in zip(*parts, strict=True)]


def _float_outputs(network: Network, inputs: Sequence[Floats], revised: Revision | None) -> list[Floats]:
    with np.errstate(all="ignore"), one_thread():
        steps = network.evaluation(inputs, revised)
        outputs = {node.name: node.result_in_model(x) for node, _, x in steps if node.name in network.outputs}
    return [outputs[name] for name in network.outputs]


def shaken(network: Network, inputs: Sequence[Floats], seed: int = 0) -> list[Floats]:
    """The outputs if fractions of the inputs, and what layers decide by, differ in the last places of single precision."""
    rng = np.random.default_rng(seed)
    last = [np.where(x == np.rint(x), x, _beside(x, rng.choice([-LAST_PLACE, LAST_PLACE], x.shape))) for x in inputs]
    return float_outputs(network, last, partial(at_ties, rng))


def _beside(x: Floats, share: Floats) -> Floats:
    """Numbers that differ by a ``share`` of them, in single precision where they are."""
    near = x * (1.0 + share)
    return np.where(x == x.astype(np.float32), near.astype(np.float32), near)


@dataclass(frozen=True, eq=False)
class Expected:
    """Outputs of the float model for inputs."""

    network: Network
    inputs: Sequence[Floats]
    outputs: Sequence[Floats]

    @staticmethod
    def of(network: Network, inputs: Sequence[Floats]) -> Expected:
        """Return the outputs of ``network`` for ``inputs``."""
        return Expected(network, inputs, float_outputs(network, inputs))

    @cached_property
    def shaken(self) -> list[list[Floats]]:
        """The outputs for inputs that differ in their last place, and so do trained numbers of layers that decide anew."""
        return [shaken(network, self.inputs) for network in _rounded_anew(self.network)]

    def distances(self, number: int, output: Floats, most: float, among: int) -> Floats:
        """Return those of an ``output`` from what is expected, or what may be where that is more than ``most``.

        Of ``among`` so many samples, a few may be left open.
        """
        known = np.abs(output - self.outputs[number])
        distances, names = known.copy(), [self.network.outputs[number]]
        nodes = self.network.nodes if self.network.states else self.network.ancestors(names)
        alone = replace(self.network, nodes=nodes, outputs=tuple(names))
        for seed in range(TRIES):
            rows = np.flatnonzero(distances.reshape(len(output), -1).max(axis=1, initial=0.0) > most)
            if not rows.size:
                break
            rows = np.arange(len(output)) if self.network.stateful else rows
            (other,) = shaken(alone, [x[rows] for x in self.inputs], seed)
            distances[rows] = np.minimum(distances[rows], np.abs(output[rows] - other))
        left_open = ((known > most) & (distances <= most)).reshape(len(output), -1).any(axis=1)
        return distances if are_few(int(np.count_nonzero(left_open)), among) else known


def deviating(
    expected: Expected,
    outputs: Sequence[Floats],
    more: Sequence[Floats] | None = None,
    tolerance: Tolerance = USUAL_TOLERANCE,
) -> Deviating:
    """The output that is furthest from what is ``expected`` of it; ``more`` results of each show its range besides.

    One is wrong that differs by more than the ``tolerance``.
    """
    others = expected.outputs if more is None else more
    looked_at = [
        _deviating(expected, number, values, _span(expected.outputs[number], shown), tolerance)
        for number, (values, shown) in enumerate(zip(outputs, others, strict=True))
    ]
    return max(looked_at, key=lambda each: (each.wrong, each.worst))


def apart(
    expected: Expected, results: Sequence[Floats], shown: Sequence[Floats], least: float, among: int | None = None
) -> list[Deviating]:
    """Distances of outputs from what is ``expected``, wrong from the ``least`` error on, whatever jumps or is the user's.

    ``shown`` are results of each that show its range. Of ``among`` so many samples, single precision may leave a few open.
    """

    def of(number: int, output: Floats) -> Deviating:
        wanted = expected.outputs[number]
        span = _span(wanted, shown[number])
        size = max(span.size, _STILL * span.largest)
        if among is not None:
            output = wanted + expected.distances(number, output, least * size, among)
        off = deviation(wanted, output, size)
        far = (np.abs(output - wanted) > least * size).reshape(len(output), -1).any(axis=1)
        return Deviating(expected.network.outputs[number], off.error, off.worst, off.worst > least, int(far.sum()))

    return list(map(of, range(len(results)), results))


def _span(wanted: Floats, more: Floats) -> Span:
    ranges = [spans(values).whole for values in (wanted, more)]
    return Span(min(each.lo for each in ranges), max(each.hi for each in ranges))


def _deviating(expected: Expected, number: int, output: Floats, span: Span, tolerance: Tolerance) -> Deviating:
    name, wanted = expected.network.outputs[number], expected.outputs[number]
    size = max(span.size, _STILL * span.largest)
    off = deviation(wanted, output, size)
    before = expected.network.ancestors([name])
    drowned = off.error > LEAST_ERROR and (signal_to_noise(wanted, off.error, size) or 0.0) < LEAST_SNR_DB
    coarser = math.inf if excused(before) else allowance(before)
    if coarser > 1.0:
        coarse = off.error > tolerance.mean * coarser and not any(node.layer.jumps for node in before)
        return Deviating(name, off.error, off.worst, drowned or coarse)
    wrong = off.worst > tolerance.error
    if wrong and any(map(decides_anew, before)):
        wrong = _SPIKES.many(np.abs(output - wanted), size)
        last = max(deviation(wanted, other[number], size).error for other in expected.shaken) if wrong else off.error
        wrong = wrong and off.error > _SHAKEN * last
    elif wrong and any(decides(node.layer) for node in before):
        wrong = tolerance.many(expected.distances(number, output, tolerance.error * size, len(output)), size)
    return Deviating(name, off.error, off.worst, wrong)


def _rounded_anew(network: Network) -> list[Network]:
    """``network``, or a few that are off by a last place in the trained numbers of layers that round and then decide.

    As decisions become states, a few of them lead to others: spikes are moved or lost from there on.
    """
    if not any(decides_anew(node) for node in network.nodes):
        return [network]
    rng = np.random.default_rng(0)

    def off(node: NetworkNode) -> NetworkNode:
        if not decides_anew(node):
            return node
        weights = node.layer.weights().items()
        changed = {name: values * (1.0 + rng.choice([-_LAST, _LAST], values.shape)) for name, values in weights}
        return replace(node, layer=node.layer.with_weights(changed))

    return [network.with_nodes([off(node) for node in network.nodes]) for _ in range(_TRIES)]
