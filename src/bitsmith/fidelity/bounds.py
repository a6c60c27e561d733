"""Bounds of the distance of a circuit's results from the user's formulas, for all inputs within ranges that the user states.

Where inputs are known to be within boxes, so are the exact values of each layer (:mod:`bitsmith.layers.enclosure`). What errors
of operands do to its result follows from the layer. What the circuit adds is known of each code of an operand, on which it is
run, or is the rounding alone. Where neither is so, samples say what it may be, and the bound says of which layers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.bounds import least as lowest
from bitsmith.fidelity.lowered import CUTTING, Lowered
from bitsmith.fidelity.measure import Comparison
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow
from bitsmith.layers.enclosure import Enclosure, between_turns, boxes
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.report.sections import percent

_MOST_NODES = 1024
_MANY_CODES, _MOST_CODES = 1 << 18, 1 << 21
"""Codes of an operand that are looked at for fewer errors of it, and the most of which all are looked at."""

_CELLS = 1 << 18
_FINE_LEVELS, _LEVELS = 4, 24
"""Halvings of the greatest error of an operand down to which errors are told apart, by factors of 2 and of 4."""

_WITHIN = 4
"""Maxima of blocks of values are looked at where about ``2**_WITHIN`` blocks cover a stretch."""

_FLOATS = 1e-12
"""Share by which double precision may be wrong."""

_SAFETY = 2.0
"""Times the worst of samples that an error of a layer is taken for."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The most by which elements of an output differ from the formulas, whatever the inputs within their ranges.

    Attributes:
        output: the layer.
        errors: the bound of each element; inputs are rounded, too.
        size: the range of the output, on samples.
        sampled: layers of whose own errors only samples are known; none: the bound is proved.
        jumping: the bound of each element next to where layers jump, too.
        jumps: layers that jump, and how near to a jump an operand must be for the circuit to decide otherwise.
    """

    output: str
    errors: tuple[float, ...]
    size: float
    sampled: tuple[str, ...]
    jumping: tuple[float, ...]
    jumps: tuple[tuple[str, float], ...]

    @property
    def proved(self) -> bool:
        """True if no sample has to do with it."""
        return not self.sampled

    def __str__(self) -> str:
        worst = max(self.errors)
        share = f", {percent(_raised(worst / self.size))} of its range" if self.size else ""
        most = f"at most {_raised(worst):.3g} from the formula's{share}"
        sentence = f"{self.output}: whatever the inputs within their ranges, {most}"
        if self.jumps:
            listed = ", ".join(f"{name} (within {_raised(margin):.2g})" for name, margin in self.jumps)
            sentence += f", but next to jumps of {listed}: there at most {_raised(max(self.jumping)):.3g}"
        if self.proved:
            return f"{sentence}; proved"
        return f"{sentence}; proved but for errors of {', '.join(self.sampled)} itself, taken as twice the worst of samples"


def _raised(bound: float) -> float:
    """A number that is not below ``bound`` with three digits either."""
    return bound * 1.006


def bounds(network: Network, program: Program, measured: Mapping[str, Comparison]) -> tuple[Bound, ...]:
    """Bounds for outputs of ``program``, which ``network`` became; none unless the ranges of all inputs are stated.

    ``measured`` are layers on samples.
    """
    own = {name: (layer.row.own_worst or 0.0) * layer.span.size for name, layer in measured.items()}
    probes = {probe.name: probe.node for probe in program.probes}
    if (
        not 0 < len(network.nodes) <= _MOST_NODES
        or network.stateful
        or any(network.input(name).least is None for name in network.inputs)
        or any(node.name not in probes or node.folded or node.order is not None for node in network.nodes)
    ):
        return ()
    with np.errstate(all="ignore"):
        usual = _Bounding(network, program, probes, own, anywhere=False)
        passes = [usual.enclosures()]
        passes.append(
            _Bounding(network, program, probes, own, anywhere=True).enclosures() if usual.jumps else passes[0]
        )
    return tuple(
        Bound(
            output,
            _by_element(passes[0][output]),
            measured[output].span.size if output in measured else 0.0,
            tuple(usual.sampled),
            _by_element(passes[1][output]),
            tuple(usual.jumps.items()),
        )
        for output in network.outputs
        if all(output in each for each in passes) and np.isfinite(passes[0][output].error).all()
    )


def _by_element(x: Enclosure) -> tuple[float, ...]:
    return tuple(x.error.reshape(len(x.error), -1).max(axis=0).tolist())


class _Bounding:
    """Enclosures of the layers of a network, one after another."""

    def __init__(
        self, network: Network, program: Program, probes: Mapping[str, int], own: Mapping[str, float], *, anywhere: bool
    ) -> None:
        self._network, self._program, self._probes, self._own = network, program, probes, own
        self._anywhere = anywhere
        self.sampled: list[str] = []
        self.jumps: dict[str, float] = {}

    def enclosures(self) -> dict[str, Enclosure]:
        """The enclosures of all layers of which something is known."""
        known = self._inputs()
        for node in self._network.nodes:
            if node.name in known or any(name not in known for name in node.inputs):
                continue
            operands = [known[name] for name in node.inputs]
            found = self._of(node, operands)
            if found is not None:
                known[node.name] = replace(found, error=np.where(np.isnan(found.error), np.inf, found.error))
                self._note_jumps(node, operands, found)
        return known

    def _inputs(self) -> dict[str, Enclosure]:
        layers = {name: self._network.input(name) for name in self._network.inputs}
        stated = [
            (each.least, each.most) for each in layers.values() if each.least is not None and each.most is not None
        ]
        low, high = boxes([np.concatenate([np.ravel(ends[side]) for ends in stated]) for side in (0, 1)])
        enclosures, start = dict[str, Enclosure](), 0
        for name, layer in layers.items():
            op = self._program.nodes[self._probes[name]].op
            assert isinstance(op, ops.Input)
            shape, stop = (len(low), *layer.shape), start + int(np.prod(layer.shape))
            least, most = (np.ldexp(end.astype(np.float64), -op.frac) for end in (lowest(op), op.hi))
            beyond = np.maximum(least - layer.least, layer.most - most)
            if op.overflow not in (Overflow.SAT, Overflow.SAT_SYM):
                beyond = np.where(beyond > 0.0, np.inf, beyond)
            steps = 1.0 if op.rounding in CUTTING or op.ladders else 0.5
            error = np.maximum(np.ldexp(steps, -op.frac), beyond)
            enclosures[name] = Enclosure(
                low[:, start:stop].reshape(shape), high[:, start:stop].reshape(shape), np.broadcast_to(error, shape)
            )
            start = stop
        return enclosures

    def _of(self, node: NetworkNode, operands: Sequence[Enclosure]) -> Enclosure | None:
        lowered = Lowered.of(self._program, [self._probes[name] for name in node.inputs], self._probes[node.name])
        if not node.inputs:
            value = node.layer.reference([])
            low, high = self._program.nodes[self._probes[node.name]].type.real_range()
            return Enclosure(value, value, np.maximum(np.abs(value - low), np.abs(high - value)))
        result = node.layer.enclosed(operands, anywhere=self._anywhere)
        if result is None:
            return self._of_codes(node, lowered, operands)
        kind = self._program.nodes[self._probes[node.name]].type
        beyond = [end.astype(np.float64) for end in (kind.lo, kind.hi)]
        least, most = (np.ldexp(end, -kind.frac) for end in beyond)
        excess = np.maximum(np.maximum(result.most - most, least - result.least), 0.0)
        own = self._own_error(node, lowered, operands, result)
        return replace(result, error=(result.error + excess + own) * (1.0 + _FLOATS))

    def _note_jumps(self, node: NetworkNode, operands: Sequence[Enclosure], result: Enclosure) -> None:
        if not node.layer.jumps:
            return
        open_ = result.least != result.most
        margin = float(np.max(np.where(open_, sum(x.error for x in operands), 0.0)))
        if margin > 0.0:
            self.jumps[node.name] = margin

    def _own_error(
        self, node: NetworkNode, lowered: Lowered | None, operands: Sequence[Enclosure], found: Enclosure
    ) -> Floats | float:
        """Return what the circuit adds to errors of ``operands``, for each box."""
        if lowered is not None and lowered.holds(*found.reached):
            if lowered.is_exact:
                off = lowered.off_corners(node.layer.reference) if node.layer.weights() else 0.0
                return lowered.rounding + off
            if len(operands) == 2 and lowered.is_linear and lowered.codes(1) <= _MOST_CODES:
                codes, wrong = lowered.off_codes(node.layer.reference)
                return lowered.rounding + _most_within(wrong, codes, codes, *operands[1].reached)
        return self._sampled(node)

    def _sampled(self, node: NetworkNode) -> float:
        if node.name not in self.sampled:
            self.sampled.append(node.name)
        return _SAFETY * self._own.get(node.name, np.inf)

    def _of_codes(self, node: NetworkNode, lowered: Lowered | None, operands: Sequence[Enclosure]) -> Enclosure | None:
        """The enclosure of a function of one number, by the circuit's results for all codes of it."""
        x, reference = operands[0], node.layer.reference
        ends = float(x.least.min()), float(x.most.max())
        turns = node.layer.turning(*ends) if np.isfinite(ends).all() else None
        if turns is None or len(operands) > 1 or x.least.size > len(x.least):
            return None
        least_of_all, most_of_all = between_turns(reference, turns, x)
        own = 0.0
        beyond = float(x.error.max())
        reached = ends[0] - beyond, ends[1] + beyond
        if lowered is not None and math.isfinite(beyond) and lowered.codes(0, *reached) <= _MOST_CODES:
            codes, computed = lowered.run_codes(*reached)
            firsts, lasts, results = codes, codes, [computed]
        else:
            points = _points(*self._program.nodes[self._probes[node.inputs[0]]].type.real_range())
            firsts, lasts = points[:-1], points[1:]
            results = []
            for part in (firsts, lasts):  # errors of the operand may take it beyond its ends, but not beyond its format
                there, nearest = reference([part]), reference([np.clip(part, *ends)])
                results.append(np.where(np.isfinite(there), there, nearest))
            own = self._sampled(node)
        strict = node.layer.jumps and not self._anywhere
        error = np.zeros(x.error.shape) if strict else x.error * (1.0 + _FLOATS)
        off = np.zeros(x.error.shape)
        for level, here in _levels(error, few=len(firsts) > _MANY_CODES):
            edges = [np.clip(firsts - level, *ends), np.clip(lasts + level, *ends)]
            if strict:
                edges = [firsts, lasts]
            around = [reference([edge]) for edge in edges]
            for turn in turns:
                inside = (edges[0] < turn) & (turn < edges[1])
                around.append(np.where(inside, reference([np.full(1, turn)]), around[0]))
            most = np.maximum.reduce([np.abs(each - result) for each in around for result in results])
            most[(firsts - level > ends[1]) | (lasts + level < ends[0])] = 0.0  # no operand is there
            least, greatest = ((end + sign * level)[here] for end, sign in ((x.least, -1.0), (x.most, 1.0)))
            off[here] = _most_within(most, firsts, lasts, least, greatest)
        return Enclosure(least_of_all, most_of_all, (off + own) * (1.0 + _FLOATS))


