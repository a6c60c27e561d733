"""Networks that Brevitas exports to QONNX and QCDQ with both exporters compute what Brevitas and the files' runtimes do.

``brevitas_exports/make.py`` writes the files. Two differ from Brevitas, as their runtimes do: a QuantReLU of one bit becomes
BipolarQuant, and in QCDQ the mean of a window is rounded to nearest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.frontends.onnx.read import read_onnx

MODELS = Path(__file__).parent / "brevitas_exports" / "models"
FILES = sorted(path.stem for path in MODELS.glob("*.onnx"))
EXPECTED = np.load(MODELS / "expected.npz")
DIFFERENT = ("one_bit_qonnx_", "residual_po2_qcdq_")
SCALES_TO_MOVE = ("channels_", "depthwise_", "float_bias_")
"""Not compiled: products of one scale for each channel that is not a power of two, and biases on another grid."""


def assert_same(file: str, found: np.ndarray) -> None:
    network = network_of(file)
    np.testing.assert_array_equal(found.astype(np.float32), EXPECTED[f"{file}/y"])
    assert np.array_equal(found.astype(np.float32), EXPECTED[f"{network}/y"]) is not file.startswith(DIFFERENT)


def network_of(file: str) -> str:
    return file.partition("_qonnx_")[0].partition("_qcdq_")[0]


@pytest.mark.parametrize("file", FILES)
def test_meaning(file: str) -> None:
    network = read_onnx(MODELS / f"{file}.onnx")
    (output,) = network.outputs
    assert_same(file, network.evaluate([EXPECTED[f"{network_of(file)}/x"].astype(np.float64)])[output])


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(SCALES_TO_MOVE)])
def test_circuit(file: str) -> None:
    found = bitsmith.convert(MODELS / f"{file}.onnx").predict(EXPECTED[f"{network_of(file)}/x"].astype(np.float64))
    assert isinstance(found, np.ndarray)
    assert_same(file, found)
