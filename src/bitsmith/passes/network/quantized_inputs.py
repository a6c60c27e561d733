"""Inputs that all their readers quantize have the format that these need: the circuit's port is as narrow as it can be.

Before: an input without a format of its own or of the user's, read, perhaps after its elements moved, by :class:`Quantize` layers
of fixed-point grids alone. After: ``Input(quantizer=...)``. If all quantizers are one, it is that, and those of the whole input
are identities. If not, each element has the bits that they look at: those of the finest of them and, where one rounds to
nearest, half a step; none where they are of tables that have one value for all codes. Where their grids are of other scales, and
before staircases and rectifiers, the input holds all that their ranges do: in steps of which each of theirs has 256 or more, or
of which all thresholds are multiples. The former is a choice of the circuit's (``Input.rounds``), which the float model does not
make, as is the format of an input whose range the user states. Where some wrap around and some do not, no range is enough for any
input: the input gets a fixed-point format with steps as fine and a range 256 times as wide, as if the user had given it
(``Input.held``). Rounding to the circuit's own steps changes no code of a
quantizer (:mod:`bitsmith.layers.told_codes`).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.auto import exact_frac
from bitsmith.layers.comparing import Comparing
from bitsmith.layers.input import DEFAULT_INPUT, Input
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats
from bitsmith.layers.resolution import Edges
from bitsmith.layers.settled import resolution_of
from bitsmith.layers.shape import Identity
from bitsmith.layers.thresholds import kept_thresholds, raw_threshold, rounded_threshold
from bitsmith.layers.time_distributed import TimeDistributed
from bitsmith.layers.told_codes import copies

_integer = np.frompyfunc(int, 1, 1)

_SPARE_BITS, _MOST_BITS = 8, 40
"""Bits of an input beyond the steps of quantizers of any scale, and all bits that it may have."""

_FINEST = 60
"""Most fractional bits that keep data on their sides of thresholds."""

_CUTTING = ((Rounding.TRN, Rounding.RND), (Rounding.TRN_ZERO, Rounding.RND_INF))
"""Modes that cut bits off, which take no number across a half that the other one, to nearest, takes on."""

_STEPS_BITS = 16
"""Bits of the number of steps, of no power of two, that a quantizer's operand spans at most: its program grows with them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """A quantizer as it is for the input. ``name`` is its layer where it may act on the input itself, and empty elsewhere."""

    quantizer: Quantizer
    name: str


def quantized_inputs(network: Network, calibration: Sequence[Floats] | None = None) -> Network:
    """``network`` with the formats of quantizers, or quantizers themselves, moved into the inputs.

    ``calibration`` has one batch per input, of which no number changes sides of a threshold by rounding.
    """
    shapes = network.shapes()
    given = zip(network.inputs, calibration or (), strict=False)
    data = {name: batch for name, batch in given if np.shape(batch)[1:] == shapes[name]}
    quantizers, inputs, moved = dict[str, Input](), dict[str, NetworkNode](), set[str]()
    for node in network.nodes:
        if isinstance(node.layer, Input) and not node.layer.holds_limits and "result" not in node.settings.precision:
            readers = _readers(network, shapes, node.name) or []
            chosen = _quantized(network, node.name, readers, data.get(node.name))
            if chosen is not None:
                layer = replace(node.layer, quantizer=chosen.quantizer, rounds=chosen.rounds)
                quantizers[node.name], inputs[node.name] = layer, replace(node, layer=layer)
                moved.update(reader.name for reader in readers if chosen.theirs)
            else:
                fmt = _holding(_all_readers(network, node.name) or [])
                layer = replace(node.layer, held=fmt is not None)
                precision = node.settings.precision if fmt is None else {**node.settings.precision, "result": fmt}
                inputs[node.name] = replace(node, layer=layer, settings=replace(node.settings, precision=precision))
    entries = compared_inputs(network)

    def revised(node: NetworkNode) -> NetworkNode:
        layer, name = node.layer, entries.get(node.name, "")
        grid = quantizers[name].own_grid if name in quantizers and name in data else None
        if node.name in inputs:
            return inputs[node.name]
        if isinstance(layer, Comparing) and grid is not None:
            return replace(node, layer=layer.keeping(grid, data[name]))
        return replace(node, layer=Identity()) if node.name in moved else node

    return network.with_nodes(list(map(revised, network.nodes)))


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The quantizer of an input, which ``rounds`` where the float model does not; it may be ``theirs`` that all readers have."""

    quantizer: Quantizer
    rounds: bool
    theirs: bool


def _quantized(network: Network, name: str, readers: Sequence[_Reader], data: Floats | None) -> _Choice | None:
    """The quantizer of an input: what its user states, what its ``readers`` have, or what is fine enough for all else."""
    stated = network.input(name).range_grid(network.node(name).settings.result_bits)
    if stated is not None:
        return _Choice(stated, rounds=True, theirs=False)
    quantizers = [reader.quantizer for reader in readers]
    if quantizers and all(quantizers[0].is_same(other) for other in quantizers):
        return _Choice(quantizers[0], rounds=False, theirs=True)
    joint = _joint(quantizers) if quantizers else None
    if joint is not None:
        return _Choice(joint, rounds=False, theirs=False)
    covering = _covering(network, name, data)
    return None if covering is None else _Choice(covering, covering.rounding is Rounding.RND, theirs=False)


def compared_inputs(network: Network) -> dict[str, str]:
    """The input that each layer with thresholds reads as it is, by the layer's name."""
    entries, same = dict[str, str](), {name: name for name in network.inputs}
    for node in network.nodes:
        if node.inputs and node.inputs[0] in same:
            if isinstance(node.layer, Identity):
                same[node.name] = same[node.inputs[0]]
            elif isinstance(node.layer, Comparing):
                entries[node.name] = same[node.inputs[0]]
    return entries


