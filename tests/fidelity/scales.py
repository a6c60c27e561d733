"""Random models without calibration data, fed with inputs of several scales, beside the framework's own outputs."""

from __future__ import annotations

import enum
import warnings
from collections import Counter

import keras
import numpy as np

from bitsmith import convert
from bitsmith.errors import FidelityWarning, InputRangeWarning
from tests.fidelity.random_layers import made

SCALES = (0.01, 1.0, 255.0)

RIGHT = 0.01
"""Greatest difference of a right result, as a share of the range of its output."""

_SAMPLES = 64


class Outcome(enum.Enum):
    """What became of predictions."""

    RIGHT = "right"
    WARNED = "wrong, and says so"
    SILENT = "wrong silently"
    FALSE_ALARM = "right, but warns"


def outcome(model: keras.Model, scale: float, seed: int) -> Outcome:
    """That of uniform inputs of a scale."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-scale if seed % 2 else 0.0, scale, (_SAMPLES, *model.input_shape[1:])).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wanted = np.asarray(model(x), dtype=np.float64)
        found = convert(model, check=False).predict(x)
    told = any(issubclass(each.category, FidelityWarning | InputRangeWarning) for each in caught)
    size = float(np.ptp(wanted)) if np.ptp(wanted) > 1e-6 * np.abs(wanted).max() else float(np.abs(wanted).max()) or 1.0
    if float(np.abs(found - wanted).max()) <= RIGHT * size:
        return Outcome.FALSE_ALARM if told else Outcome.RIGHT
    return Outcome.WARNED if told else Outcome.SILENT


def outcomes(kind: str, count: int) -> Counter[tuple[float, Outcome]]:
    """How often there was which outcome, of ``count`` models at each scale."""
    keras.backend.clear_session()
    found: Counter[tuple[float, Outcome]] = Counter()
    for seed in range(count):
        model = made(kind, seed)
        for scale in SCALES:
            found[scale, outcome(model, scale, seed)] += 1
    return found
