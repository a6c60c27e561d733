"""The drivers of the vendors' tools, of every dialect, with fake tools on PATH."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.errors import ToolFailedError, ToolMissingError
from bitsmith.flows import run
from bitsmith.flows.tools import require
from bitsmith.flows.vendor import VendorStage, by_hand, find_driver, label, stages_of
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.dialect import Call, Driver, Way
from bitsmith.hls.project import Stage
from tests.flows.fake_tools import Called, FakeTools
from tests.flows.runs import execute

DRIVERS = {name: dialect.driver for name, dialect in DIALECTS.items()}
WAYS = [(name, at) for name, driver in DRIVERS.items() for at in range(len(driver.ways))]

ERRORS = {
    "vitis": "ERROR: [HLS 207-3776] use of undeclared identifier 'x' (firmware/net.cpp:12:3)",
    "vivado": "ERROR: [SIM 211-100] 'csim_design' failed: compilation error(s).",
    "catapult": '# Error: $PROJECT_HOME/firmware/net.cpp(12): identifier "x" is undefined (CRD-20)',
    "quartus": "firmware/net.cpp:12:3: error: use of undeclared identifier 'x'",
    "oneapi": "/home/me/net/firmware/net.cpp:12:3: error: use of undeclared identifier 'x'",
    "libero": "firmware/net.cpp:12:3: error: use of undeclared identifier 'x'",
}
"""A line that the tool of each dialect fails with."""

HARMLESS = "INFO: 0 errors, 0 warnings\nWARNING: [HLS 200-40] no error handling\nOptimising error_correction\n"


def everything(fakes: FakeTools, way: Way, top: str, body: str = "") -> None:
    """Fakes of all programs of ``way``, which leave what the dialect says that they leave."""
    calls = [call for stage in way.calls(top).values() for call in stage]
    outputs = {
        json.dumps([Path(call.argv[0]).name, list(call.argv[1:]), dict(call.env).get("BITSMITH_STAGE", "")]): [
            *call.outputs
        ]
        for call in calls
    }
    for program in {*way.programs, *(call.argv[0] for call in calls if "/" not in call.argv[0])}:
        fakes.add(program, body, outputs)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    return FakeTools(tmp_path / "some where" / "2023.2" / "bin", monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project"
    folder.mkdir()
    return folder


def synth(name: str) -> VendorStage:
    return VendorStage(DRIVERS[name], "net", Stage.SYNTH)


def fail(fakes: FakeTools, name: str, body: str) -> None:
    """Fakes of the tool of a dialect that only do ``body``."""
    way = DRIVERS[name].ways[0]
    for program in {*way.programs, *(call.argv[0] for call in way.calls("net")[Stage.SYNTH])}:
        fakes.add(program, body)


@pytest.mark.parametrize(("name", "at"), WAYS)
def test_every_stage_calls_the_tool_as_its_dialect_says(fakes: FakeTools, project: Path, name: str, at: int) -> None:
    driver, way = DRIVERS[name], DRIVERS[name].ways[at]
    everything(fakes, way, "net", f"print({HARMLESS!r})")
    lines: list[str] = []
    for stage, calls in way.calls("net").items():
        flow = VendorStage(driver, "net", stage)
        execute(flow, project, lines.append)
        assert fakes.calls() == [
            Called(Path(call.argv[0]).name, call.argv[1:], project, dict(call.env).get("BITSMITH_STAGE", ""))
            for call in calls
        ]
        log = project / flow.log(flow.find())
        assert "0 errors" in log.read_text()
        assert log.stem == (stage.value if len(calls) == 1 else f"{stage.value}_{len(calls)}")
    assert "Optimising error_correction" in lines
    tool = find_driver(driver)
    assert tool is not None and label(driver, tool) == f"{driver.tool} 2023.2"


@pytest.mark.parametrize("name", DRIVERS)
def test_a_missing_tool_says_what_to_do(fakes: FakeTools, name: str) -> None:
    driver = DRIVERS[name]
    with pytest.raises(ToolMissingError) as raised:
        require(synth(name).find())
    message = str(raised.value)
    for part in (driver.tool, driver.install, "C simulation", *(way.programs[0] for way in driver.ways)):
        assert part in message
    typed = by_hand(driver, "net", [Stage.SYNTH])
    assert typed in message and typed.split()[0] in {call.argv[0] for call in driver.ways[0].calls("net")[Stage.SYNTH]}
    assert find_driver(driver) is None


def test_a_stage_names_the_program_that_only_it_needs(fakes: FakeTools) -> None:
    fakes.add("vitis-run")
    require(VendorStage(DRIVERS["vitis"], "net", Stage.SYNTH).find())
    with pytest.raises(ToolMissingError, match=r"vivado \(for vsynth\): not on PATH"):
        require(VendorStage(DRIVERS["vitis"], "net", Stage.VSYNTH).find())


def test_the_preferred_way_is_taken(fakes: FakeTools, project: Path) -> None:
    everything(fakes, DRIVERS["vitis"].ways[1], "net")
    assert synth("vitis").find()[0].name == "vitis_hls"
    everything(fakes, DRIVERS["vitis"].ways[0], "net")
    execute(synth("vitis"), project)
    assert [called.name for called in fakes.calls()] == ["vitis-run"]


def no_calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    return {}


def test_a_way_needs_all_of_its_programs(fakes: FakeTools) -> None:
    driver = replace(DRIVERS["vitis"], ways=(Way(("first", "companion"), no_calls), Way(("second",), no_calls)))
    fakes.add("first")
    assert find_driver(driver) is None
    fakes.add("second")
    found = find_driver(driver)
    assert found is not None and found.name == "second"
    fakes.add("companion")
    found = find_driver(driver)
    assert found is not None and found.name == "first"


@pytest.mark.parametrize("name", DRIVERS)
def test_a_failure_shows_the_first_error_and_the_log(fakes: FakeTools, project: Path, name: str) -> None:
    fail(fakes, name, f"print({HARMLESS!r} + {ERRORS[name]!r}); print('and more'); sys.exit(1)")
    with pytest.raises(ToolFailedError) as raised:
        execute(synth(name), project)
    assert ERRORS[name] in raised.value.found
    assert Path(raised.value.log).is_relative_to(project)
    assert raised.value.log in str(raised.value)


@pytest.mark.parametrize("name", DRIVERS)
def test_an_error_line_is_a_failure_whatever_the_exit_code(fakes: FakeTools, project: Path, name: str) -> None:
    everything(fakes, DRIVERS[name].ways[0], "net", f"print({ERRORS[name]!r})")
    with pytest.raises(ToolFailedError, match=re.escape(ERRORS[name])):
        execute(synth(name), project)
    assert not [output for output in synth(name).outputs() if (project / output).exists()]


@pytest.mark.parametrize("name", DRIVERS)
def test_nothing_written_is_a_failure_that_shows_the_last_line(fakes: FakeTools, project: Path, name: str) -> None:
    fail(fakes, name, "print('License checkout timed out')")
    with pytest.raises(ToolFailedError, match=r"ended without writing .*: License checkout timed out"):
        execute(synth(name), project)


def test_a_tool_that_goes_on_after_an_error_is_stopped(
    fakes: FakeTools, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_ERROR_GRACE_S", 0.3)
    fail(fakes, "vitis", f"print({ERRORS['vitis']!r}, flush=True); time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(ToolFailedError, match="stopped at an error: ERROR: "):
        execute(synth("vitis"), project)
    assert time.monotonic() - started < 20


def test_interruption_ends_the_tool(fakes: FakeTools, project: Path) -> None:
    fail(fakes, "vitis", "print('pid', os.getpid(), flush=True); time.sleep(60)")
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line.split()[1]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(synth("vitis"), project, interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.parametrize("name", DRIVERS)
def test_descriptions_are_sound(name: str) -> None:
    driver: Driver = DRIVERS[name]
    assert Stage.SYNTH in stages_of(driver)
    for way in driver.ways:
        for stage, calls in way.calls("net").items():
            assert calls, stage
            for output in (output for call in calls for output in call.outputs):
                assert not Path(output).is_absolute() and ".." not in Path(output).parts
        cosim = way.calls("net").get(Stage.COSIM, ())
        assert not cosim or "tb_data/rtl_cosim_results.log" in cosim[-1].outputs
    assert re.search(driver.error_pattern, ERRORS[name])
    assert not any(re.search(driver.error_pattern, line) for line in HARMLESS.splitlines())


def test_smarthls_passes_only_with_what_the_hardware_gave(fakes: FakeTools, project: Path) -> None:
    """Its test bench writes one file in all runs; the last run's are the hardware's numbers if the summary says so."""
    flow = VendorStage(DRIVERS["libero"], "net", Stage.COSIM)
    leaves = """
os.makedirs("tb_data", exist_ok=True)
os.makedirs("hls_output/reports", exist_ok=True)
pathlib.Path("tb_data/csim_results.log").write_text("0.5\\n")
pathlib.Path("hls_output/reports/summary.results.rpt").write_text("SW/HW co-simulation: {}\\n")
"""
    fakes.add("shls", leaves.format("FAIL"))
    with pytest.raises(ToolFailedError, match="co-simulation: "):
        execute(flow, project)
    assert not (project / "tb_data" / "rtl_cosim_results.log").exists()
    fakes.add("shls", leaves.format("PASS"))
    execute(flow, project)
    assert (project / "tb_data" / "rtl_cosim_results.log").read_text() == "0.5\n"
    assert by_hand(DRIVERS["libero"], "net", [Stage.COSIM]).startswith("shls -s cosim && grep '^SW/HW")
