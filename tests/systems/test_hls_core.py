"""Circuits in C++ with AXI4-Streams for DMA engines: the driver's bytes through the compiled function, bit for bit."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bitsmith.building.hls_system import hls_interface
from bitsmith.errors import ConfigError
from bitsmith.flows.csim import INCLUDE
from bitsmith.hls import write_project
from bitsmith.hls.axi import axi_files, axi_name
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.spelling import AP
from bitsmith.hls.project import HlsProject, HlsTarget
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.beats import with_beats
from bitsmith.rtl.driver import DrivenCircuit, driver
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.systems.system import Core, core_settings, core_steps, tcl_settings, template
from tests.hls.compiled import open_headers
from tests.properties import JUDGED
from tests.rtl.test_streams import convolutional
from tests.rtl.wrapped import branches, expected, inputs_of, load_driver_text

DIGEST = "0123456789abcdef"
ARRAYS, TOKENS = ("vivado", Directives({}, True), 8), ("vitis", Directives({}, False), 2)


def generated(program: Program, directives: Directives, dialect: str, bus_bytes: int) -> tuple[HlsProject, Interface]:
    project = write_project(program, directives, DIALECTS[dialect], HlsTarget("net", "xc7z020clg400-1"))
    return project, hls_interface(project, bus_bytes, DIGEST)


def headers(real: bool) -> tuple[str, ...]:
    """Options for our headers of AMD's types, or AMD's own."""
    return ("-isystem", str(open_headers(AP) if real else INCLUDE))


def bench(project: HlsProject, narrow: Interface) -> str:
    """A program: for each input a file of the bytes of its beats, for each output a file of its beats' bytes and TLASTs."""
    lines = [f'#include "{axi_name(project.top)}.cpp"', "#include <cstdio>", "#include <cstdint>"]
    main, call = list[str](), list[str]()
    for side, ports in (("s_axis", narrow.inputs), ("m_axis", narrow.outputs)):
        for port in ports:
            name, size = prefix(side, port), token_bytes(port)
            main.append(f"typedef kernels::beats<{8 * size}>::type {name}_t; hls::stream<{name}_t> {name};")
            call.append(name)
    for port in narrow.inputs:
        name, size = prefix("s_axis", port), token_bytes(port)
        main.append(
            f'{{ FILE *file = fopen("{name}", "rb"); unsigned char bytes[{size}]; long at = 0; int next;'
            f" while (fread(bytes, 1, {size}, file) == {size}) {{ {name}_t beat; ap_uint<{8 * size}> data = 0;"
            f" for (int k = 0; k < {size}; k++) data.range(8 * k + 7, 8 * k) = ap_uint<8>(bytes[k]);"
            " next = fgetc(file); ungetc(next, file);"
            f" kernels::fill(beat, data, next == EOF); {name}.write(beat); at++; }} (void)at; }}"
        )
    main.append(f"for (int k = 0; k < FRAMES; k++) {axi_name(project.top)}({', '.join(call)});")
    for port in narrow.outputs:
        name, size = prefix("m_axis", port), token_bytes(port)
        main.append(
            f'{{ FILE *file = fopen("{name}", "wb"); while (!{name}.empty()) {{ {name}_t beat = {name}.read();'
            f" const ap_uint<{8 * size}> data = kernels::data_of(beat); for (int k = 0; k < {size}; k++) {{"
            " const ap_uint<8> byte = data.range(8 * k + 7, 8 * k); fputc(byte.to_int(), file); }"
            " fputc(kernels::is_last(beat), file); } fclose(file); }"
        )
    return "\n".join([*lines, "int main() {", *main, "return 0; }", ""])


@pytest.mark.parametrize("kind", ["arrays", "tokens"])
def test_frames_overlap(kind: str) -> None:
    """The function is a canonical dataflow region (UG1399): declarations, and calls of processes, which return nothing."""
    dialect, directives, bus_bytes = {"arrays": ARRAYS, "tokens": TOKENS}[kind]
    project, _ = generated(branches(), directives, dialect, bus_bytes)
    text = axi_files(project, DIALECTS[dialect].streams, "// test", bus_bytes)[f"firmware/{axi_name(project.top)}.cpp"]
    first, *lines = text[text.index("{\n") + 2 : text.rindex("}")].split("\n")
    assert first == "#pragma HLS DATAFLOW"
    statements = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    calls = [line for line in statements if re.fullmatch(r"[\w:]+(<[^()]*>)?\(.*\);", line)]
    assert [re.split(r"[<(]", call)[0].removeprefix("kernels::") for call in calls] == (
        ["take", "take", "net", "give", "give"] if kind == "arrays" else ["receive", "receive", "net", "send", "send"]
    )
    assert not any("=" in line for line in statements)


