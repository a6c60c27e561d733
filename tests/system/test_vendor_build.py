"""build() with the vendors' HLS tools, of which fakes write what the real ones write."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import bitsmith
from bitsmith.errors import CapacityError, ConfigError, ToolFailedError, ToolMissingError, VerificationError
from bitsmith.flows.vendor import stages_of
from bitsmith.hls.dialects import DIALECTS
from bitsmith.report import Report, parse_vivado_report, read_report
from tests.flows.fake_tools import FakeTools
from tests.flows.test_vendor import everything
from tests.properties import JUDGED
from tests.report.vendor_projects import DATA
from tests.system.examples import three_layer

TOP = "myproject"
SOLUTION = f"{TOP}_prj/solution1"

_HLS = f"""\
reports = pathlib.Path({str(DATA / "vivado")!r})
def put(report, place):
    pathlib.Path(place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(reports / report, place)
print("INFO: [HLS 200-10] For user 'me' on host 'here'")
if stage == "synth":
    shutil.rmtree("{TOP}_prj", ignore_errors=True)
    put("jet_prj/vivado_hls.app", "{TOP}_prj/hls.app")
    app = pathlib.Path("{TOP}_prj/hls.app")
    app.write_text(app.read_text().replace("jet", "{TOP}"))
    put("jet_prj/solution1/syn/report/jet_csynth.xml", "{SOLUTION}/syn/report/{TOP}_csynth.xml")
if stage == "cosim":
    put("jet_prj/solution1/sim/report/jet_cosim.rpt", "{SOLUTION}/sim/report/{TOP}_cosim.rpt")
    table = pathlib.Path("{SOLUTION}/sim/report/{TOP}_cosim.rpt")
    table.write_text(re.sub("2[|] +2[|] +3[|]", "1|1|1|", table.read_text()))
    shutil.copy("tb_data/tb_output_predictions.dat", "tb_data/rtl_cosim_results.log")
if stage == "export":
    put("jet_prj/vivado_hls.app", "{SOLUTION}/impl/ip/component.xml")
"""
"""What Vitis HLS does, with the reports of Vivado HLS, of which there are more samples."""

_VIVADO = f"""\
reports = pathlib.Path({str(DATA / "vivado")!r})
if arguments[-1] == "vivado_synth.tcl":
    shutil.copy(reports / "vivado_synth.rpt", "vivado_synth.rpt")
    pathlib.Path("vivado_synth.dcp").write_text("checkpoint")
else:
    assert pathlib.Path("vivado_synth.dcp").exists()
    shutil.copy(reports / "util.rpt", "util.rpt")
    shutil.copy(next(reports.rglob("*_timing_summary_routed.rpt")), "timing.rpt")
"""

START = ("--mode", "hls", "--tcl", "build_prj.tcl")


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    """Vitis HLS and Vivado, in a folder with a space in its name."""
    tools = FakeTools(tmp_path / "Vitis HLS" / "2023.2" / "bin", monkeypatch)
    tools.add("vitis-run", _HLS)
    tools.add("vivado", _VIVADO)
    return tools


@pytest.fixture
def model(tmp_path: Path) -> bitsmith.Model:
    """A small network in a project folder with a space in its name."""
    return three_layer(tmp_path / "my projects", backend="vitis", clock_period=6.5)[0]


def stages(report: Report) -> dict[str, bool]:
    """The stages of a build, and whether each was remembered."""
    return {str(stage["Name"]): bool(stage["Cached"]) for stage in report.stages()}


def settings(model: bitsmith.Model) -> Mapping[str, str]:
    lines = (model.output_dir / "project.tcl").read_text().splitlines()
    return {line.split()[1]: line.split()[2] for line in lines if line.startswith("set ")}


def notes(report: Report) -> str:
    assert report.design is not None
    return "\n".join(report.design.notes)


@pytest.mark.slow
@pytest.mark.ci
def test_synthesis_runs_where_the_tool_is(fakes: FakeTools, model: bitsmith.Model) -> None:
    lines: list[str] = []
    report = model.build(csim=False, progress=lines.append)
    assert stages(report) == {"vitis": False, "synth": False}
    called = fakes.calls()
    assert [(call.name, call.arguments, call.stage, call.cwd) for call in called] == [
        ("vitis-run", START, "synth", model.output_dir.resolve())
    ]
    assert "synth: Vitis HLS 2023.2" in lines and "INFO: [HLS 200-10] For user 'me' on host 'here'" in lines
    assert report.section("Resources") == {
        "LUT": 5678,
        "FF": 1234,
        "DSP": 21,
        "BRAM_18K": 4,
        "URAM": 0,
        "Tool": "Vitis HLS 2019.2 (estimate)",
        "Part": model.target.part,
    }
    assert "Estimate" not in report
    assert report.section("Latency") == {"Cycles": 15, "II": 3, "Tool": "Vitis HLS 2019.2 (estimate)"}
    assert report.section("Timing")["ClockPeriodNs"] == 5.312
    assert "planned, Vitis HLS 2019.2 (estimate) finds one every 3." in notes(report)
    assert "Nothing was checked" in notes(report)
    assert dict(read_report(model.output_dir)) == dict(report)
    assert parse_vivado_report(model.output_dir)["CSynthesisReport"]["WorstLatency"] == 15  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.ci
def test_more_products_than_the_tool_takes_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = replace(DIALECTS["vivado"], most_products=100)
    monkeypatch.setattr("bitsmith.building.csim.DIALECTS", {**DIALECTS, "vivado": limited})
    model, _ = three_layer(tmp_path, backend="vivado")
    said = notes(model.build(csim=False, synth=False))
    assert re.search(
        r"Layer '\w+' makes [\d,]+ products at once.*above about 100: set the layer's ReuseFactor to \d+", said
    )


@pytest.mark.parametrize(
    ("most", "reuse", "interface", "said"),
    [
        (2000, 4, None, r"weights of '\w+' that are read together: [\d,]+ bits"),
        (600, 16, None, r"a token of '\w+': [\d,]+ bits"),
        (99, 1, "ap_vld", r"the port '\w+': [\d,]+ bits"),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_words_that_the_tool_refuses(
    fakes: FakeTools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    reuse: int,
    interface: str | None,
    said: str,
) -> None:
    limited = replace(DIALECTS["vivado"], most_bits=most)
    monkeypatch.setattr("bitsmith.building.csim.DIALECTS", {**DIALECTS, "vivado": limited})
    fakes.add("vivado_hls", _HLS)
    config = {"Model": {"ReuseFactor": reuse, "Strategy": "Resource"}}
    model, _ = three_layer(tmp_path, backend="vivado", config=config, interface=interface)
    assert re.search(said, notes(model.build(csim=False, synth=False)))
    with pytest.raises(CapacityError, match=said):
        model.build(csim=False, synth=True)


@pytest.mark.slow
@pytest.mark.ci
def test_everything_that_the_vendor_has(fakes: FakeTools, model: bitsmith.Model) -> None:
    report = model.build(csim=False, cosim=True, export=True, pnr=True)
    assert list(stages(report)) == ["vitis", "synth", "cosim", "export", "vsynth", "pnr"]
    assert [(call.name, call.stage or call.arguments[-1]) for call in fakes.calls()] == [
        ("vitis-run", "synth"),
        ("vitis-run", "cosim"),
        ("vitis-run", "export"),
        ("vivado", "vivado_synth.tcl"),
        ("vivado", "vivado_pnr.tcl"),
    ]
    chosen = settings(model)
    assert {name: chosen[name] for name in ("synth", "cosim", "export")} == {"synth": "1", "cosim": "1", "export": "1"}
    assert chosen["clock_period"] == "6.5"
    assert report.section("Verification") == {
        "Inputs": 100,
        "Mismatches": 0,
        "Tool": "Vitis HLS 2023.2",
        "Method": "co-simulation",
    }
    assert report.section("Resources")["LUT"] == 6000
    assert report.section("Timing") == {"FmaxMHz": 150.943, "ClockPeriodNs": 6.625, "Tool": "Vivado 2019.2"}
    assert "checked" not in notes(report)
    familiar = parse_vivado_report(model.output_dir)
    assert {"CSynthesisReport", "CosimReport", "VivadoSynthReport", "ImplementationReport", "TimingReport"} < set(
        familiar
    )


@pytest.mark.slow
@pytest.mark.ci
def test_stages_are_run_again_only_when_they_must(fakes: FakeTools, model: bitsmith.Model, tmp_path: Path) -> None:
    model.build(csim=False, cosim=True, vsynth=True)
    fakes.calls()
    again = model.build(csim=False, cosim=True, vsynth=True, export=True)
    assert stages(again) == {"vitis": True, "synth": True, "cosim": True, "export": False, "vsynth": True}
    assert [call.stage for call in fakes.calls()] == ["export"], "what project.tcl asks for is no input of a stage"
    assert again.section("Latency")["Cycles"] == 15
    other = three_layer(tmp_path / "my projects", backend="vitis", clock_period=4.0)[0]
    assert stages(other.build(csim=False, cosim=True)) == {"vitis": False, "synth": False, "cosim": False}
    assert not (model.output_dir / "vivado_synth.rpt").exists(), "a report of what is no longer there"
    narrow = {"Model": {"Precision": "fixed<12,6>"}}
    other = three_layer(tmp_path / "my projects", backend="vitis", clock_period=4.0, config=narrow)[0]
    assert stages(other.build(csim=False, cosim=True)) == {"vitis": False, "synth": False, "cosim": False}
    forgotten = other.build(csim=False, cosim=True, reset=True)
    assert stages(forgotten) == {"vitis": False, "synth": False, "cosim": False}


@pytest.mark.slow
@pytest.mark.ci
def test_what_depends_on_a_stage_runs_again_with_it(fakes: FakeTools, model: bitsmith.Model) -> None:
    model.build(csim=False, cosim=True, export=True)
    (model.output_dir / SOLUTION / "syn" / "report" / f"{TOP}_csynth.xml").unlink()
    again = model.build(csim=False, cosim=True, export=True)
    assert stages(again) == {"vitis": True, "synth": False, "cosim": False, "export": False}


@pytest.mark.slow
@pytest.mark.ci
def test_new_inputs_are_simulated_again(fakes: FakeTools, model: bitsmith.Model, tmp_path: Path) -> None:
    model.build(csim=False, cosim=True)
    _, inputs = three_layer(tmp_path / "other")
    report = model.build(csim=False, cosim=True, inputs=inputs[:7])
    assert stages(report) == {"vitis": True, "synth": True, "cosim": False}
    assert report.section("Verification")["Inputs"] == 7


@pytest.mark.slow
@pytest.mark.ci
def test_both_simulations_are_recorded(fakes: FakeTools, model: bitsmith.Model) -> None:
    report = model.build(cosim=True, inputs=three_layer(model.output_dir / ".." / "x")[1][:150])
    section = report.section("Verification")
    assert (section["Inputs"], section["CsimInputs"], section["Method"]) == (100, 150, "co-simulation")
    assert str(section["CsimTool"]).startswith("g++ ")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("lines[2] = ' '.join(['0', '0.123', *lines[2].split()[2:]])", "sample 2, element 1: the circuit gives 0.123"),
        ("lines[2] = ' '.join(['0', 'nan', *lines[2].split()[2:]])", "sample 2, element 1: the circuit gives nan"),
        ("lines = lines[:-1]", "99 lines"),
        ("lines = []", "0 lines"),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_cosimulation_that_gives_other_numbers(
    fakes: FakeTools, model: bitsmith.Model, change: str, found: str
) -> None:
    spoil = (
        "if stage == 'cosim':\n"
        "    results = pathlib.Path('tb_data/rtl_cosim_results.log')\n"
        "    lines = results.read_text().splitlines()\n"
        f"    {change}\n"
        "    results.write_text('\\n'.join(lines))\n"
    )
    fakes.add("vitis-run", _HLS + spoil)
    with pytest.raises(VerificationError, match=found):
        model.build(csim=False, cosim=True)
    fakes.calls()
    with pytest.raises(VerificationError, match=found):
        model.build(csim=False, cosim=True)


def test_a_cosimulation_that_is_slower_than_planned(fakes: FakeTools, model: bitsmith.Model) -> None:
    fakes.add("vitis-run", _HLS.replace('"1|1|1|"', '"1|1|2|"'))
    with pytest.raises(VerificationError, match=r"every 1 cycles was planned, .*co-simulation finds one every 2"):
        model.build(csim=False, cosim=True)
    assert "The plan is violated" in notes(model.build(csim=False, cosim=True, force=True))


def test_numbers_may_be_written_in_other_ways(fakes: FakeTools, model: bitsmith.Model) -> None:
    spell = (
        "if stage == 'cosim':\n"
        "    results = pathlib.Path('tb_data/rtl_cosim_results.log')\n"
        "    lines = [' '.join(f'{float(word):.17e}' for word in line.split()) for line in results.open()]\n"
        "    results.write_text('\\n'.join(lines))\n"
    )
    fakes.add("vitis-run", _HLS + spell)
    assert model.build(csim=False, cosim=True).section("Verification")["Mismatches"] == 0


def test_a_bench_that_finds_wrong_numbers_is_no_failure_of_the_tool(fakes: FakeTools, model: bitsmith.Model) -> None:
    body = (
        "if stage == 'cosim':\n"
        "    print('100 samples, 3 numbers differ from the predictions')\n"
        "    print('ERROR: [COSIM 212-359] Aborting co-simulation: C TB simulation failed.')\n    sys.exit(1)\n"
    )
    fakes.add("vitis-run", body + _HLS)
    with pytest.raises(VerificationError, match=r"(?s)cosim\.log: 3 numbers differ"):
        model.build(csim=False, cosim=True)


def test_a_failing_stage_shows_its_cause(fakes: FakeTools, model: bitsmith.Model) -> None:
    error = "ERROR: [HLS 200-1471] Stop unrolling loop 'Loop-1' in function 'fc1'"
    fakes.add("vitis-run", f"print({error!r}); sys.exit(1)")
    with pytest.raises(ToolFailedError) as raised:
        model.build(csim=False)
    assert error in str(raised.value)
    assert raised.value.log == str(model.output_dir.resolve() / "logs" / "synth.log")
    fakes.add("vitis-run", _HLS)
    assert stages(model.build(csim=False)) == {"vitis": True, "synth": False}, "a failure is not remembered"


def test_an_interrupted_build_goes_on_where_it_was(fakes: FakeTools, model: bitsmith.Model) -> None:
    fakes.add("vitis-run", _HLS + "if stage == 'cosim':\n    print('simulating', flush=True); time.sleep(60)\n")

    def interrupt(line: str) -> None:
        if line == "simulating":
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.build(csim=False, cosim=True, progress=interrupt)
    assert time.monotonic() - started < 30
    assert not (model.output_dir / "tb_data" / "rtl_cosim_results.log").exists()
    fakes.add("vitis-run", _HLS)
    assert stages(model.build(csim=False, cosim=True)) == {"vitis": True, "synth": True, "cosim": False}


def test_reports_that_are_missing_or_damaged_leave_the_rest(fakes: FakeTools, model: bitsmith.Model) -> None:
    fakes.add("vivado", "pathlib.Path('vivado_synth.rpt').write_text('?'); pathlib.Path('vivado_synth.dcp').touch()")
    report = model.build(csim=False, vsynth=True)
    assert "Resources" not in report
    assert "vivado_synth.rpt" in notes(report)
    fakes.add("vitis-run", f"if stage == 'cosim': shutil.rmtree('{SOLUTION}/syn')\n" + _HLS)
    (model.output_dir / "vivado_synth.rpt").unlink()
    fakes.add("vivado", _VIVADO)
    report = model.build(csim=False, vsynth=True, cosim=True)
    assert report.section("Resources")["LUT"] == 4321
    assert report.section("Latency")["Tool"] == "Vitis HLS co-simulation"
    assert "Timing" not in report


@pytest.mark.slow
@pytest.mark.ci
def test_without_the_tool_the_project_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: bitsmith.Model
) -> None:
    FakeTools(tmp_path / "bin", monkeypatch)
    report = model.build(csim=False)
    assert stages(report) == {"vitis": False}
    assert "start: vitis-run --mode hls --tcl build_prj.tcl" in notes(report)
    assert settings(model)["synth"] == "1"
    assert "vitis-run" not in notes(model.build(csim=False, synth=False))
    for stage in ("synth", "cosim", "validation", "export", "vsynth", "pnr"):
        with pytest.raises(ToolMissingError, match="vitis-run nor vitis_hls"):
            model.build(**{stage: True})  # type: ignore[arg-type]


def test_reports_of_an_earlier_build_are_told_apart(fakes: FakeTools, model: bitsmith.Model) -> None:
    model.build(csim=False)
    report = model.build(csim=False, synth=False)
    assert "Resources" not in report and "Resources" not in read_report(model.output_dir)
    assert report.section("Estimate")["Tool"] == "bitsmith estimate"
    assert "of an earlier build" in notes(report)


@pytest.mark.parametrize(("io_type", "told"), [("io_stream", True), ("io_parallel", False)])
@pytest.mark.slow
@pytest.mark.ci
def test_an_interval_that_no_manual_promises(tmp_path: Path, io_type: str, told: bool) -> None:
    model, _ = three_layer(tmp_path, backend="quartus", io_type=io_type)
    said = notes(model.build(csim=False, synth=False))
    assert ("No interval is planned" in said) is told and (" cycles for a sample" in said) is told


@pytest.mark.parametrize(
    "backend", [pytest.param(backend, marks=() if backend == "vitis" else JUDGED) for backend in DIALECTS]
)
def test_every_backend_with_fakes_of_its_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    driver = DIALECTS[backend].driver
    fakes = FakeTools(tmp_path / "bin", monkeypatch)
    model, inputs = three_layer(tmp_path, backend=backend)
    copy = "shutil.copy('tb_data/tb_output_predictions.dat', 'tb_data/rtl_cosim_results.log')\n"
    guard = "if any('cosim' in word for word in (*arguments, stage)) or name.endswith('fpga_sim'):\n    "
    everything(fakes, driver.ways[0], model.target.project_name, guard + copy)
    asked = {stage.value: True for stage in stages_of(driver)}
    report = model.build(csim=False, inputs=inputs[:5], **asked)  # type: ignore[arg-type]
    assert list(stages(report)) == [backend, *asked]
    assert report.section("Verification").get("Inputs") == (5 if "cosim" in asked else None)
    assert str(report.section("Files")["Script"]) in {path.name for path in model.output_dir.iterdir()}
    fakes.calls()
    again = model.build(csim=False, inputs=inputs[:5], **asked)  # type: ignore[arg-type]
    assert stages(again) == {backend: True, **asked}
    assert not fakes.calls()


def test_a_stage_that_the_vendor_does_not_have(tmp_path: Path) -> None:
    model, _ = three_layer(tmp_path, backend="quartus")
    with pytest.raises(
        ConfigError, match=r"export=True with backend 'quartus'\n  accepted: csim, synth, cosim, vsynth"
    ):
        model.build(export=True)


def test_the_folder_of_the_tools_own_project_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(DATA / "vivado", folder)
    assert read_report(folder).section("Resources")["LUT"] == 6000


def test_vector_ports(tmp_path: Path) -> None:
    model, _ = three_layer(tmp_path, backend="vitis", interface="ap_vld")
    model.write()
    assert "#pragma HLS INTERFACE ap_vld port=" in (model.output_dir / "firmware" / f"{TOP}.cpp").read_text()
    model.save(tmp_path / "saved")
    assert bitsmith.Model.load(tmp_path / "saved").target.interface == "ap_vld"
    for wrong in ({"backend": "rtl"}, {"io_type": "io_stream"}, {"board": "pynq-z2"}, {"interface": "ap_hs"}):
        with pytest.raises(ConfigError, match="Interface"):
            three_layer(tmp_path / "wrong", **{"backend": "vitis", "interface": "ap_vld", **wrong})
