"""TensorFlow Lite models whose batch is left open, against the interpreter with 1, 7 and 20 samples (``tflite/batches.py``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.tflite.read import read_tflite

REFUSED = {
    "times_count": "values that depend on the number of samples",
    "least": "values that depend on the number of samples",
    "equal": "a choice or a bound by the number of samples",
    "numbered": "a constant that differs between samples",
    "ones": "values that depend on the number of samples",
    "chosen": "values that depend on the number of samples",
    "first": "picks some of the samples",
    "first_row": "picks some of the samples",
}
"""What is said of models that give a sample other results beside others."""


@cache
def _stored() -> dict[str, npt.NDArray[np.generic]]:
    return dict(np.load(Path(__file__).parent / "tflite" / "models" / "batches.npz"))


def _names() -> list[str]:
    return sorted(key.removesuffix("/model") for key in _stored() if key.endswith("/model"))


@pytest.mark.parametrize("name", sorted(set(_names()) - set(REFUSED)))
def test_sizes_computed_of_the_batch_are_the_interpreter_s(name: str) -> None:
    network = read_tflite(_stored()[f"{name}/model"].tobytes())
    for samples in (1, 7, 20):
        x, y = _stored()[f"{name}/x{samples}"], _stored()[f"{name}/y{samples}"]
        have = network.evaluate([x.astype(np.float64)])[network.outputs[0]]
        np.testing.assert_allclose(have, y, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_depends_on_the_number_of_samples_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedError, match=REFUSED[name]):
        read_tflite(_stored()[f"{name}/model"].tobytes())
