"""Runs the float model and notes what each tensor's values look like: the basis of ``auto`` precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from bitsmith.errors import InputDataError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.lowering import AUTO_BITS, Observed, exact_frac
from bitsmith.layers.network import Network

GENERATED_SAMPLES = 512
_LEAST_SAMPLES = 16
_GENERATED_ELEMENTS = 1 << 22
"""Elements of the largest tensor, above which fewer samples are generated: its positions are samples enough."""

_CHUNK_ELEMENTS = 1 << 22
"""Elements of the largest tensor that are held at once."""

_CALIBRATION_SAMPLES = 8192


def observe(network: Network, calibration: Sequence[Floats] | None) -> dict[str, Observed]:
    """What each node's float result shows on ``calibration`` (one batch per input), or on generated inputs.

    Raises:
        InputDataError: calibration data that do not fit the inputs, or are not finite.
    """
    sizes = [math.prod(shape) for shape in network.shapes().values()]
    samples = min(max(_GENERATED_ELEMENTS // max(sizes), _LEAST_SAMPLES), GENERATED_SAMPLES)
    inputs = _generated(network, samples) if calibration is None else _checked(network, calibration)
    chunk = max(_CHUNK_ELEMENTS // max(sizes), 1)
    seen: dict[str, Observed] = {}
    for start in range(0, len(inputs[0]), chunk):
        part = _observe(network, [batch[start : start + chunk] for batch in inputs], calibration is not None)
        seen = {name: _joined(seen[name], observed) for name, observed in part.items()} if seen else part
    return seen


def _observe(network: Network, inputs: Sequence[Floats], measured: bool) -> dict[str, Observed]:
    """One chunk; a tensor is forgotten when its last reader has had it."""
    seen: dict[str, Observed] = {}
    # On several threads BLAS takes up to ten times as long where other programs run too, and gains little where not.
    with np.errstate(over="ignore", invalid="ignore"), threadpool_limits(limits=1, user_api="blas"):
        for node, operands, result in network.evaluation(inputs):
            inner = {name: _seen(values, measured) for name, values in node.layer.internals(operands).items()}
            seen[node.name] = replace(_seen(result, measured), inner=inner)
    return seen


def _seen(values: Floats, measured: bool) -> Observed:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Observed(0.0, 0.0, 0, measured)
    return Observed(float(finite.min()), float(finite.max()), exact_frac(finite), measured)


def _joined(a: Observed, b: Observed) -> Observed:
    """What both show together."""
    both = Observed(min(a.lo, b.lo), max(a.hi, b.hi), None, a.measured,
                    {name: _joined(a.inner[name], b.inner[name]) for name in a.inner})  # fmt: skip
    if a.frac is None or b.frac is None or max(a.frac, b.frac) > AUTO_BITS - math.frexp(both.amplitude)[1]:
        return both
    return replace(both, frac=max(a.frac, b.frac))


def _generated(network: Network, samples: int) -> list[Floats]:
    rng = np.random.default_rng(0)
    batches = []
    for name in network.inputs:
        node = network.node(name)
        assert isinstance(node.layer, Input)
        fmt = node.settings.precision.get("result", node.layer.default_format)
        batches.append(_drawn(rng, (samples, *node.layer.shape), fmt))
    return batches


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
        batch = np.asarray(data, dtype=np.float64)[:_CALIBRATION_SAMPLES]
        layer = network.node(name).layer
        assert isinstance(layer, Input)
        if batch.shape[1:] != layer.shape or len(batch) == 0:
            raise InputDataError(
                f"calibration data of shape {np.shape(data)}",
                where=f"input {name!r}",
                accepted=f"shape (samples, {', '.join(map(str, layer.shape))})",
            )
        if not bool(np.all(np.isfinite(batch))):
            raise InputDataError("calibration data with NaN or infinite values", where=f"input {name!r}")
        batches.append(batch)
    return batches
