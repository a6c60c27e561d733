"""Projects of other tools for boards: what of their keys becomes ours, what has no effect, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bitsmith.config.accelerators import (
    ACCELERATORS,
    SECTIONS,
    accelerator_named,
    bus_format,
    check_arguments,
    split_accelerator,
)
from bitsmith.config.reading import Problems
from bitsmith.errors import ConfigError
from bitsmith.options.project import create_config, read_project

BOARDS = {"VivadoAccelerator": "pynq-z2", "VitisAccelerator": "alveo-u55c", "VitisUnified": "zcu102"}


def split(content: Mapping[str, object]) -> tuple[Mapping[str, object], dict[str, str], list[str]]:
    """The content under our keys, idle keys with what is said of them, and problems."""
    problems = Problems()
    _, merged, idle = split_accelerator(content, problems)
    return merged, {each.key: each.owner for each in idle}, [str(error) for error in problems.errors]


def test_other_backends_are_left_as_they_are() -> None:
    for content in ({}, {"Backend": "Vitis", "Board": "x"}, {"Backend": 3}, {"AcceleratorConfig": {"Board": "y"}}):
        problems = Problems()
        assert split_accelerator(content, problems) == (None, content, ()) and not problems.errors
    assert accelerator_named(None) is None and accelerator_named("vitis") is None


@pytest.mark.parametrize("name", BOARDS)
def test_backends_of_boards_are_ours_with_a_board(name: str) -> None:
    assert len(ACCELERATORS) == len(BOARDS)
    backend = "vivado" if name == "VivadoAccelerator" else "vitis"
    for spelled in (name, name.lower(), name.upper()):
        found = accelerator_named(spelled)
        assert found is not None and (found.name, found.backend, found.board) == (name, backend, BOARDS[name])
        assert split({"bAcKeNd": spelled, "Stamp": "1"}) == (
            {"Stamp": "1", "Backend": backend, "Board": BOARDS[name]},
            {},
            [],
        )


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_keys_at_the_top_and_in_sections_are_one(section: str) -> None:
    keys = {
        "Board": "zcu104",
        "Part": "xczu7ev",
        "ClockPeriod": 5,
        "ClockUncertainty": "10%",
        "IOType": "io_stream",
        "Interface": "axi_stream",
        "Driver": "python",
        "InputType": "ap_fixed<16,6>",
        "OutputDtype": "float",
    }
    content = {"Backend": "VitisUnified", "HLSConfig": {"Model": {}}, **({section: keys} if section else keys)}
    merged, idle, problems = split(content)
    wanted = {key: keys[key] for key in ("Board", "Part", "ClockPeriod", "ClockUncertainty", "IOType")}
    assert merged == {"HLSConfig": {"Model": {}}, **wanted, "BusInput": "fixed<16,6>", "Backend": "vitis"}
    assert (idle, problems) == ({}, [])


@pytest.mark.parametrize(
    ("key", "value", "is_idle"),
    [
        ("Interface", "axi_stream", False),
        ("Interface", "axi_lite", True),
        ("AxiMode", "axi_stream", False),
        ("Driver", "python", False),
        ("Driver", "xrt", False),
        ("Driver", "c", True),
        ("HW_Quant", False, False),
        ("HW_Quant", True, True),
        ("Num_Kernel", 1, False),
        ("Num_Kernel", 4, True),
        ("Num_Worker", 2, True),
        ("Batchsize", 64, True),
    ],
)
def test_what_other_hardware_would_have_is_said_to_be_idle(key: str, value: object, is_idle: bool) -> None:
    merged, idle, problems = split({"Backend": "VitisUnified", "VitisUnifiedConfig": {key: value}})
    assert (merged, problems) == ({"Backend": "vitis", "Board": "zcu102"}, [])
    assert list(idle) == ([key] if is_idle else [])
    words, told = check_arguments({key: value})
    assert (words, bool(told)) == ({}, is_idle)


@pytest.mark.parametrize("key", ["Interface", "AxiMode"])
def test_masters_of_memory_are_asked_for_in_two_words(key: str) -> None:
    for value, own in (("axi_master", {"Interface": "axi_master"}), ("axi_stream", {})):
        merged, idle, problems = split({"Backend": "VivadoAccelerator", "AcceleratorConfig": {key: value}})
        assert (merged, idle, problems) == ({"Backend": "vivado", "Board": "pynq-z2", **own}, {}, [])


@pytest.mark.parametrize(
    ("platform", "is_file"),
    [("/opt/x/zcu102.xpfm", True), ("design.xsa", True), ("xilinx_u250_gen3x16", False), ("xsa", False)],
)
def test_files_of_platforms_are_idle_and_names_are_not(platform: str, is_file: bool) -> None:
    merged, idle, problems = split({"Backend": "VitisUnified", "Platform": platform})
    assert merged == {"Backend": "vitis", "Board": "zcu102"} | ({} if is_file else {"Platform": platform})
    assert (idle, problems) == ({"Platform": platform} if is_file else {}, [])


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({"InputType": "ap_fixed<8,4>"}, {"BusInput": "fixed<8,4>"}),
        ({"OutputType": "ap_ufixed<32,16>"}, {"BusOutput": "ufixed<32,16>"}),
        ({"InputDtype": "ap_fixed<8,4>", "OutputDtype": "double"}, {"BusInput": "fixed<8,4>"}),
        ({"InputType": None, "OutputType": "float"}, {}),
        (
            {"Precision": {"Input": "ap_fixed<8,4>", "Output": "ap_fixed<9,4>"}},
            {"BusInput": "fixed<8,4>", "BusOutput": "fixed<9,4>"},
        ),
    ],
)
def test_words_of_buses(types: dict[str, object], words: dict[str, str]) -> None:
    merged, idle, problems = split({"Backend": "VivadoAccelerator", "AcceleratorConfig": types})
    assert (merged, idle, problems) == ({"Backend": "vivado", "Board": "pynq-z2", **words}, {}, [])
    assert check_arguments(types) == (words, ())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"InputType": "ap_fixed<33,6>"}, "at most 32 bits"),
        ({"OutputType": "half"}, "at most 32 bits"),
        ({"Precision": {"Output": "ap_fixed<40,6>"}}, "at most 32 bits"),
        ({"Interface": "pcie"}, "axi_stream or axi_master or axi_lite"),
        ({"AxiMode": "axi_lite"}, "axi_stream or axi_master"),
        ({"Driver": "rust"}, "python or c or xrt"),
    ],
)
def test_values_that_other_tools_do_not_have_are_problems(content: dict[str, object], problem: str) -> None:
    _, _, problems = split({"Backend": "VivadoAccelerator", "AcceleratorConfig": content})
    assert len(problems) == 1 and problem in problems[0]
    with pytest.raises(ConfigError, match=problem):
        check_arguments(content)


def test_the_widest_word_of_a_bus() -> None:
    assert bus_format("ap_fixed<32,1>", "here") == "fixed<32,1>"
    with pytest.raises(ConfigError, match="here"):
        bus_format("ap_ufixed<33,1>", "here")


@pytest.mark.parametrize("name", BOARDS)
def test_configurations_of_accelerators_begin_with_their_section(name: str) -> None:
    """As hls4ml's ``create_config`` gives it, so that scripts fill it in; others have none."""
    config = create_config(backend=name)
    config["AcceleratorConfig"]["Board"] = BOARDS[name]
    config["AcceleratorConfig"]["Precision"]["Input"] = "ap_fixed<16,6>"
    assert (read_project(config).board, read_project(config).bus_input) == (BOARDS[name], "fixed<16,6>")
    assert "AcceleratorConfig" not in create_config(backend="vitis")


@pytest.mark.parametrize("recorded", json.loads((Path(__file__).parent / "familiar" / "boards.json").read_text()))
def test_a_new_section_is_what_hls4ml_writes(recorded: dict[str, Any]) -> None:
    wanted = recorded["AcceleratorConfig"]
    words = {f"{name.lower()}_type": text for name, text in wanted["Precision"].items() if text != "float"}
    arguments = {key.lower(): value for key, value in wanted.items() if key != "Precision"} | words
    config = create_config(backend="VivadoAccelerator", **arguments)
    assert config["AcceleratorConfig"] == wanted
    assert not {"Board", "Driver", "Interface", "Platform", "InputType"} & config.keys()
    assert read_project(config).board == wanted["Board"]
