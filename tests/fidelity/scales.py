"""Random models without calibration data, fed with inputs of several scales, beside the framework's own outputs."""

from __future__ import annotations

import enum
import warnings
from collections import Counter

import keras
import numpy as np
import numpy.typing as npt

from bitsmith import convert
from bitsmith.errors import FidelityWarning, InputRangeWarning
from bitsmith.frontends.read import AnyModel
from bitsmith.layers.layer import Floats
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
    x = drawn(model.input_shape[1:], scale, seed)
    with np.errstate(all="ignore"):  # exponentials of large numbers, which the framework is right about
        wanted = np.asarray(model(x), dtype=np.float64)
    return outcome_beside(model, x, wanted)


def drawn(shape: tuple[int, ...], scale: float, seed: int) -> npt.NDArray[np.float32]:
    """Uniform inputs of a scale; of every other seed they are not negative."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-scale if seed % 2 else 0.0, scale, (_SAMPLES, *shape)).astype(np.float32)


def outcome_beside(model: AnyModel, x: npt.NDArray[np.float32], wanted: Floats) -> Outcome:
    """That of inputs for which the framework gives what is ``wanted``."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = convert(model, check=False).predict(x)
    told = any(issubclass(each.category, FidelityWarning | InputRangeWarning) for each in caught)
    size = float(np.ptp(wanted)) if np.ptp(wanted) > 1e-6 * np.abs(wanted).max() else float(np.abs(wanted).max()) or 1.0
    if float(np.abs(results - wanted).max()) <= RIGHT * size:
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
