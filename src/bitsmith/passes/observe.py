"""Runs the float model and notes what each tensor's values look like: the basis of ``auto`` precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.errors import InputDataError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.input import DEFAULT_INPUT, Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.lowering import Observed, exact_frac
from bitsmith.layers.network import Network

GENERATED_SAMPLES = 512
_CALIBRATION_SAMPLES = 8192


def observe(network: Network, calibration: Sequence[Floats] | None) -> dict[str, Observed]:
    """What each node's float result shows on ``calibration`` (one batch per input), or on generated inputs.

    Raises:
        InputDataError: calibration data that do not fit the inputs, or are not finite.
    """
    inputs = _generated(network) if calibration is None else _checked(network, calibration)
    with np.errstate(over="ignore", invalid="ignore"):
        results = network.evaluate(inputs)
    return {name: _seen(values, calibration is not None) for name, values in results.items()}


def _seen(values: Floats, measured: bool) -> Observed:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Observed(0.0, 0.0, 0, measured)
    return Observed(float(finite.min()), float(finite.max()), exact_frac(finite), measured)


def _generated(network: Network) -> list[Floats]:
    rng = np.random.default_rng(0)
    batches = []
    for name in network.inputs:
        node = network.node(name)
        assert isinstance(node.layer, Input)
        fmt = node.settings.precision.get("result", DEFAULT_INPUT)
        batches.append(_drawn(rng, (GENERATED_SAMPLES, *node.layer.shape), fmt))
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
