"""Finds tensors for which one step is not enough, and gives their channels finer ones.

By the rule of ``auto`` the step of a tensor follows from its largest magnitude. That leaves few bits to what is of another scale:
an output in another unit, a neuron whose next weights make up for it, a feature far from 0, all samples but an outlier. Here each
channel of a result, and each trained value by what it does to a channel, asks for steps that give the channel ``least_bits`` for
its own scale. Where those are finer than the rule's, the float network is run with tensors rounded by the rule, and only tensors
that change an output get the finer steps: near-dead channels and classes that never occur cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import numpy as np
import numpy.typing as npt

from bitsmith.base.blas import any_of, one_thread
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import Fracs
from bitsmith.layers.auto import AUTO_BITS, ObservedRange, constant_frac, least_bits
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network, NetworkNode, Revision
from bitsmith.layers.settings import Strategy, Weights
from bitsmith.passes.network.calibration import input_batches, observe
from bitsmith.passes.network.lower import exact_nodes
from bitsmith.passes.network.outliers import outlying
from bitsmith.passes.network.steepness import Rounded, fine_steps, shares_of_outputs, steep_operands

_MOST_SPARE = 48
"""Fractional bits that a channel may have beyond those of its tensor."""

_WORD_IN_TURN, _SPARE_IN_TURN = 9, 4
"""The same of all channels of a result that lies in the memory of layers in turn: there a tensor has one step.

Bits up to whole words of block memory cost nothing there, above those of the result and of its headroom.
"""

_FEWEST_BITS = 4
"""Budgets of fewer bits are taken at their word: there is nothing to give to some values and not to others."""

_GUARD_BITS = 2
"""Bits beyond ``least_bits`` where there are finer steps: errors of several layers add up."""

_FINE = 40
"""More fractional bits, with which nothing is rounded that matters."""

_STEEP_SHARE = 2.0 ** -least_bits(AUTO_BITS)
"""Change of the operand of a steep function, which changes where that does so by about 1."""

_CONSTANT = 2.0**-20
"""A range that is a smaller part of a channel's magnitude is the float model's own rounding."""

_SAMPLES = 64
_LEAST_SAMPLES = 16
_ELEMENTS = 1 << 22
"""Samples that are looked at rounded; fewer where the largest tensor of all of them would have more elements than that."""

_AT_ONCE = 1 << 18
"""Elements of the largest tensor for so many samples at a time that they stay in a processor's cache."""

_MOST_HALVED = 16
"""Groups of tensors that are looked at by halves."""

_CUTS = 8
"""Parts of a network from which a trial may go on, as nothing before is rounded."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A result or a trained tensor that may need ``least`` fractional bits, and what auto makes of its coarse channels.

    That is ``frac`` bits for a result (many where nothing is coarse), and the values ``held`` of a trained tensor.
    """

    node: str
    variable: str
    least: Fracs
    frac: Fracs
    held: Floats | None = None


