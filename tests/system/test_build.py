"""Whole builds: from a Keras file to figures that tools measured."""

from __future__ import annotations

import json
import shutil
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import CapacityError, ProjectError, ProjectWarning, VerificationError
from tests.any_models import proto
from tests.system.examples import MODELS, digits, three_layer
from tests.system.keras2 import write_dense


@pytest.mark.slow
@pytest.mark.ci
def test_cosimulation_on_given_inputs(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    report = model.build(synth=False, inputs=x[:100])
    verification, latency = report["Verification"], report["Latency"]
    assert isinstance(verification, dict) and isinstance(latency, dict)
    assert (verification["Inputs"], verification["Mismatches"]) == (100, 0)
    assert "verilator" in verification["Tool"]
    assert latency["II"] == 1 and latency["Cycles"] > 1
    assert "Resources" not in report and "Timing" not in report
    assert isinstance(report["Estimate"], dict) and report["Estimate"]["Tool"] == "bitsmith estimate"
    assert bitsmith.report.read_report(model.output_dir) == report
    assert (model.output_dir / "report.html").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.ci
def test_an_unchanged_stage_comes_from_the_cache_and_a_changed_one_does_not(tmp_path: Path) -> None:
    model, x = digits(tmp_path)

    def cached(first: int = 0) -> bool:
        report = model.build(synth=False, inputs=x[first : first + 20])
        return bool({stage["Name"]: stage["Cached"] for stage in report.stages()}["cosim"])

    assert [cached(20), cached(), cached()] == [False, False, True]
    source = next((model.output_dir / "rtl").glob("*fc1.sv"))
    source.write_text(source.read_text() + "\n")
    assert cached()  # the damaged source is written again before it is looked at
    model, _ = digits(tmp_path, clock_period=20.0)
    assert not cached()


@pytest.mark.slow
@pytest.mark.ci
def test_a_circuit_is_generated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = digits(tmp_path)
    first = model.build(synth=False, inputs=x[:20])

    def refuse(*arguments: object) -> None:
        raise AssertionError("generated again")

    monkeypatch.setattr("bitsmith.building.rtl_stages.circuit", refuse)
    again = model.build(synth=False, inputs=x[:20])
    assert {stage["Name"]: stage["Cached"] for stage in again.stages()} == {"rtl": True, "cosim": True}
    assert dict(again) | {"Stages": []} == dict(first) | {"Stages": []}
    (model.output_dir / "driver" / "myproject.py").unlink()
    with pytest.raises(AssertionError, match="generated again"):
        model.build(synth=False, inputs=x[:20])


@pytest.mark.slow
@pytest.mark.ci
def test_sources_of_another_network_are_removed(tmp_path: Path) -> None:
    earlier, _ = three_layer(tmp_path)
    earlier.build(cosim=False, synth=False)
    model, _ = digits(tmp_path)
    stale = model.output_dir / "rtl" / "myproject_fc3_relu.sv"
    assert stale.exists()
    with pytest.warns(ProjectWarning, match="which one of .* replaces"):
        model.build(cosim=False, synth=False)
    assert not stale.exists()


@pytest.mark.slow
@pytest.mark.ci
def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model, x = digits(tmp_path)

    def interrupt(line: str) -> None:
        if line.startswith("synth"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.build(inputs=x[:20], progress=interrupt)
    stages = {stage["Name"]: stage["Cached"] for stage in model.build(synth=False, inputs=x[:20]).stages()}
    assert stages["cosim"]


def test_a_circuit_that_disagrees_is_never_reported_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = digits(tmp_path)
    truth = type(model.emulator).run_raw

    def wrong(self: object, raws: object) -> object:
        outputs = truth(self, raws)  # type: ignore[arg-type]
        if len(outputs[0]) > 7:  # not the stored frame of the driver
            outputs[0][7, 3] ^= 1
        return outputs

    monkeypatch.setattr(type(model.emulator), "run_raw", wrong)
    with pytest.raises(VerificationError, match="1 of 200 outputs differ; first in sample 7, element 3"):
        model.build(synth=False, inputs=x[:20])
    with pytest.raises(ProjectError):
        bitsmith.report.read_report(model.output_dir)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    model.output_dir.mkdir()
    (model.output_dir / "thesis.tex").write_text("mine")
    with pytest.raises(ProjectError):
        model.build(synth=False)
    assert [path.name for path in model.output_dir.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
@pytest.mark.ci
def test_what_would_take_hours_is_refused_with_the_estimate_before_any_tool_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = [16, 64, 32, 32, 5]
    path = write_dense(tmp_path, [rng.standard_normal(shape) for shape in pairwise(sizes)])
    with pytest.warns(bitsmith.FidelityWarning, match="wrap"):  # of weights as large as these
        model = bitsmith.convert(path, tmp_path / "project", {"Model": {"Precision": "fixed<16,6>"}})
    with pytest.raises(CapacityError, match=r"LUTs.*estimated") as caught:
        model.build()
    assert "build(synth=False)" in str(caught.value.remedy)
    assert not (tmp_path / "project").exists()


@pytest.mark.slow
def test_a_large_network_converts_and_predicts_and_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = [16, 500, 500, 500, 500, 500, 5]
    kernels = [rng.standard_normal((a, b)) / np.sqrt(a / 2) for a, b in pairwise(sizes)]
    model = bitsmith.convert(write_dense(tmp_path, kernels), tmp_path / "project")
    x = rng.standard_normal((1000, 16))
    fixed = np.asarray(model.predict(x))
    floating = model.network.evaluate([x])[model.network.outputs[0]]
    assert np.mean(fixed.argmax(1) == floating.argmax(1)) > 0.999
    with pytest.raises(CapacityError, match="estimated"):
        model.build(synth=False)


def test_place_and_route_is_refused_for_parts_without_it(tmp_path: Path) -> None:
    model, _ = digits(tmp_path, part="xcvu13p-flga2577-2-e")
    with pytest.raises(CapacityError, match="xcvu13p"):
        model.build(pnr=True)


@pytest.mark.tools
@pytest.mark.ci
def test_the_quick_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    config = bitsmith.utils.fetch_example_model("bitsmith_3layer.json")
    model = bitsmith.converters.keras_to_hls(config)
    model.build()
    familiar = bitsmith.report.read_vivado_report("my-hls-test")
    assert "CSynthesisReport" in capsys.readouterr().out
    synthesis, cosim = familiar["CSynthesisReport"], familiar["CosimReport"]
    assert isinstance(synthesis, dict) and isinstance(cosim, dict)
    assert 2_000 < synthesis["LUT"] < 9_000 and synthesis["IntervalMax"] == 1
    assert cosim["Status"] == "Pass" and "verilator" in cosim["Tool"]


@pytest.mark.slow
@pytest.mark.tools
def test_wide_constants_in_multiplier_blocks(tmp_path: Path) -> None:
    """Products go to DSP blocks where the configuration says so, and the results stay the same, bit for bit."""
    rng = np.random.default_rng(0)
    path = write_dense(tmp_path, [rng.uniform(-1, 1, shape) for shape in ((6, 5), (5, 3))])
    x = rng.uniform(-4, 4, (50, 6))
    resources, results = [], []
    for strategy in ("Latency", "MultiplierBlocks"):
        config = {"Model": {"Precision": {"default": "auto", "weight": "fixed<12,2>"}, "Strategy": strategy}}
        model = bitsmith.convert(path, tmp_path / strategy, config, part="xcku5p-ffvb676-2-e")
        found = model.build(inputs=x)["Resources"]  # compares every bit in co-simulation
        assert isinstance(found, dict)
        resources.append(found)
        results.append(np.asarray(model.predict(x)))
    graphs, blocks = resources
    assert 15 < blocks["DSP"] - graphs["DSP"] <= 45  # the softmax has some of its own
    assert blocks["LUT"] < graphs["LUT"]
    assert np.array_equal(*results)


@pytest.mark.tools
def test_ultrascale_counts(tmp_path: Path) -> None:
    model, x = three_layer(tmp_path, part="xcvu13p-flga2577-2-e")
    report = model.build(inputs=x[:50])
    resources = report["Resources"]
    assert isinstance(resources, dict)
    assert resources["Family"] == "xcup" and 1_000 < resources["LUT"] < 9_000


@pytest.mark.tools
@pytest.mark.ci
def test_place_route_and_bitstream(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    report = model.build(pnr=True, bitstream=True, inputs=x[:50])
    timing, files = report["Timing"], report["Files"]
    assert isinstance(timing, dict) and isinstance(files, dict)
    assert timing["FmaxMHz"] > 60 and "nextpnr" in timing["Tool"]
    assert (model.output_dir / files["Bitstream"]).stat().st_size > 10_000
    document = json.loads((model.output_dir / "report.json").read_text())
    assert document["sections"]["Timing"] == timing


@pytest.mark.tools
@pytest.mark.slow
def test_bitstream_of_a_circuit_with_reuse_factors(tmp_path: Path) -> None:
    config = json.loads((MODELS / "digits.config.json").read_text())
    config.setdefault("Model", {})["ReuseFactor"] = 16
    model, x = digits(tmp_path, config=config)
    files = model.build(bitstream=True, synth=False, inputs=x[:8])["Files"]
    assert isinstance(files, dict)
    assert (model.output_dir / files["Bitstream"]).stat().st_size > 10_000
    for name in ("AXI4-Stream", "AXI4-Lite", "Avalon-ST", "Driver"):
        assert (model.output_dir / files[name]).is_file()


def test_folder_and_circuit_have_the_name_of_the_model_s_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def named(file: str, **further: str) -> tuple[str, str]:
        shutil.copy(MODELS / "digits.keras", tmp_path / file)
        target = bitsmith.convert(tmp_path / file, check=False, precision="fixed<16,8>", **further).target
        return str(target.output_dir), target.project_name

    monkeypatch.chdir(tmp_path)
    assert named("digits.keras") == ("digits-circuit", "digits")
    assert named("2 jets, v1.2.keras") == ("p_2_jets_v1_2-circuit", "p_2_jets_v1_2")
    assert named("_net.keras") == ("p_net-circuit", "p_net")
    assert named("сеть.keras") == ("my-hls-test", "myproject")
    assert named("digits.keras", project_name="mine") == ("digits-circuit", "mine")
    assert named("digits.keras", output_dir="mine") == ("mine", "digits")


def test_a_folder_of_another_project_is_replaced_with_a_warning(tmp_path: Path) -> None:
    first, other = (
        bitsmith.convert(proto(), tmp_path, precision="fixed<16,8>", check=False, project_name=name) for name in "ab"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProjectWarning)
        first.write()
        first.write()
    with pytest.warns(ProjectWarning, match="has the project 'a', which 'b' replaces"):
        other.write()


def test_a_folder_of_another_network_is_replaced_with_a_warning(tmp_path: Path) -> None:
    write = partial(bitsmith.convert, output_dir=tmp_path, check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProjectWarning)
        for options in ({}, {"bits": 6}, {"backend": "Vitis"}, {"io_type": "io_stream"}):
            write(proto(), precision="fixed<16,8>" if not options else None, **options).write()
    with pytest.warns(
        ProjectWarning, match="has a network of 4 -> 3 with 15 trained values, which one of 64 -> 10 with"
    ):
        write(MODELS / "digits.keras", project_name="myproject", precision="fixed<16,8>").write()
