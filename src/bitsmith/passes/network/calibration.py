"""Runs the float model and notes what each tensor's values look like: the basis of ``auto`` precision.

An input has one format for all its features unless rounding the calibration data to it changes some layer's result. Then
each feature (element of the last axis) is looked at on its own. An input whose data happen to lie on a coarse grid has steps
below it, if numbers between the points of the grid change an output, unless all of the grid seems to be there.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitsmith.base.blas import one_thread
from bitsmith.errors import InputDataError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import AUTO_BITS, ObservedRange, exact_frac, format_for, least_bits
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settled import told_apart
from bitsmith.passes.network.index_inputs import look_ups

GENERATED_SAMPLES = 512
_LEAST_SAMPLES = 16
_GENERATED_ELEMENTS = 1 << 22
"""Elements of the largest tensor, above which fewer samples are generated: its positions are samples enough."""

_CHUNK_ELEMENTS = 1 << 22
"""Elements of the largest tensor that are held at once."""

CALIBRATION_SAMPLES = 8192
"""Samples of calibration data that are looked at, at most."""

_MOST_ENDS = CALIBRATION_SAMPLES // 8
"""Most of them that are looked at because they reach the end of a channel's range."""

_LIKE_RANGES = 3
"""Features whose ranges differ by fewer powers of two are not worth formats of their own."""

_ROUNDED_SAMPLES = 512
"""Most samples that are also looked at rounded."""

_SHOWN = 0.01
"""Share of an output's range by which numbers between the points of a grid may change it."""

_LEVELS = 16
"""Fewest levels of scaled integers."""

_TAIL, _MOST_TAIL = 16.0, 64.0
"""Times the magnitude of half of the generated samples beyond which the others do not count, as some come close to a pole; but
those within this share of the greatest do."""


def observe(network: Network, calibration: Sequence[Floats] | None) -> dict[str, ObservedRange]:
    """The range of each node's finite float results on ``calibration`` (one batch per input), or on generated inputs.

    Raises:
        InputDataError: calibration data that do not fit the inputs, or are not finite.
    """
    inputs, chunk = input_batches(network, calibration)
    seen: dict[str, ObservedRange] = {}
    bits = {node.name: _bits(node) for node in network.nodes}
    for start in range(0, len(inputs[0]), chunk):
        part = _observed(network, [batch[start : start + chunk] for batch in inputs], calibration is not None)
        seen = {name: _joined(seen[name], observed, bits[name]) for name, observed in part.items()} if seen else part
    limits = told_apart(network)
    return {name: replace(observed, told_apart=limits[name]) for name, observed in seen.items()}


def calibrate(network: Network, calibration: Sequence[Floats] | None) -> dict[str, ObservedRange]:
    """Observe like :func:`observe`, with the features of inputs that need formats of their own.

    Raises:
        InputDataError: as :func:`observe`.
    """
    seen = observe(network, calibration)
    if calibration is None:
        return seen
    inputs, chunk = input_batches(network, calibration)
    few = [batch[: min(chunk, _ROUNDED_SAMPLES)] for batch in inputs]
    finer = dict(seen)
    for position, name in enumerate(network.inputs):
        node, bits = network.node(name), _bits(network.node(name))
        if not _auto_format(node):
            continue
        if seen[name].frac is not None:
            finer[name] = _below_grid(network, few, position, seen[name])
        elif _unlike_features(node, inputs[position]):
            rounded = _with_rounded(few, position, format_for(seen[name], bits).frac)
            if _differ(network, few, rounded, math.ldexp(1.0, -least_bits(bits))):
                finer[name] = replace(seen[name], features=_features(inputs[position], bits))
    return finer


def _below_grid(network: Network, inputs: Sequence[Floats], position: int, seen: ObservedRange) -> ObservedRange:
    """``seen`` with the fewest bits below the grid of an input's data with which numbers between its points change no output.

    None where all points of the grid are believed to be seen.
    """
    node, grid = network.node(network.inputs[position]), seen.frac
    assert grid is not None
    most = least_bits(_bits(node)) - math.frexp(seen.amplitude)[1]  # fractional bits, beyond which no grid is coarse
    believed = _are_all_that_comes(seen, 2.0**-grid)
    steps = range(grid, min(most, 0) if grid < 0 else most)
    rng = np.random.default_rng(0)
    between = list(inputs)
    offsets = np.ldexp(rng.uniform(-0.5, 0.5, inputs[position].shape), -grid)
    between[position] = np.clip(inputs[position] + offsets, seen.lo, seen.hi)
    wanted = _outputs(network, between) if steps else []
    for frac in steps:
        found = _outputs(network, _with_rounded(between, position, frac))
        if not any(_is_apart(*each, _SHOWN) for each in zip(found, wanted, strict=True)):
            return replace(seen, finer=frac - grid)
        if believed:
            return replace(seen, believed=True)
    return replace(seen, finer=len(steps))


