"""Everything that a plan has for a vendor's tool is in the rule books: commands, scripts, constraints, and C++ of systems."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from bitsmith.devices.board import read_board, serial_boards
from tests.build.test_plan_goldens import CASES, GOLDENS, Case, model
from tests.hls.rules.book import Book, book
from tests.hls.rules.marks import marks
from tests.hls.rules.tcl import met_commands, tool_commands
from tests.systems.vivado import Vivado

pytestmark = pytest.mark.usefixtures("programs")

STREAMED: Mapping[str, Case] = {
    f"{backend}-{board}-streams": (
        {"Backend": backend, "Board": board, "IOType": "io_stream"},
        {"csim": False, "synth": False, "bitstream": True},
    )
    for backend, board in (("vivado", "pynq-z2"), ("vitis", "alveo-u280"))
} | {
    "vitis-kv260-memory": (
        {"Backend": "vitis", "Board": "kv260", "IOType": "io_stream", "Interface": "axi_master"},
        {"csim": False, "synth": False, "bitstream": True},
    )
}
ALL = {**CASES, **STREAMED}
HLS_SYSTEMS = [case for case in ALL if case.startswith(("vitis-", "vivado-"))]
OPEN_TOOLS = {
    "rm",
    "ln",
    "touch",
    "grep",
    "cp",
    "cd",
    "verilator",
    "make",
    "yosys",
    "g++",
    "icepack",
    "ecppack",
    "prjoxide",
}
SCRIPT_BOOKS = (
    (r"system/settings\.tcl|.*/settings\.tcl|project\.tcl|directives\.tcl", "vivado_system"),  # variables only
    (r"rtl/\w+\.xdc|rtl/\w+_ip\.tcl|system/(zynq|kernel)\.tcl|vivado/.*", "vivado_system"),
    (r"rtl/\w+_hw\.tcl|system/soc\.tcl", "platform_designer"),
    (r"rtl/\w+\.sdc|quartus/.*|system/quartus\.tcl|system/soc\.sdc", "quartus_prime"),
    (r"radiant/.*", "radiant"),
)
STARTED = (
    r"build_prj\.tcl|vivado_(synth|pnr)\.tcl|config\.tcl|clock\.xdc",
    r"vivado/(synth|implement)\.tcl",
    r"(quartus|radiant)/\w+\.tcl",
    r"system/(soc|core|quartus)\.tcl",
    r"rtl/\w+\.tcl",
)
"""Scripts that an interpreter goes through with no answers of a tool; `tests.systems` has a stand-in of Vivado for the others."""


@cache
def files(case: str) -> Mapping[str, str]:
    """All texts of a plan."""
    keys, asked = ALL[case]
    return {path: text for path, text in model(keys).plan(**asked).files().items() if isinstance(text, str)}


def dialect(case: str) -> str:
    return str(model(ALL[case][0]).target.backend)


def rules_of_script(path: str, backend: str) -> Book:
    """The book of a script or of constraints; that of the HLS tool, where no other tool reads it."""
    return book(next((name for pattern, name in SCRIPT_BOOKS if re.fullmatch(pattern, path)), backend))


def rules_of(case: str, path: str) -> Book:
    return rules_of_script(path, dialect(case))


@pytest.mark.parametrize("case", ALL)
def test_scripts_and_constraints(case: str) -> None:
    problems = list[str | None]()
    for path, text in files(case).items():
        if path.endswith((".tcl", ".xdc", ".sdc")) and path != "system/core.tcl":  # which has branches for two tools
            rules = rules_of(case, path)
            problems += [rules.command_refusal(each.words, f"{path}:{each.line}") for each in tool_commands(text)]
    assert not any(problems), "\n".join(filter(None, problems))


@pytest.mark.parametrize("name", serial_boards())
def test_constraints_of_boards(name: str) -> None:
    check_constraints(read_board(name).constraints(0), name)


def check_constraints(text: str, where: str) -> None:
    """Hold the text of an LPF or PCF file, whose statements end with semicolons or with lines, against its book."""
    lines = [line.partition("#")[0] for line in text.splitlines()]
    statements = [words for part in re.split(r"[;\n]", "\n".join(lines)) if (words := part.split())]
    problems = [book("nextpnr").command_refusal(words, where) for words in statements]
    assert len(statements) >= 4 and not any(problems), "\n".join(filter(None, problems))


def catapult(words: Sequence[str]) -> str:
    """What Catapult says of its libraries and of its design; other tools are asked nothing here."""
    match words:
        case ("library", "get", *_, "v"):
            return "a_library"
        case ("library", "get", *_):
            return "/PARAMETERS/".join(("/CONFIG", "Vivado", "Xilinx", "KINTEX-u", "-2", "part/LIBRARIES/a/NAME"))
        case ("solution", "get", "-name"):
            return "net"
        case _:
            return ""


@pytest.mark.parametrize("case", ALL)
def test_scripts_in_an_interpreter(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with the values of all words, through all stages of HLS tools that are planned."""
    pytest.importorskip("_tkinter")
    monkeypatch.setenv("SHLS_ROOT_DIR", str(tmp_path))
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "shls.tcl").write_text("")  # SmartHLS has it
    for path, text in files(case).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    problems = list[str | None]()
    for path in files(case):
        if any(re.fullmatch(pattern, path) for pattern in STARTED):
            rules = rules_of(case, path)
            start = tmp_path if path.startswith("system") else (tmp_path / path).parent
            met = met_commands(tmp_path / path, start, catapult)
            assert met or path.endswith("settings.tcl"), path
            problems += [rules.command_refusal(words, path) for words in met]
    assert not any(problems), "\n".join(filter(None, problems))