def _readers(network: Network, shapes: Mapping[str, Shape], name: str) -> list[_Reader] | None:
    """The quantizers that read a node, as they are for its shape; None if anything else does."""
    reached: list[_Reader] = []
    if name in network.outputs:
        return None
    for reader in network.consumers(name):
        # A format of one time step is that of all.
        layer = reader.layer.layer if isinstance(reader.layer, TimeDistributed) else reader.layer
        if reader.order is not None or "result" in reader.settings.precision:
            return None
        if isinstance(layer, Quantize):
            if layer.quantizer.fracs is None or not layer.quantizer.keeps_scale:
                return None
            reached.append(_Reader(_told_apart(network, reader.name, layer.quantizer), reader.name))
            continue
        beyond = _readers(network, shapes, reader.name) if reader.layer.traits.moves_or_pads else None
        if beyond is None:
            return None
        for further in beyond:
            if further.quantizer.size == 1 or len(reader.inputs) > 1:
                here = _anywhere(further.quantizer)
            else:
                here = _in_shape(further.quantizer, reader, name, shapes)
            reached += [_Reader(each, further.name if reader.layer.traits.keeps else "") for each in here]
    return reached


def _told_apart(network: Network, name: str, quantizer: Quantizer) -> Quantizer:
    """The ``quantizer`` of a node, without bits for elements whose codes are alike to all tables that read it."""
    tables = [node.layer for node in network.consumers(name)]
    if name in network.outputs or not tables or not all(isinstance(layer, Lookup) for layer in tables):
        return quantizer
    alike = [np.all(layer.values == layer.values[..., :1], axis=-1) for layer in tables if isinstance(layer, Lookup)]
    blind = reduce(np.logical_and, alike) & (quantizer.lo <= 0) & (quantizer.hi >= 0)
    if not np.any(blind):
        return quantizer
    lo, hi = (np.where(blind, 0, end) for end in (quantizer.lo, quantizer.hi))
    return Quantizer.uniform(quantizer.scale, lo, hi, quantizer.rounding, quantizer.overflow)


def _anywhere(quantizer: Quantizer) -> Iterator[Quantizer]:
    """The quantizers of single elements, each for a whole tensor."""
    parts = np.broadcast_arrays(quantizer.scale, quantizer.lo, quantizer.hi)
    for scale, lo, hi in dict.fromkeys(zip(*(part.ravel().tolist() for part in parts), strict=True)):
        yield Quantizer.uniform(scale, lo, hi, quantizer.rounding, quantizer.overflow)


