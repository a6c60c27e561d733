"""Random models of a framework through ``convert``, beside the framework's own outputs.

A *case* is a model with inputs and what the framework computes of them. It is converted twice: as a user does, calibrated on
these inputs with all formats ``auto``, and in a type so wide that only mistakes are left. A generator is a function from a
seed to a case.
"""

from __future__ import annotations

import enum
import math
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bitsmith import convert
from bitsmith.errors import BitsmithError, FidelityWarning
from bitsmith.layers.layer import Floats

_RESULTS = ("result", "state", "cell", "activation", "recurrent_activation")
_TRAINED = ("weight", "bias", "scale", "param", "recurrent_weight", "recurrent_bias")
WIDE = {
    "Model": {
        "Precision": {
            "default": "auto",
            **dict.fromkeys(_RESULTS, "fixed<60,30,RND,SAT>"),
            **dict.fromkeys(_TRAINED, "fixed<48,20,RND,SAT>"),
        }
    }
}
"""A configuration in which rounding is no excuse."""

MOST_ERROR = {"auto": 2e-2, "wide": 1e-3}
"""Greatest difference, as a share of the greatest magnitude of an output's channel."""

MOST_JUMPS = 0.03
"""Part of the values that may differ where a result jumps: in a comparison or in rounding the last place decides."""

LEAST_CHANNEL = 2.0**-10
"""Magnitude of a channel, as a share of its tensor's, below which it is judged by that share."""

LEAST_CHANNEL_WIDE = 2.0**-6
"""The same for a wide type: tables have one accuracy for all channels."""

_SHARES = {"auto": LEAST_CHANNEL, "wide": LEAST_CHANNEL_WIDE}

LEAST = 2.0**-8
"""Magnitude of an output below which it is judged by this: where functions saturate, accuracy is absolute."""

LEAST_TOLD = 1e-2
"""Greatest difference, as a share of the range of an output or a channel, from which a warning is true."""

SPREADS = 4.0
"""How often the spread that a case states is excused: it is the greatest of a few draws."""


@dataclass(frozen=True)
class Case:
    """A model as ``convert`` takes it, a batch for each input, and the framework's outputs for these."""

    model: Any
    inputs: Sequence[Floats]
    outputs: Sequence[Floats]
    text: str
    """What the model is, for a person who looks into a failure: layers or source."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of ``convert``."""
    jumps: bool = False
    """True if the model has an operation that jumps."""
    spread: Mapping[str, Sequence[Floats]] = field(default_factory=dict)
    """How far each value of the outputs goes if each result inside is off by what its format ("auto" or "wide") excuses."""


class Outcome(enum.Enum):
    """What became of a case in one of the two conversions."""

    AGREES = "agrees"
    WARNED = "differs, and says so"
    FALSE_ALARM = "agrees, but warns"
    REFUSED = "refused"
    WRONG = "differs silently"
    CRASHED = "ends in a traceback"


@dataclass(frozen=True)
class Result:
    """The outcome, the message, traceback or difference behind it, and the error."""

    outcome: Outcome
    found: str = ""
    error: float = math.nan
    """Greatest difference, as a share of the greatest magnitude of its channel; not a number where there are no results."""


def compared(case: Case, *, wide: bool = False) -> Result:
    """Convert a case, and run it on its inputs. The certificate does not see the framework (``check=False``)."""
    config = WIDE if wide else None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            calibration = list(case.inputs)
            model = convert(case.model, config=config, calibration=calibration, check=False, **case.options)
            found = model.predict(calibration if len(calibration) > 1 else calibration[0])
    except BitsmithError as error:
        # A wide type may be too wide for a product of many factors: that is no defect.
        return Result(Outcome.REFUSED, f"{type(error).__name__}: {error}")
    except Exception:  # whatever it is, it is the finding
        return Result(Outcome.CRASHED, traceback.format_exc())
    warned = [str(each.message) for each in caught if issubclass(each.category, FidelityWarning)]
    results = found if isinstance(found, list) else [found]
    name = "wide" if wide else "auto"
    error = _error(case, results, name)
    if differences := _differences(case, results, name):
        return Result(Outcome.WARNED if warned else Outcome.WRONG, "; ".join([*differences, *warned]), error)
    if warned and any(map(_differs_in_range, case.outputs, results)):
        return Result(Outcome.WARNED, "; ".join(warned), error)
    return Result(Outcome.FALSE_ALARM, warned[0], error) if warned else Result(Outcome.AGREES, error=error)