def _levels(error: Floats, *, few: bool) -> list[tuple[float, npt.NDArray[np.bool_]]]:
    """A few errors, each at least those of the boxes that are beside it."""
    most = float(error.max())
    if most == 0.0 or not np.isfinite(most):
        return [(most, np.ones(error.shape, dtype=np.bool_))]
    halvings = np.floor(np.log2(most / np.maximum(error, most * 2.0**-_LEVELS)))
    factor = 4.0 if few else np.where(halvings > _FINE_LEVELS, 2.0, 1.0)
    halvings = halvings // factor * factor
    return [(float(np.ldexp(most, -int(count))), halvings == count) for count in np.unique(halvings)]


def _points(least: float, most: float) -> Floats:
    """Numbers from ``least`` to ``most``, half of them evenly spaced, the others denser towards 0."""
    even = np.linspace(least, most, _CELLS)
    largest = max(abs(least), abs(most))
    near = largest * 2.0 ** np.linspace(-40.0, 0.0, _CELLS)
    points = np.concatenate([even, near, -near, [0.0]])
    return np.unique(points[(least <= points) & (points <= most)])


def _most_within(values: Floats, firsts: Floats, lasts: Floats, least: Floats, most: Floats) -> Floats:
    """The greatest of ``values``, which hold from ``firsts`` to ``lasts``, from ``least`` to ``most``, for each of these; or of a
    few more of them.
    """
    end = len(values) - 1
    first = np.clip(np.searchsorted(lasts, least, side="left"), 0, end)
    last = np.clip(np.searchsorted(firsts, most, side="right") - 1, first, end)
    result, level = np.zeros(first.shape), 0
    levels = np.maximum(np.frexp(last - first + 1.0)[1] - _WITHIN, 0)
    # Maxima of blocks of 1, 2, 4, ... values: a few of them cover any stretch.
    while True:
        here = levels == level
        start, stop = first[here] >> level, last[here] >> level
        found = result[here]
        for step in range(int(np.max(stop - start, initial=-1)) + 1):
            found = np.maximum(found, values[np.minimum(start + step, stop)])
        result[here] = found
        if level == levels.max():
            return result
        level += 1
        values = np.append(values, values[-1:])
        values = np.maximum(values[: len(values) // 2 * 2 : 2], values[1::2])