def _in_shape(quantizer: Quantizer, node: NetworkNode, name: str, shapes: Mapping[str, Shape]) -> Iterator[Quantizer]:
    """Quantizers of the tensor ``name``; ``quantizer`` is for what the layer of ``node`` makes of it.

    There are as many as there are copies of an element. They have no bits for elements of which there are fewer copies.
    """
    parts = [np.broadcast_to(part, shapes[node.name]).ravel() for part in (quantizer.scale, quantizer.lo, quantizer.hi)]
    coarsest = quantizer.scale.max()
    for sources, places in copies(node, name, shapes):
        wholes = [np.full(math.prod(shapes[name]), value, dtype=np.object_) for value in (coarsest, 0, 0)]
        for whole, part in zip(wholes, parts, strict=True):
            whole[sources] = part[places]
        scale, lo, hi = (whole.reshape(shapes[name]) for whole in wholes)
        yield Quantizer.uniform(scale, lo, hi, quantizer.rounding, quantizer.overflow)


def _joint(quantizers: Sequence[Quantizer]) -> Quantizer | None:
    """All bits that fixed-point quantizers look at, so that each does the same to what is left; None if no format has them.

    Truncation leaves all comparisons with steps as they are, and with half steps if it keeps them: modes that round ties in other
    ways than upwards would take for ties what is truncated to one. Ranges that wrap around go into each other, and those that
    saturate into their hull; where some wrap around and some saturate, no range is enough.
    """
    if any(one.rounding not in (Rounding.TRN, Rounding.RND) for one in quantizers):
        return None
    wrapping = [one.overflow is Overflow.WRAP for one in quantizers]
    if any(wrapping) and not all(wrapping):
        return None
    halves = any(one.rounding is not Rounding.TRN for one in quantizers)
    kept = (np.broadcast_arrays(one.scale, one.hi > one.lo) for one in quantizers)
    coarsest = max((scale[has_bits].max() for scale, has_bits in kept if np.any(has_bits)), default=Fraction(1))
    scales = [np.where(one.hi > one.lo, one.scale, np.asarray(coarsest, dtype=np.object_)) for one in quantizers]
    finest = reduce(np.minimum, scales) / (2 if halves else 1)
    lows, highs, ends = [], [], []
    for quantizer, scale in zip(quantizers, scales, strict=True):
        steps = _integer(scale / finest)
        lows.append(quantizer.lo * steps)
        highs.append(quantizer.hi * steps)
        ends.append(np.where(quantizer.hi > quantizer.lo, quantizer.hi + 1, 0) * steps)
    lo = reduce(np.minimum, lows)
    if not any(wrapping):
        return Quantizer.uniform(finest, lo, reduce(np.maximum, highs), Rounding.TRN, Overflow.SAT)
    size = np.maximum(reduce(np.maximum, ends), -lo)
    if bool(np.any(size & (size - 1))):
        return None
    return Quantizer.uniform(finest, np.where(lo < 0, -size, 0), np.maximum(size - 1, 0), Rounding.TRN, Overflow.WRAP)


def _all_readers(network: Network, name: str) -> list[Quantizer] | None:
    """The quantizers of any scale that read a node, perhaps after its elements moved; None if anything else does."""
    quantizers: list[Quantizer] = []
    for reader in network.consumers(name):
        layer = reader.layer.layer if isinstance(reader.layer, TimeDistributed) else reader.layer
        moves = layer.traits.moves_or_pads
        beyond = (
            [layer.quantizer] if isinstance(layer, Quantize) else _all_readers(network, reader.name) if moves else None
        )
        if beyond is None or "result" in reader.settings.precision:
            return None
        quantizers += beyond
    return None if name in network.outputs else quantizers


def _holding(quantizers: Sequence[Quantizer]) -> FixedFormat | None:
    """A format that quantizers do the same to as to what is put into it, far beyond their ranges; None if it is too wide.

    It is exact if their steps are powers of two, and ties go upwards, or away from 0; else each of their steps has 256 or more of
    it, and its range is such that tables of them do not become too long.
    """
    if not quantizers:
        return None
    step = min(float(as_floats(abs(each.scale)).min()) for each in quantizers)
    bounds = [as_floats((code - each.offset) * each.scale) for each in quantizers for code in (each.lo, each.hi)]
    reach = max(float(np.abs(bound).max()) for bound in bounds)
    modes, centered = {each.rounding for each in quantizers}, not any(np.any(each.offset) for each in quantizers)
    halves = not modes <= {cut for cut, _ in _CUTTING}
    cutting = [cut for cut, nearest in _CUTTING if modes <= {cut, nearest} and (centered or cut is Rounding.TRN)]
    exact = bool(cutting) and all(each.fracs is not None for each in quantizers)
    frac = -math.floor(math.log2(step)) + (int(halves) if exact else _SPARE_BITS)
    least = math.frexp(reach)[1] + 1
    integer = min(max(least, DEFAULT_INPUT.integer) + _SPARE_BITS, _MOST_BITS - frac)
    if not exact:
        integer = min(integer, max(_STEPS_BITS + math.floor(math.log2(step)), least))
    rounding = cutting[0] if exact else Rounding.RND
    return FixedFormat(True, integer + frac, frac, rounding, Overflow.SAT) if integer >= least else None