@pytest.mark.parametrize(
    ("dialect", "directives", "bus_bytes", "real"),
    [
        pytest.param(*ARRAYS, False, id="arrays"),
        pytest.param(*TOKENS, False, id="tokens", marks=JUDGED),
        pytest.param(*ARRAYS, True, id="arrays-ap_types", marks=JUDGED),
        pytest.param(*TOKENS, True, id="tokens-ap_types", marks=JUDGED),
    ],
)
def test_the_drivers_bytes_give_the_emulators_results(
    tmp_path: Path, dialect: str, directives: Directives, bus_bytes: int, real: bool
) -> None:
    program, frames = branches(), 5
    project, interface = generated(program, directives, dialect, bus_bytes)
    narrow = with_beats(interface, 128)
    files = {**project.files, **axi_files(project, DIALECTS[dialect].streams, "// test", bus_bytes)}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "firmware/bench.cpp").write_text(bench(project, narrow))
    net = load_driver_text(tmp_path, driver(DrivenCircuit(program, interface, {}, 1, 128, registers=False)))
    x = inputs_of(program, frames)
    for port, data in zip(narrow.inputs, net.pack(x), strict=True):
        assert len(data) == frames * port.tokens * token_bytes(port)
        (tmp_path / prefix("s_axis", port)).write_bytes(data)
    # What the vendors' own headers do is theirs.
    checked = () if real else ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    options = ("-std=c++17", "-O0", "-Wall", "-Wno-unknown-pragmas", f"-DFRAMES={frames}", *checked, *headers(real))
    subprocess.run(["g++", *options, "firmware/bench.cpp", "firmware/net.cpp", "-o", "bench"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "bench"], cwd=tmp_path, check=True)
    found = []
    for port in narrow.outputs:
        rows = np.fromfile(tmp_path / prefix("m_axis", port), np.uint8).reshape(frames * port.tokens, -1)
        assert np.flatnonzero(rows[:, -1]).tolist() == [frames * port.tokens - 1]
        found.append(rows[:, :-1].tobytes())
    for have, want in zip(net.unpack(found), expected(program, x), strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("dialect", ["vivado", "vitis"])
def test_wide_elements_are_not_cut(dialect: str) -> None:
    project, interface = generated(convolutional(4, 1), Directives({"conv": 3}, False), dialect, 1)
    assert all(len(port.fields) == 1 for port in (*interface.inputs, *interface.outputs))
    assert [port.tokens for port in interface.inputs] == [port.size for port in project.inputs]


CHARACTERS = st.sampled_from("aZ09_-./ $[];#%:,~*'()|&<>\t")
VALUES = st.recursive(
    st.text(CHARACTERS, max_size=6) | st.integers() | st.booleans() | st.just(12.5),
    lambda items: st.lists(items),
    max_leaves=6,
)


@example("\t")
@given(VALUES)
def test_settings_are_what_tcl_reads(value: object) -> None:
    tkinter = pytest.importorskip("tkinter")
    tcl = tkinter.Tcl()

    def same(text: str, wanted: object) -> bool:
        if isinstance(wanted, list):
            items = tcl.splitlist(text)
            return len(items) == len(wanted) and all(map(same, items, wanted))
        return text == (str(int(wanted)) if isinstance(wanted, bool) else str(wanted))

    tcl.eval(tcl_settings("A title; [exit] $x", {"a": value, "b": "last"}))
    assert same(tcl.eval("set a"), value) and tcl.eval("set b") == "last"


@pytest.mark.parametrize("backend", ["rtl", "vitis", "vivado"])
def test_high_level_synthesis_is_told_what_it_needs(tmp_path: Path, backend: str) -> None:
    """Only Vivado HLS has a limit of arrays that are cut into elements; all of them have the clock and its uncertainty."""
    tkinter = pytest.importorskip("tkinter")
    tool = None if backend == "rtl" else DIALECTS[backend].ip
    _, interface = generated(branches(), Directives({}, True), "vivado", 8)
    core = Core("net", interface, tool, ("rtl/net.sv",), "", "net_axi", 8.0, 12.5)
    tcl, said = tkinter.Tcl(), list[tuple[str, ...]]()
    (tmp_path / "system").mkdir()
    (tmp_path / "system/settings.tcl").write_text(tcl_settings("title", core_settings(core, "xc7z020clg400-1", "-DX")))
    (tmp_path / "system/core.tcl").write_text(template("core.tcl"))
    tcl.eval(f"cd {{{tmp_path}}}; rename unknown {{}}; proc exit args {{}}")
    tcl.createcommand("unknown", lambda *words: said.append(words) or "")
    tcl.eval("source system/core.tcl")
    commands = {words[0]: words[1:] for words in said}
    limits = [words[-1] for words in said if words[0] == "config_array_partition"]
    assert limits == (["4096", "65536"] if backend == "vivado" else [])
    assert commands["create_clock"][:2] == ("-period", "8") and commands["set_clock_uncertainty"][0] == "12.5%"
    assert commands["set_part"][0] == "xc7z020clg400-1" and commands["set_top"] == ("net_axi",)
    is_rtl = backend == "rtl"
    settings = core_settings(core, "part")
    assert settings["sources"] == (("rtl/net.sv",) if is_rtl else ())
    assert (settings["registers"], settings["core_clock"]) == (is_rtl, "aclk" if is_rtl else "ap_clk")
    made = core_steps(core)
    assert bool(made) != is_rtl and (is_rtl or made[0].outputs == ("net_axi_prj/solution1/impl/ip/component.xml",))
    assert is_rtl or core_steps(core, "net.xo")[0].outputs == ("net.xo",)
    core.check_streams(len(core.inputs) + len(core.outputs))
    with pytest.raises(ConfigError, match=f"at most {len(core.inputs) + len(core.outputs) - 1} together"):
        core.check_streams(len(core.inputs) + len(core.outputs) - 1)
