"""Networks that Brevitas exports to QONNX and QCDQ with both exporters compute what Brevitas and the files' runtimes do.

``brevitas_exports/make.py`` writes the files. Two differ from Brevitas, as their runtimes do: a QuantReLU of one bit becomes
BipolarQuant, and in QCDQ the mean of a window is rounded to nearest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.properties import JUDGED

import bitsmith
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.quantization.quantize import Quantize

MODELS = Path(__file__).parent / "brevitas_exports" / "models"
FILES = sorted(path.stem for path in MODELS.glob("*.onnx"))
EXPECTED = np.load(MODELS / "expected.npz")
DIFFERENT = ("one_bit_qonnx_", "residual_po2_qcdq_")


def assert_same(file: str, found: np.ndarray) -> None:
    network = network_of(file)
    np.testing.assert_array_equal(found.astype(np.float32), EXPECTED[f"{file}/y"])
    assert np.array_equal(found.astype(np.float32), EXPECTED[f"{network}/y"]) is not file.startswith(DIFFERENT)


def network_of(file: str) -> str:
    return file.partition("_qonnx_")[0].partition("_qcdq_")[0]


def each(*slow: str) -> list[object]:
    """All files; those of one exporter and dialect are fast tests, but for ``slow`` ones."""
    fast = [file.endswith("qonnx_script") and not file.startswith(slow) for file in FILES]
    return [pytest.param(file, marks=[] if quick else JUDGED) for file, quick in zip(FILES, fast, strict=True)]


@pytest.mark.parametrize("file", each())
def test_meaning(file: str) -> None:
    network = read_onnx(MODELS / f"{file}.onnx")
    (output,) = network.outputs
    assert_same(file, network.evaluate([EXPECTED[f"{network_of(file)}/x"].astype(np.float64)])[output])


@pytest.mark.parametrize("file", each("lstm"))
def test_circuit(file: str) -> None:
    found = bitsmith.convert(MODELS / f"{file}.onnx").predict(EXPECTED[f"{network_of(file)}/x"].astype(np.float64))
    assert isinstance(found, np.ndarray)
    assert_same(file, found)


@pytest.mark.parametrize("network", ["po2_2", "po2_4", "cnn1d", "float_5"])
def test_both_dialects_have_the_same_quantizers(network: str) -> None:
    found = []
    for kind in ("qonnx", "qcdq"):
        nodes = read_onnx(MODELS / f"{network}_{kind}_script.onnx").nodes
        found.append([str(node.layer.quantizer) for node in nodes if isinstance(node.layer, Quantize)])
        found[-1] += [str(node.quantizers["weight"]) for node in nodes if "weight" in node.quantizers]
    assert found[0] == found[1], "integers of 8 bits, clipped to fewer, leave no trace"