def _error(case: Case, results: Sequence[Floats], name: str) -> float:
    """The greatest difference in the outputs that have the right shape."""
    found = [math.nan]
    for wanted, have in zip(case.outputs, results, strict=False):
        if np.shape(wanted) == have.shape:
            found.append(float((_off(wanted, have) / _sizes(wanted, LEAST, _SHARES[name])).max(initial=0.0)))
    return float(np.nanmax(found)) if len(found) > 1 else math.nan


def _off(wanted: Floats, have: Floats) -> Floats:
    """Differences where the framework says a number."""
    return np.where(np.isfinite(wanted), np.abs(have - np.nan_to_num(wanted)), 0.0)


def _sizes(wanted: Floats, least: float, share: float) -> Floats:
    """The magnitude of each channel, but for small channels ``share`` of the whole tensor's, and at least ``least``."""
    size = np.where(np.isfinite(wanted), np.abs(wanted), 0.0)
    channels = size.max(axis=tuple(range(max(size.ndim - 1, 1))), keepdims=True, initial=0.0)
    return np.maximum(channels, max(share * size.max(initial=0.0), least, np.finfo(np.float64).tiny))


def _differs_in_range(wanted: Floats, have: Floats) -> bool:
    """Return True if an output that hardly varies, or a channel that does, is off by what a warning may tell."""
    off, axes = _off(wanted, have), tuple(range(max(np.ndim(wanted) - 1, 1)))
    whole, channels = np.ptp(wanted), np.ptp(wanted, axis=axes, keepdims=True)
    return bool(off.max(initial=0.0) > LEAST_TOLD * whole or np.any(off > LEAST_TOLD * channels))


def _differences(case: Case, results: Sequence[Floats], name: str) -> list[str]:
    """What is wrong with which output."""
    if len(results) != len(case.outputs):
        return [f"{len(results)} outputs, not {len(case.outputs)}"]
    said = []
    for number, (wanted, have) in enumerate(zip(case.outputs, results, strict=True)):
        if np.shape(wanted) != have.shape:
            said.append(f"output {number} has shape {have.shape}, not {np.shape(wanted)}")
            continue
        excused = SPREADS * case.spread[name][number] if case.spread else 0.0
        error = np.maximum(_off(wanted, have) - excused, 0.0) / _sizes(wanted, LEAST, _SHARES[name])
        wrong = error > MOST_ERROR[name]
        if wrong.mean() > (MOST_JUMPS if case.jumps else 0.0):
            said.append(
                f"output {number} differs by {error.max():.3g} of its channel's magnitude in {wrong.mean():.1%} of values"
            )
    return said


def check(generator: Callable[[int], Case], seeds: Sequence[int], *, refusals: float = 0.1) -> None:
    """Assert that no case of ``generator`` is silently wrong or crashes, and that few are refused."""
    refused = []
    for seed in seeds:
        case = generator(seed)
        for wide in (False, True):
            result = compared(case, wide=wide)
            where = f"{generator.__module__} {seed} ({'wide' if wide else 'auto'})"
            assert result.outcome not in (Outcome.WRONG, Outcome.CRASHED), f"{where}: {result.found}\n{case.text}"
            if result.outcome is Outcome.REFUSED and not wide:
                refused.append(f"{where}: {result.found}")
    assert len(refused) <= refusals * len(seeds), "\n".join(refused)
