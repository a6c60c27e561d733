"""RegisterSlices: registers on streams between layers, from the configuration to constraints, estimates and the build."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith import Model
from bitsmith.devices.ecp5 import ECP5
from bitsmith.errors import ConfigError
from bitsmith.estimate.size import estimate_layout
from tests.hls.rules.book import book
from tests.hls.rules.tcl import tool_commands
from tests.system.test_positions import convolution

REGIONS = "xcvu13p-flga2577-2-e"


def converted(folder: Path, slices: int, **options: str) -> Model:
    config = {"Model": {"Precision": {"default": "fixed<8,4>"}, "RegisterSlices": slices}}
    return bitsmith.convert(convolution(), folder / "project", config=config, **{"io_type": "io_stream", **options})  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.ci
def test_the_configuration_reaches_the_circuit(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-8, 8, (6, 8, 6, 2))
    reports = [converted(tmp_path / str(slices), slices).build(synth=False, inputs=x) for slices in (0, 2)]
    assert all(report.section("Verification")["Mismatches"] == 0 for report in reports)
    plain, sliced = (report.section("Latency") for report in reports)
    assert sliced["II"] == plain["II"]
    assert int(str(sliced["Cycles"])) > int(str(plain["Cycles"]))


def test_registers_are_counted(tmp_path: Path) -> None:
    models = [converted(tmp_path, slices) for slices in (0, 2, 4)]
    none, two, four = (estimate_layout(model.program, model.directives, ECP5) for model in models)
    tokens = 2 * 8 + 3 * 8 * 9  # a position of the image, and sums before the rectifier
    assert two.ff - none.ff > 2 * 2 * 8 and four.ff - two.ff < 2 * tokens


def test_layers_stay_in_a_region_and_slices_cross_over(tmp_path: Path) -> None:
    """On a part of several regions each instance is in one group; what leads to another group is a slice."""
    files = converted(tmp_path, 2, part=REGIONS).plan(tool="vivado").files()
    constraints = str(files["vivado/myproject.xdc"])
    assert "set_property USER_SLL_REG true [get_cells -quiet {slice_*/words_reg*" in constraints
    groups = {
        name: group
        for group, names in re.findall(r"USER_SLR_ASSIGNMENT (\w+) .*? \{([^{}]*)\}\]", constraints)
        for name in names.split()
        if not name.endswith("_*")
    }
    assert len(set(groups.values())) > 1
    top = str(files["rtl/myproject.sv"])
    problems = [
        book("vivado_system").command_refusal(each.words, str(each.line)) for each in tool_commands(constraints)
    ]
    assert not any(problems), problems
    crossed = 0
    for name, ports in re.findall(r"^  \w+ (?:#\([^;]*?\)\) )?(\w+) \((\.clk\(.*)\);$", top, re.MULTILINE):
        met = {groups[process] for process in re.findall(r"\b(p\d+)_", ports)}
        if name.startswith("slice_"):
            crossed += len(met) == 2
        else:
            assert met == {groups[name.partition("_")[0]]}, name
    assert crossed == top.count("bitsmith_register_slice") == len(set(groups.values())) - 1
    one = converted(tmp_path, 2, part="xcku5p-ffvb676-2-e").plan(tool="vivado").files()
    assert "USER_SL" not in str(one["vivado/myproject.xdc"])


@pytest.mark.parametrize(
    ("options", "note"),
    [({"io_type": "io_parallel"}, "the circuit is one pipeline"), ({"backend": "vitis"}, "with backend 'vitis'")],
)
def test_where_slices_have_no_effect(options: dict[str, str], note: str, tmp_path: Path) -> None:
    assert any("RegisterSlices" in each and note in each for each in converted(tmp_path, 1, **options).notes)
    assert not any("RegisterSlices" in each for each in converted(tmp_path, 0, **options).notes)


@pytest.mark.parametrize("slices", [-1, 17, "two"])
def test_numbers_of_slices_that_are_refused(slices: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RegisterSlices"):
        converted(tmp_path, slices)  # type: ignore[arg-type]