@pytest.mark.parametrize("case", HLS_SYSTEMS)
def test_functions_with_bus_ports(case: str) -> None:
    """The C++ around a circuit of HLS: `axi.h`, `axi_tokens.h`, and what `v++` makes of the movers."""
    texts = {path: text for path, text in files(case).items() if path.startswith(("firmware/", "system/"))}
    if "system/movers.cpp" in texts:  # its beats are plain: the script defines so
        texts["firmware/bitsmith/axi.h"] = f"#define BITSMITH_PLAIN_BEATS\n{texts['firmware/bitsmith/axi.h']}"
    for main, tops in {"firmware/net_axi.cpp": ("net_axi",), "system/movers.cpp": ("read_0", "write_0")}.items():
        if main in texts:
            found = map(book(dialect(case)).refusal, marks(texts, main, dialect(case), *tops))
            assert not (problems := [problem for problem in found if problem]), "\n".join(problems)


@pytest.mark.parametrize("case", [case for case in ALL if "alveo" in case or "accelerator" in case])
def test_what_kernels_are_linked_by(case: str) -> None:
    rules, section = book("calls").commands, ""
    for line in files(case).get("system/link.cfg", "").splitlines():
        section = line if line.startswith("[") else section
        key, _, value = line.partition("=")
        if line not in ("", section):
            assert fits(value, rules[section].options[key]), line


@pytest.mark.parametrize("case", [case for case in ALL if case.startswith("rtl")])
def test_attributes_of_circuits(case: str) -> None:
    rules, problems = book("verilog"), list[str | None]()
    for path, text in files(case).items():
        if path.endswith((".v", ".sv")) and path.startswith("rtl/"):
            for inside in re.findall(r"\(\* (.*?) \*\)", text):
                for name, value in re.findall(r'(\w+)(?: = "([^"]*)")?(?:, |$)', inside):
                    problems.append(rules.command_refusal((name, value) if value else (name,), path))
    assert problems and not any(problems), "\n".join(filter(None, problems))


def fits(value: str, wanted: str | list[str]) -> bool:
    return value.isdigit() if wanted == "count" else wanted == "any" or re.fullmatch(str(wanted), value) is not None