def _covering(network: Network, name: str, data: Floats | None) -> Quantizer | None:
    """A format for what quantizers of any scale read, staircases, or trees; None if other layers do, or it would be too wide."""
    seen = resolution_of(network, name)
    if seen is None:
        return None
    if seen.edges is not None:
        return _between(seen.edges, data, network.node(name).settings.result_bits)
    sign = int(seen.least < 0)
    integer = max(
        math.ceil(math.log2(-seen.least)) if sign else -_MOST_BITS,
        math.frexp(seen.most)[1] if seen.most > 0 else -_MOST_BITS,
    )
    frac = _SPARE_BITS - math.floor(math.log2(seen.step))
    exact = seen.frac is not None and seen.frac <= frac
    frac = seen.frac if exact and seen.frac is not None else frac
    if not 0 < sign + integer + frac <= _MOST_BITS:
        return None
    return Quantizer.fixed(sign, integer, frac, Rounding.TRN if exact else Rounding.RND, Overflow.SAT)


def _between(edges: Edges, data: Floats | None, bits: int) -> Quantizer:
    """The format of each element of an input whose results change after ``edges`` alone.

    Rounding takes no number of ``data`` (samples, ..., elements) across an edge, if an element's bits are enough for that.
    Elements without edges have no bits.
    """
    columns = None if data is None else data.reshape(-1, len(edges))
    fracs = [_frac(some, bits, None if columns is None else columns[:, k]) for k, some in enumerate(edges)]
    integers, signs = np.zeros(len(edges), np.int64), np.zeros(len(edges), np.int64)
    for k, (some, frac) in enumerate(zip(edges, fracs, strict=True)):
        signs[k] = some.size > 0 and some[0] < 0
        least, most = (rounded_threshold(float(end), frac) for end in (some[0], some[-1])) if some.size else (0, 0)
        reach = math.ldexp(float(max(-least, most + 1)), -frac)
        integers[k] = math.frexp(reach)[1] if some.size else -frac - signs[k]
    return Quantizer.fixed(signs, integers, np.array(fracs), Rounding.RND, Overflow.SAT)


def _frac(edges: Floats, bits: int, data: Floats | None) -> int:
    """Fractional bits with which numbers on both sides of edges stay apart.

    Edges lie two steps apart at least, and 256 at most if ``bits`` bits are enough for that. Data next to an edge have more bits,
    whatever thresholds are; data on an edge may have few digits (see :mod:`bitsmith.layers.thresholds`). Where no bits are
    enough, thresholds move by a step.
    """
    if not edges.size:
        return 0
    largest = float(np.abs(edges).max()) or 1.0
    own = exact_frac(edges, bits)
    apart = -math.floor(math.log2(float(np.diff(edges).min()) if edges.size > 1 else largest))
    most = _SPARE_BITS + (apart if own is None else max(own, apart))
    finest = min(_MOST_BITS - 2 - math.frexp(largest)[1], _FINEST)
    frac = min(max(apart + 1, bits - 1 - math.frexp(largest)[1]), most, finest)
    if data is None:
        return frac
    sides = np.searchsorted(edges, data)
    for thresholds in ((raw_threshold, rounded_threshold), (rounded_threshold,)):
        for enough in range(frac, finest + 1):
            if all(np.array_equal(sides, _sides(edges, enough, data, threshold)) for threshold in thresholds):
                return enough
    data = np.sort(data)
    return next((enough for enough in range(frac, finest) if kept_thresholds(edges, enough, data) is not None), finest)


def _sides(edges: Floats, frac: int, data: Floats, threshold: Callable[[float, int], int]) -> npt.NDArray[np.int64]:
    """The number of edges below each rounded number, of which ``threshold`` makes integers."""
    raw = np.floor(np.ldexp(data, frac) + 0.5)
    return np.searchsorted([float(threshold(edge, frac)) for edge in edges.tolist()], raw)
