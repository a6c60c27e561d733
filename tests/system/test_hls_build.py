"""HLS C++ of whole networks through the public interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import ConfigError, VerificationError
from bitsmith.flows.csim import Bridge
from bitsmith.report import read_report
from tests.system.examples import three_layer


@pytest.mark.slow
@pytest.mark.ci
def test_csim_compares_every_bit(tmp_path: Path) -> None:
    model, inputs = three_layer(tmp_path, backend="Vitis")
    report = model.build(csim=True, inputs=inputs[:200])
    assert report.section("Verification")["Inputs"] == 200 and report.section("Verification")["Mismatches"] == 0
    assert [stage["Name"] for stage in report.stages()] == ["vitis", "csim"]
    folder = tmp_path / "project"
    assert "set part xcvu13p-flga2577-2-e" in (folder / "project.tcl").read_text()
    assert (folder / "report.html").is_file()
    predicted = np.loadtxt(folder / "tb_data" / "tb_output_predictions.dat")
    expected = model.predict(np.loadtxt(folder / "tb_data" / "tb_input_features.dat"))
    np.testing.assert_array_equal(predicted, expected)
    assert read_report(folder).section("Verification") == report.section("Verification")


@pytest.mark.slow
@pytest.mark.ci
def test_saved_model_keeps_its_backend(tmp_path: Path) -> None:
    model, _ = three_layer(tmp_path, backend="vivado")
    model.save(tmp_path / "model.json")
    loaded = bitsmith.Model.load(tmp_path / "model.json", tmp_path / "other")
    assert loaded.build().stages()[0]["Name"] == "vivado"
    assert "vivado_hls" in (tmp_path / "other" / "build_prj.tcl").read_text()


def test_a_stage_that_no_vendor_has_is_refused(tmp_path: Path) -> None:
    model, _ = three_layer(tmp_path, backend="vitis")
    with pytest.raises(ConfigError, match="backend 'vitis'"):
        model.build(bitstream=True)


@pytest.mark.slow
@pytest.mark.ci
def test_a_wrong_bit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = three_layer(tmp_path, backend="vitis")
    honest = Bridge.run

    def flipped(bridge: Bridge, words: np.ndarray, *, whole: bool) -> np.ndarray:
        results = honest(bridge, words, whole=whole)
        results[3, 0] ^= np.uint64(1)
        return results

    monkeypatch.setattr(Bridge, "run", flipped)
    with pytest.raises(VerificationError, match="first in sample 3, element 0"):
        model.build(csim=True, inputs=inputs[:10])
