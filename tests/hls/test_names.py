"""Names of a model reach the C++ as legal identifiers only, and never hide what the code itself uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.errors import ConfigError
from bitsmith.hls import HlsTarget, write, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.names import KEYWORDS, comment, identifier
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from tests.hls.compiled import assert_equal_to_emulator
from tests.properties import few

HOSTILE = (
    'int; system("x")',
    "class",
    "x->y",
    "größe",
    "in",
    "out",
    "int8",
    "uint64",
    "kernels",
    "std",
    "EOF",
    "AP_RND",
    "size_t",
    "ap_fixed",
    "net",
    "net_layers",
    "result",
    "x",
    "main",
    "linux",
    "1x1",
    "",
    "*/",
    "a\\",
    "a\nb",
    "??/",
    "fc1",
    "fc1!",
    "FC1",
    "raw",
    "copy",
    "add",
    "fc1_result",
    "line",
    "samples",
    "constant",
    "step",
    "hls_register",
    "component",
    "x_pipe",
    "x_beat",
    "in0",
    "inputs",
    "outputs",
    "net_inputs",
    "network",
    "device",
)


@given(st.text(max_size=80))
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name)
    assert len(name) <= 67 and name not in KEYWORDS and name != name.upper()


@given(st.text(max_size=300))
def test_any_text_stays_in_its_comment(text: str) -> None:
    assert re.fullmatch(r"[ -\[\]-~]*", comment(text)) and len(comment(text)) <= 200


def hostile_program() -> Program:
    """A layer and an input of each name, two outputs of each second."""
    build = ProgramBuilder()
    fmt = FixedFormat(True, 5, 2)
    inputs = [build.input(name, (2,), fmt) for name in HOSTILE]
    outputs = []
    total = inputs[0]
    for name, value in zip(HOSTILE, inputs, strict=True):
        with build.layer(name):
            total = build.cast(build.add(build.mul(total, value), build.const([1, 2])), fmt)
        outputs.append((name, total))
    return build.program(outputs)


def test_hostile_names_compile_to_the_same_function(tmp_path: Path) -> None:
    programs = {top: hostile_program() for top in ("net", "size", "add")}
    assert_equal_to_emulator(programs, DIALECTS["vitis"], tmp_path)


@pytest.mark.parametrize("dialect", ["vitis", "catapult"])
def test_names_of_types_and_variables_of_headers_are_no_names_of_circuits(dialect: str, tmp_path: Path) -> None:
    """A function of such a name would be another thing of that name, which no compiler takes."""
    build = ProgramBuilder()
    total = build.add(build.input("x", (2,), FixedFormat(True, 5, 2)), build.const([1, 2]))
    programs = {top: build.program([("y", total)]) for top in ("ap_int", "ac_channel", "uint", "timezone")}
    assert_equal_to_emulator(programs, DIALECTS[dialect], tmp_path)


def test_hostile_names_are_nowhere_in_the_code() -> None:
    project = write(
        hostile_program(), DIALECTS["vitis"], HlsTarget('n"; exec rm', "xcu250", tool="a\n#error", digest="b\\")
    )
    assert project.top == "n_exec_rm"
    for name, text in project.files.items():
        assert re.fullmatch(r"[A-Za-z0-9_./]+", name)
        code = [line.split("//")[0] for line in text.splitlines()]
        assert not any("system" in line and "int_system_x" not in line for line in code)
        assert not any(line.startswith("#error") for line in code)


@few("dialect", DIALECTS, fast=2, judged=True)
def test_no_name_is_reserved(dialect: str) -> None:
    """C++ keeps names with two underscores in a row to itself; those that begin with them are the compilers'."""
    for parallel, top in ((True, "TOP__"), (False, "float")):
        target = HlsTarget(top, DIALECTS[dialect].part)
        project = write_project(hostile_program(), Directives({}, parallel), DIALECTS[dialect], target)
        for text in project.files.values():
            code = "\n".join(line.split("//")[0] for line in text.splitlines())
            assert not re.findall(r"\b[A-Za-z]\w*__\w*", code)


@pytest.mark.parametrize("port", ["clk", "reset", "start", "ready", "finish"])
def test_no_argument_has_the_name_of_a_port_that_smarthls_adds(port: str) -> None:
    """A FIFO's data port is called as the argument is (SmartHLS user guide, "RTL Interface Section")."""
    assert identifier(port) == f"{port}_n"


def test_part_that_would_be_a_script_is_refused() -> None:
    with pytest.raises(ConfigError, match="letters"):
        write(hostile_program(), DIALECTS["vitis"], HlsTarget("net", "xcu250; exec rm"))