def test_flags_of_intels_compilers(tmp_path: Path) -> None:
    """Those in the CMake project of oneAPI, and the calls that make makes of the project of Intel HLS."""
    rules, problems = book("calls"), list[str | None]()
    lines = [line for line in files("oneapi")["CMakeLists.txt"].splitlines() if not line.startswith("#")]
    flags = re.findall(r"(?<=[ \"])-[A-Za-z][^ )\"]*", "\n".join(lines))
    assert len(flags) > 15
    problems += [rules.command_refusal(("icpx", flag), "CMakeLists.txt") for flag in flags]
    for name in ("Makefile", "project.mk"):
        (tmp_path / name).write_text(files("quartus")[name])
    command = ("make", "-n", "csim", "synth", "cosim", "vsynth")
    said = subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    calls = [shlex.split(line) for line in said.stdout.splitlines() if line.startswith("i++")]
    assert len(calls) == 4
    problems += [rules.command_refusal(call, "Makefile") for call in calls]
    assert not any(problems), "\n".join(filter(None, problems))


def test_the_makefile_of_smarthls() -> None:
    options = book("calls").commands["[SmartHLS Makefile]"].options
    lines = [line for line in files("libero")["Makefile"].splitlines() if line[:1] != "#" and " =" in line]
    lines.remove("COMMON =")
    assert {line.split(" = ")[0] for line in lines} == {*options}
    for name, value in (line.split(" = ") for line in lines):
        assert fits(value, options[name]), name


@pytest.mark.parametrize("case", [case for case in ALL if "rtl-pynq" in case or "accelerator" in case or "u50" in case])
def test_scripts_in_a_stand_in_for_vivado(case: str, tmp_path: Path) -> None:
    pytest.importorskip("_tkinter")
    for path, text in files(case).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for name in {"system/zynq.tcl", "system/kernel.tcl"} & {*files(case)}:
        said = Vivado(tmp_path, ips=("net_axi",)).source(tmp_path / name).said
        problems = [book("vivado_system").command_refusal(shlex.split(line), name) for line in said]
        assert len(said) > 10 and not any(problems), "\n".join(filter(None, problems))


@pytest.mark.parametrize("path", sorted(GOLDENS.iterdir()), ids=lambda path: path.stem)
def test_programs_are_started_as_their_manuals_say(path: Path) -> None:
    rules, problems = book("calls"), list[str | None]()
    for line in path.read_text().splitlines():
        if not line.startswith("  $ "):
            continue
        words = [word for word in shlex.split(line[4:].split(" && ")[-1]) if not re.match(r"[A-Z_]+=", word)]
        if words[0] not in OPEN_TOOLS and not words[0].startswith(("nextpnr-", "./", "obj/")):
            problems.append(rules.command_refusal(words, path.name))
    assert not any(problems), "\n".join(filter(None, problems))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("vivado_system", "create_bd_cell -kind ip -vlnv a:b:c:1.0 dma", "has -kind"),
        ("vivado_system", "set_input_delay 0.0 [get_ports x]", "lacks -clock"),
        ("vivado_system", "apply_bd_automation -rule processing_system7 cell", "is not xilinx"),
        ("vivado_system", "connect_bd_net a/b", "has 1 plain words, takes 2 to 2"),
        ("quartus_prime", "execute_module -tool place", "is not one of map"),
        ("quartus_prime", "set_global_assignment -name TOP_LEVEL_ENTTIY net", "is not one of FAMILY"),
        ("platform_designer", "add_connection clock.clk pll", "argument 1: 'pll' is not"),
        ("platform_designer", "add_interface_port in in_data payload Input 8", "is not one of clk"),
        ("radiant", "prj_run Route -impl impl_1", "is not one of Synthesis"),
        (
            "calls",
            "v++ -l -t sw --platform p --kernel_frequency 9 --config a.cfg -o a.xclbin k.xo r.xo w.xo",
            "is not one of hw",
        ),
        ("calls", "icpx -fsycl -Xsemulation", "has -Xsemulation"),
        ("verilog", "rom_style lutram", "is not one of block"),
        ("nextpnr", 'LOCATE COMP "clk" PIN "P3"', "is not one of SITE"),
        ("nextpnr", 'IOBUF PORT "clk" IO_TYPE=LVCMOS99', "is not one of LVCMOS33"),
        ("nextpnr", "set_io -pullup maybe clk 35", "is not one of yes"),
    ],
)
def test_what_is_not_in_the_rule_books_is_refused(name: str, text: str, said: str) -> None:
    (command,) = tool_commands(text)[:1]
    assert said in str(book(name).command_refusal(command.words, "here"))