def _are_all_that_comes(seen: ObservedRange, step: float) -> bool:
    """Return True if data of a grid look as if there were no numbers between its points: counts, truth values, signs, bytes."""
    counted = step == 1.0 and (seen.lo >= 0.0 or seen.amplitude == 1.0)
    return counted or _are_scaled_integers(seen, step)


def _are_scaled_integers(seen: ObservedRange, step: float) -> bool:
    """Return True if data of a grid fill the range of an integer type times a power of two, or that from 0 or -1 to 1.

    Pixels often have the latter. Numbers that were rounded reach powers of two as well, but hardly where a type ends.
    """
    fraction, exponent = math.frexp(seen.amplitude)
    end = math.ldexp(1.0, exponent - (fraction == 0.5))
    lowest = seen.lo == 0.0 or seen.lo <= step - end
    highest = end - step <= seen.hi <= (end if end == 1.0 else end - step)
    return lowest and highest and seen.hi - seen.lo >= (_LEVELS - 1) * step


def looked_at(calibration: Sequence[Floats]) -> list[Floats]:
    """The samples of calibration data that count: evenly spaced ones of too many, and those at the ends of inputs' ranges."""
    count = len(calibration[0])
    if count <= CALIBRATION_SAMPLES:
        return [*calibration]
    ends = np.unique(np.concatenate([_at_ends(batch, _MOST_ENDS // len(calibration)) for batch in calibration]))
    spaced = np.linspace(0, count - 1, CALIBRATION_SAMPLES - len(ends)).astype(np.int64)
    rows = np.union1d(spaced, ends)
    return [batch[rows] for batch in calibration]


def _at_ends(batch: Floats, most: int) -> npt.NDArray[np.intp]:
    """The numbers of the samples that reach the ends of each channel, or of the whole where these are more than ``most``."""
    channels = batch.shape[-1] if batch.ndim > 1 and 2 * batch.shape[-1] <= most else 1
    positions = batch.reshape(len(batch), -1, channels)
    return np.concatenate([positions.max(axis=1).argmax(axis=0), positions.min(axis=1).argmin(axis=0)])


def without_range(network: Network, calibration: Sequence[Floats]) -> str:
    """Return what is wrong with calibration data that are one number throughout; empty if they are not."""
    if any(batch.size < 2 or np.ptp(batch) for batch in calibration):
        return ""
    pairs = zip(network.inputs, calibration, strict=True)
    said = ", of ".join(f"input {name!r} are {batch.flat[0]:g}" for name, batch in pairs)
    return (
        f"calibration data of {said} throughout: ranges of other inputs cannot follow from them. Give samples like those of "
        "predictions, or none"
    )


def _bits(node: NetworkNode) -> int:
    """The bits in which what ``node`` shows may be exact: integers that come in are so in any budget."""
    budget = node.settings.bits.result
    return max(budget, AUTO_BITS) if isinstance(node.layer, Input) and node.layer.integer else budget


def input_batches(network: Network, calibration: Sequence[Floats] | None) -> tuple[list[Floats], int]:
    """Batches for the inputs, checked or generated, and the number of samples that are evaluated at once.

    Raises:
        InputDataError: as :func:`observe`.
    """
    sizes = [math.prod(shape) for shape in network.shapes().values()]
    samples = min(max(_GENERATED_ELEMENTS // max(sizes), _LEAST_SAMPLES), GENERATED_SAMPLES)
    inputs = generated(network, samples) if calibration is None else _checked(network, calibration)
    return inputs, max(_CHUNK_ELEMENTS // max(sizes), 1)


def _auto_format(node: NetworkNode) -> bool:
    """Return True if neither the user nor the model says which numbers come in."""
    layer = node.layer
    assert isinstance(layer, Input)
    return "result" not in node.settings.precision and not (layer.integer or layer.limited or layer.floor is not None)


def _unlike_features(node: NetworkNode, batch: Floats) -> bool:
    """Return True if features of an input have different ranges."""
    if batch.ndim < 2:
        return False
    exponents = np.frexp(np.abs(batch).reshape(-1, batch.shape[-1]).max(axis=0))[1]
    return bool(exponents.max() - exponents.min() >= _LIKE_RANGES)


def _with_rounded(inputs: Sequence[Floats], position: int, frac: int) -> list[Floats]:
    """The inputs, that at ``position`` in steps of ``2**-frac``."""
    rounded = list(inputs)
    rounded[position] = np.ldexp(np.rint(np.ldexp(inputs[position], frac)), -frac)
    return rounded


def _differ(network: Network, right: Sequence[Floats], rounded: Sequence[Floats], coarse: float) -> bool:
    """Return True if some result differs by more than ``coarse`` of its range; not looked at: what depends on a jump."""
    with np.errstate(all="ignore"), one_thread():
        both = zip(_smooth(network, right), _smooth(network, rounded), strict=True)
        return any(_is_apart(found, wanted, coarse) for (_, wanted), (_, found) in both)


def _outputs(network: Network, inputs: Sequence[Floats]) -> list[Floats]:
    """The outputs of the float model, but for those that depend on a jump."""
    with np.errstate(all="ignore"), one_thread():
        return [result for name, result in _smooth(network, inputs) if name in network.outputs]


def _smooth(network: Network, inputs: Sequence[Floats]) -> Iterator[tuple[str, Floats]]:
    """Names and results of the nodes that depend on no jump."""
    jumpy: set[str] = set()
    for node, _, result in network.evaluation(inputs):
        if node.layer.jumps or jumpy.intersection(node.inputs):
            jumpy.add(node.name)
        else:
            yield node.name, result


def _is_apart(found: Floats, wanted: Floats, coarse: float) -> bool:
    """Return True if ``found`` differs by more than ``coarse`` of the range of ``wanted``."""
    with np.errstate(invalid="ignore"):  # of infinities, which are not compared
        return float(np.max(np.abs(found - wanted))) > coarse * float(np.max(np.abs(wanted)))


def _features(batch: Floats, bits: int) -> tuple[ObservedRange, ...]:
    """Return the observation of each feature; that of one that is 0 throughout is that of all."""
    columns = batch.reshape(-1, batch.shape[-1]).T
    return tuple(_seen(column if np.any(column) else batch, bits, measured=True) for column in columns)


def _observed(network: Network, inputs: Sequence[Floats], measured: bool) -> dict[str, ObservedRange]:
    """One chunk; a tensor is forgotten when its last reader has had it."""
    seen: dict[str, ObservedRange] = {}
    with np.errstate(over="ignore", invalid="ignore"), one_thread():
        for node, operands, result in network.evaluation(inputs):
            bits = _bits(node)
            inner = {
                name: _seen(values, bits, measured=measured) for name, values in node.layer.internals(operands).items()
            }
            seen[node.name] = replace(_seen(result, bits, measured=measured), inner=inner)
    return seen


def _seen(values: Floats, bits: int, *, measured: bool) -> ObservedRange:
    """Return the observation of finite values, with those of each element of the last axis."""
    least, most = _ends(values)
    lo, hi = float(least.min(initial=math.inf)), float(most.max(initial=-math.inf))
    if not (math.isfinite(lo) and math.isfinite(hi)):
        finite = np.isfinite(values)
        least, most = _ends(np.where(finite, values, np.inf))[0], _ends(np.where(finite, values, -np.inf))[1]
        least, most = np.where(least <= most, least, 0.0), np.where(least <= most, most, 0.0)
        values = values[finite]
        if values.size == 0:
            return ObservedRange(0.0, 0.0, 0, measured, channels=(least, most))
        lo, hi = float(values.min()), float(values.max())
    seen = ObservedRange(lo, hi, exact_frac(values, bits), measured, channels=(least, most))
    return seen if measured else _without_tail(seen, values)


def _without_tail(seen: ObservedRange, values: Floats) -> ObservedRange:
    """Return ``seen`` within the magnitudes that are usual for generated samples, which those near a pole exceed by far."""
    largest = np.abs(values).reshape(len(values), -1).max(axis=1, initial=0.0)
    largest = largest[largest > 0.0]
    if largest.size == 0 or seen.amplitude <= (
        bound := max(_TAIL * float(np.median(largest)), seen.amplitude / _MOST_TAIL)
    ):
        return seen
    return replace(seen, lo=max(seen.lo, -bound), hi=min(seen.hi, bound), frac=None)


def _ends(values: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest value of each element of the last axis."""
    samples = values.reshape(len(values), -1)  # of many elements at once, which is fast
    channels = (-1, values.shape[-1] if values.ndim > 1 else 1)
    return samples.min(axis=0).reshape(channels).min(axis=0), samples.max(axis=0).reshape(channels).max(axis=0)


def _joined(a: ObservedRange, b: ObservedRange, bits: int) -> ObservedRange:
    """Return both observations joined."""
    both = ObservedRange(
        min(a.lo, b.lo),
        max(a.hi, b.hi),
        None,
        a.measured,
        {name: _joined(a.inner[name], b.inner[name], bits) for name in a.inner},
        channels=_joined_channels(a, b),
    )
    if a.frac is None or b.frac is None or max(a.frac, b.frac) > bits - math.frexp(both.amplitude)[1]:
        return both
    return replace(both, frac=max(a.frac, b.frac))


def _joined_channels(a: ObservedRange, b: ObservedRange) -> tuple[Floats, Floats] | None:
    if a.channels is None or b.channels is None:
        return None
    return np.minimum(a.channels[0], b.channels[0]), np.maximum(a.channels[1], b.channels[1])


def generated(network: Network, samples: int) -> list[Floats]:
    """Inputs for a network about whose inputs nothing but their formats is known, always the same."""
    rng = np.random.default_rng(0)
    batches, indices = [], look_ups(network)
    for name in network.inputs:
        node = network.node(name)
        assert isinstance(node.layer, Input)
        if node.layer.least is not None and node.layer.most is not None:
            batches.append(_over_ranges(rng, samples, node.layer.least, node.layer.most))
            continue
        fmt = node.layer.default_format(node.settings.result_bits)
        if node.layer.entries is None:  # whatever their format, indices are those of rows
            fmt = node.settings.precision.get("result", fmt)
        batch = node.layer.scaled(_drawn(rng, (samples, *node.layer.shape), fmt))
        for each in indices[name] if node.layer.entries is None else ():
            batch.reshape(samples, -1)[:, each.places] = rng.integers(0, each.rows, (samples, each.places.size))
        batches.append(batch)
    return batches


def _over_ranges(rng: np.random.Generator, samples: int, least: Floats, most: Floats) -> Floats:
    """Uniform numbers over ranges; a quarter of them is at ends, where results are the largest."""
    batch = rng.uniform(least, most, (samples, len(least)))
    ends = np.where(rng.random((samples // 4, len(least))) < 0.5, least, most)
    batch[: len(ends)] = ends
    return batch


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], fmt: FixedFormat) -> Floats:
    """Standard normal numbers within a signed format with fractions; uniform ones over the range of any other."""
    lo, hi = float(fmt.lo) * 2.0**-fmt.frac, float(fmt.hi) * 2.0**-fmt.frac
    if fmt.signed and fmt.frac > 0:
        return np.clip(rng.standard_normal(shape), lo, hi)
    return rng.uniform(lo, hi, shape)


def _checked(network: Network, calibration: Sequence[Floats]) -> list[Floats]:
    if len(calibration) != len(network.inputs):
        raise InputDataError(
            f"calibration data for {len(calibration)} inputs", accepted=f"a list of {len(network.inputs)} arrays"
        )
    batches = []
    for name, data in zip(network.inputs, calibration, strict=True):
        batch = np.asarray(data, dtype=np.float64)
        layer = network.node(name).layer
        assert isinstance(layer, Input)
        if batch.shape[1:] != layer.shape or len(batch) == 0:
            raise InputDataError(
                f"calibration data of shape {np.shape(data)}",
                where=f"input {name!r}",
                accepted=f"shape (samples, {', '.join(map(str, layer.shape))})",
            )
        if bad := int(np.count_nonzero(~np.isfinite(batch))):
            raise InputDataError.not_finite(name, bad, batch.size)
        batches.append(batch)
    return looked_at(batches)
