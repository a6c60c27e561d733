"""HGQ2's functions, softmax, attention, layers of tables and recurrent ones give what HGQ2 gives, to the bit.

See ``hgq2_tables/make.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.converters import convert
from bitsmith.layers.layer import Floats

pytestmark = pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")

MODELS = Path(__file__).parent / "hgq2_tables" / "models"
with np.load(MODELS / "expected.npz") as file:
    EXPECTED = {key: file[key] for key in file}
NAMES = sorted({key.split("/")[0] for key in EXPECTED})


def arrays(name: str, kind: str) -> list[Floats]:
    """The inputs (``x``) or results (``y``) of a model."""
    count = sum(key.startswith(f"{name}/{kind}") for key in EXPECTED)
    return [EXPECTED[f"{name}/{kind}{number}"].astype(np.float64) for number in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_equals_hgq2(name: str) -> None:
    inputs, results = arrays(name, "x"), arrays(name, "y")
    found = convert(MODELS / f"{name}.keras").predict(inputs if len(inputs) > 1 else inputs[0])
    found = found if isinstance(found, list) else [found]
    for values, expected in zip(found, results, strict=True):
        np.testing.assert_array_equal(values.reshape(expected.shape), expected)
