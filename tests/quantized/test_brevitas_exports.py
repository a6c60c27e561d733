"""Networks that Brevitas exports to QONNX and QCDQ with both exporters compute what Brevitas and the files' runtimes do.

``brevitas_exports/make.py`` writes the files. Two differ from Brevitas, as their runtimes do: a QuantReLU of one bit becomes
BipolarQuant, and in QCDQ the mean of a window is rounded to nearest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsmith

MODELS = Path(__file__).parent / "brevitas_exports" / "models"
FILES = sorted(path.stem for path in MODELS.glob("*.onnx"))
EXPECTED = np.load(MODELS / "expected.npz")
DIFFERENT = ("one_bit_qonnx_", "residual_po2_qcdq_")


@pytest.mark.parametrize("file", FILES)
def test_runtime(file: str) -> None:
    network = file.partition("_qonnx_")[0].partition("_qcdq_")[0]
    found = bitsmith.convert(MODELS / f"{file}.onnx").predict(EXPECTED[f"{network}/x"].astype(np.float64))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found.astype(np.float32), EXPECTED[f"{file}/y"])
    assert np.array_equal(found.astype(np.float32), EXPECTED[f"{network}/y"]) is not file.startswith(DIFFERENT)