def refine_channels(
    network: Network, calibration: Sequence[Floats] | None, observed: Mapping[str, ObservedRange]
) -> Network:
    """``network`` with :attr:`NetworkNode.fracs` where they are needed; ``observed`` is what its calibration showed.

    Raises:
        InputDataError: as :func:`bitsmith.passes.network.calibration.observe`.
    """
    inputs, _ = input_batches(network, calibration)
    typical = _typical(network, inputs) if calibration is not None else None
    seen = observed if typical is None else observe(network, typical)
    search = _Search(network, network.shapes(), observed, seen)
    candidates, steep = list(search.candidates()), steep_operands(network, seen)
    shares = shares_of_outputs(network, seen) if calibration is None else {}
    if not candidates and not steep and not shares:
        return network
    chosen = inputs if typical is None else typical
    largest = max(math.prod(shape) for shape in network.shapes().values())
    count = min(max(_ELEMENTS // largest, _LEAST_SAMPLES), _SAMPLES)
    few = [batch[:: -(-len(batch) // count)] for batch in chosen]
    with np.errstate(all="ignore"), one_thread():
        candidates = _together([*candidates, *search.too_coarse(dict.fromkeys(steep, _STEEP_SHARE), few)])
        needed = _Trial.of(network, few, seen, max(_AT_ONCE // largest, 1)).needed(candidates)
        needed = _together([*needed, *search.too_coarse(shares, inputs)])
    found: dict[str, dict[str, Fracs]] = {}
    for each in needed:
        found.setdefault(each.node, {})[each.variable] = each.least
    nodes = [replace(node, fracs={**node.fracs, **found.get(node.name, {})}) for node in network.nodes]
    return network.with_nodes(nodes)


def _together(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The candidates, one for each tensor."""
    merged: dict[tuple[str, str], _Candidate] = {}
    for candidate in candidates:
        other = merged.get((candidate.node, candidate.variable))
        if other is not None:
            least, frac = np.maximum(other.least, candidate.least), np.minimum(other.frac, candidate.frac)
            candidate = replace(candidate, least=least, frac=frac)
        merged[candidate.node, candidate.variable] = candidate
    return list(merged.values())


def _typical(network: Network, inputs: Sequence[Floats]) -> list[Floats] | None:
    """The inputs without outliers; None if there are none."""
    found = [each.samples for each in map(outlying, inputs) if each is not None]
    if not found:
        return None
    others = ~np.any(found, axis=0)
    return [batch[others] for batch in inputs]


@dataclass(frozen=True, slots=True)
class _Search:
    """Looks for candidates; ``observed`` is what all samples show, ``seen`` what the typical ones do."""

    network: Network
    shapes: Mapping[str, Shape]
    observed: Mapping[str, ObservedRange]
    seen: Mapping[str, ObservedRange]

    def candidates(self) -> Iterator[_Candidate]:
        """Results that are rounded and trained tensors for which the rule of auto may be too coarse."""
        exact = exact_nodes(self.network)
        for node in self.network.nodes:
            if node.name not in exact and "result" not in node.settings.precision:
                yield from self._of_result(node)
            if node.settings.weights is Weights.ONCHIP:
                yield from self._of_trained(node)

    def too_coarse(self, allowed: Mapping[str, float], inputs: Sequence[Floats]) -> Iterator[_Candidate]:
        """Tensors for which the rule is too coarse, as some results, which they lead to, change by more than is ``allowed``."""
        exact = exact_nodes(self.network)
        rounded: list[Rounded] = []
        for node in reversed(self.network.ancestors(allowed)):
            rule = None if node.name in exact or "result" in node.settings.precision else self._rule_of_result(node)
            rounded += [rule] if rule is not None else []
            rounded += self._rules_of_trained(node) if node.settings.weights is Weights.ONCHIP else []
        rounded = [each for each in rounded if each.bits == AUTO_BITS]  # what the user gives is kept
        for tensor, least in fine_steps(self.network, allowed, rounded, inputs):
            if tensor.values is None:
                channels = self.shapes[tensor.node][-1:]
                yield _Candidate(tensor.node, tensor.variable, np.broadcast_to(least, channels), tensor.frac)
            else:
                yield _Candidate(tensor.node, tensor.variable, least, tensor.frac, tensor.applied(tensor.values))

    def _rule_of_result(self, node: NetworkNode) -> Rounded | None:
        """The steps of a result by the rule of auto; None where nothing is rounded."""
        observed = self.observed[node.name]
        lowering = Lowering(node.name, ProgramBuilder(), node.settings, observed, (), ())
        if node.layer.traits.keeps or isinstance(node.layer, Constant):
            return None
        if not isinstance(node.layer, Input):
            frac = np.asarray(lowering.result_frac())
        elif observed.limits and node.layer.entries is None:
            frac = np.array(
                [fmt.frac for fmt in lowering.input_formats(node.layer.default_format(node.settings.result_bits))]
            )
        else:
            return None
        is_exact = observed.frac is not None and observed.frac <= frac.min()
        return None if is_exact else Rounded(node.name, "result", node.settings.bits.result, frac)

    def _of_result(self, node: NetworkNode) -> Iterator[_Candidate]:
        rule = self._rule_of_result(node)
        if rule is None:
            return
        scales, frac = self._scales(node.name), rule.frac
        coarse = _are_coarse(scales, frac, node.settings.bits.result)
        if np.any(coarse):
            least = _least(scales, frac, node.settings.bits.result, _MOST_SPARE)
            if node.settings.strategy is Strategy.SHARED and node.name not in self.network.outputs:
                width = node.settings.bits.result + math.ceil(math.log2(node.settings.headroom))
                spare = min(-width % _WORD_IN_TURN, _SPARE_IN_TURN)
                least = np.full_like(least, np.minimum(least, frac + spare).max())
            if np.any(least > frac):
                yield _Candidate(node.name, "result", least, np.where(coarse, frac, frac + _FINE))

    def _rules_of_trained(self, node: NetworkNode) -> Iterator[Rounded]:
        """The steps of trained tensors by the rule of auto, as far as it decides them."""
        decided = node.settings.precision.keys() | node.quantizers.keys() | node.fracs.keys()
        for variable, values in node.layer.weights().items():
            if variable in decided:
                continue
            bits = node.settings.bits.of(variable)
            exponents = node.layer.weight_exponents(variable, bits)
            if exponents is None:
                frac = np.asarray(constant_frac(values, bits))
            else:
                frac = constant_frac(np.ldexp(values, -exponents), bits) - exponents
            yield Rounded(node.name, variable, bits, frac, values)

    def _of_trained(self, node: NetworkNode) -> Iterator[_Candidate]:
        rules = list(self._rules_of_trained(node))
        trained = self._trained_scales(node) if rules else {}
        for rule in rules:
            if rule.variable not in trained or rule.values is None:
                continue
            values, frac, bits = rule.values, rule.frac, node.settings.bits.of(rule.variable)
            scales = _fitted(trained[rule.variable], values.shape)
            coarse = _are_coarse(scales, frac, bits)
            if not np.any(coarse):
                continue
            held = np.where(coarse, rule.applied(values), values)
            if np.any(held != values):
                least = _least(scales, frac, bits, 2 * _MOST_SPARE)  # the scales of both operand and result
                if node.settings.strategy is Strategy.SHARED and values.ndim > 1 == frac.size:
                    least = _of_columns(least, frac, values, bits)
                yield _Candidate(node.name, rule.variable, least, frac, held)

    def _channels(self, name: str) -> tuple[Floats, Floats]:
        channels = self.seen[name].channels
        assert channels is not None
        return channels

    def _scales(self, name: str) -> Floats:
        return _scales(self._channels(name))

    def _trained_scales(self, node: NetworkNode) -> Mapping[str, Floats]:
        if isinstance(node.layer, Constant):
            return {"weight": self._constant_scales(node)}
        if len(node.inputs) != 1:
            return {}
        (operand,) = node.inputs
        amplitudes = np.maximum(*np.abs(self._channels(operand)))
        with np.errstate(divide="ignore"):
            return node.layer.trained_scales(amplitudes, self._scales(node.name), len(self.shapes[operand]))

    def _constant_scales(self, node: NetworkNode) -> Floats:
        """A constant's own channels, or what they are added to where that is less."""
        own = self._scales(node.name)
        readers = [each.name for each in self.network.consumers(node.name) if each.layer.traits.sign is not None]
        sums = [each if each.shape == own.shape else each.min() for each in map(self._scales, readers)]
        return np.asarray(reduce(np.minimum, sums, own))


def _scales(channels: tuple[Floats, Floats]) -> Floats:
    """Return the scales for errors of each channel: its range if that is less than its magnitude; infinite if it is 0."""
    least, most = channels
    amplitude, spread = np.maximum(np.abs(least), np.abs(most)), most - least
    scales = np.where(spread > _CONSTANT * amplitude, np.minimum(amplitude, spread), amplitude)
    return np.where(scales > 0.0, scales, np.inf)


def _fitted(scales: Floats, shape: Shape) -> Floats:
    """``scales`` so that they broadcast to ``shape``: the least along axes that it has not."""
    while scales.ndim > len(shape):
        scales = np.asarray(scales.min(axis=0))
    ones = tuple(axis for axis in range(-scales.ndim, 0) if shape[axis] == 1)
    return np.asarray(scales.min(axis=ones, keepdims=True))


def _are_coarse(scales: Floats, frac: Fracs, bits: int) -> npt.NDArray[np.bool_]:
    """True for scales that have fewer than ``least_bits`` and could have them."""
    return np.asarray((scales <= np.ldexp(0.5, least_bits(bits) - 1 - frac)) & (bits >= _FEWEST_BITS))


def _least(scales: Floats, frac: Fracs, bits: int, spare: int) -> Fracs:
    """Fractional bits that give each scale ``least_bits``, sign included, and the guard bits: from ``frac`` to ``spare`` more."""
    wanted = least_bits(bits) + _GUARD_BITS - 1 - np.ceil(np.log2(scales))
    return np.asarray(np.clip(wanted, frac, frac + spare), dtype=np.int64)


def _of_columns(least: Fracs, frac: Fracs, values: Floats, bits: int) -> Fracs:
    """Fractional bits for each column of trained values that lie in one memory, where each has ``bits`` bits at most."""
    axes = tuple(range(values.ndim - 1))
    largest = np.max(np.abs(values), axis=axes) * (1.0 + 2.0**-bits)  # which rounding does not take beyond
    whole = np.maximum(bits - 1 - np.frexp(largest)[1], frac)
    return np.asarray(np.minimum(np.max(np.broadcast_to(least, values.shape), axis=axes), whole))


@dataclass(frozen=True, slots=True)
class _Trial:
    """Outputs of a trial, and by how much rounding may change their channels: ``outputs``. ``at_once`` samples are looked at
    together. ``cuts`` are the names of results that all nodes from a place on read; those of ``held`` nodes stay as they are
    without rounding, so that no layer jumps for it. ``exact`` are results without rounding, by the first sample: of samples
    that are looked at."""

    network: Network
    inputs: Sequence[Floats]
    outputs: Mapping[str, Floats]
    held: Sequence[str]
    at_once: int
    cuts: Mapping[int, Sequence[str]]
    exact: dict[int, Mapping[str, Floats]]

    @classmethod
    def of(cls, network: Network, inputs: Sequence[Floats], seen: Mapping[str, ObservedRange], at_once: int) -> _Trial:
        """The trial of a network without rounding; ``seen`` are the ranges of its results."""
        bits = min(min(node.settings.bits.weight, node.settings.bits.result) for node in network.nodes)
        bounded, nodes, samples = network.bounded(), network.nodes, len(inputs[0])
        last = {name: place for place, node in enumerate(nodes) for name in node.inputs}
        stride = -(-len(nodes) // _CUTS)
        places = range(stride, len(nodes) + 1, stride) if at_once < samples and not network.states else ()
        cuts = {place: [node.name for node in nodes[:place] if last.get(node.name, 0) >= place] for place in places}
        outputs: dict[str, Floats] = {}
        for name in network.outputs:
            channels = seen[name].channels
            assert channels is not None
            scales = _scales(channels)
            if name in bounded:
                scales = np.full_like(scales, np.max(channels[1]) - np.min(channels[0]))
            outputs[name] = np.ldexp(scales, -least_bits(bits))
        return cls(network, inputs, outputs, [node.name for node in nodes if node.layer.jumps], at_once, cuts, {})

    def _exactly(self, samples: slice) -> Mapping[str, Floats]:
        """The results for ``samples`` without rounding that trials need; for a network with states, all samples in order."""
        if self.network.states:
            return {name: rows[samples] for name, rows in self._computed(slice(None)).items()}
        return self._computed(samples)

    def _computed(self, samples: slice) -> Mapping[str, Floats]:
        place = samples.start or 0
        if place not in self.exact:
            wanted = {*self.held, *self.outputs, *(name for names in self.cuts.values() for name in names)}
            results = self.network.evaluation([batch[samples] for batch in self.inputs])
            self.exact[place] = {node.name: result for node, _, result in results if node.name in wanted}
        return self.exact[place]

    def needed(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Those without which the outputs would differ: halves are looked at for themselves, the largest groups first."""
        groups = [candidates] if self._differ(candidates) else []
        settled: list[_Candidate] = []
        for _ in range(_MOST_HALVED):
            group = max(groups, key=len, default=())
            if len(group) < 2:
                break
            groups.remove(group)
            halves = [half for half in (group[: len(group) // 2], group[len(group) // 2 :]) if self._differ(half)]
            groups += halves
            settled += [] if halves else group  # only together do they make a difference
        return [*settled, *(each for group in groups for each in group)]

    def _differ(self, candidates: Collection[_Candidate]) -> bool:
        """Return True if an output changes too much where ``candidates`` are rounded by the rule of auto."""
        steps = {each.node: np.ldexp(1.0, -each.frac) for each in candidates if each.held is None}
        held: dict[str, dict[str, Floats]] = {}
        for each in candidates:
            if each.held is not None:
                held.setdefault(each.node, {})[each.variable] = each.held
        nodes, changed = self.network.nodes, steps.keys() | held.keys()
        first = next((place for place, node in enumerate(nodes) if node.name in changed), 0)
        cut = max((place for place in self.cuts if place <= first), default=0)
        known = {*self.cuts.get(cut, ())}
        before = [replace(node, inputs=()) for node in nodes[:cut] if node.name in known]
        after = [replace(node, layer=node.layer.with_weights(held.get(node.name, {}))) for node in nodes[cut:]]
        rounded = self.network.with_nodes([*before, *after])

        def in_steps(node: NetworkNode, _: Sequence[Floats], result: Floats) -> Floats:
            step = steps.get(node.name)
            return result if step is None else np.rint(result / step) * step

        starts = range(0, len(self.inputs[0]), self.at_once)
        parts = [slice(start, start + self.at_once) for start in starts]
        return any_of(partial(self._changed, rounded, in_steps, known.union(self.held)), parts)

    @np.errstate(all="ignore")  # of its own thread
    def _changed(self, rounded: Network, in_steps: Revision, known: Collection[str], samples: slice) -> bool:
        """Return True if an output of ``rounded`` differs too much for some ``samples``, of which results are ``known``."""
        exact = self._exactly(samples)
        held = {name: exact[name] for name in known}
        for node, _, result in rounded.evaluation([batch[samples] for batch in self.inputs], in_steps, held):
            if node.name in self.outputs and np.any(np.abs(result - exact[node.name]) > self.outputs[node.name]):
                return True
        return False
