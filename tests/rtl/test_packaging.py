"""The scripts that make IPs of circuits for vendors' tools, in a Tcl interpreter."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bitsmith.building.design import Circuit
from bitsmith.rtl.interface import prefix
from tests.rtl.wrapped import KINDS, made


def spoken(folder: Path, each: Circuit, script: str, stubs: str) -> list[str]:
    """The vendor's commands that a script gives, in a Tcl interpreter in which they only say what they were given."""
    (folder / script).write_text(each.extras[f"rtl/{script}"])
    (folder / "stubs.tcl").write_text(f"{stubs}\nsource {script}\n")
    done = subprocess.run(["tclsh", "stubs.tcl"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def stubs(commands: str) -> str:
    return f'foreach name {{{commands}}} {{ proc $name args "puts \\"$name \\$args\\"" }}'


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
@pytest.mark.parametrize("kind", KINDS)
def test_vivado_script(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    folder = tmp_path / "a project"
    folder.mkdir()
    packager = "package_project associate_bus_interfaces create_xgui_files update_checksums check_integrity save_core"
    prepared = (
        stubs("create_project add_files set_property update_compile_order close_project")
        + "\nproc current_fileset {} { return sources_1 }\nnamespace eval ipx { proc current_core {} { return net_core }\n"
        + f'foreach name {{{packager}}} {{ proc $name args "puts \\"$name \\$args\\"" }} }}'
    )
    said = spoken(folder, each, "net_axil_ip.tcl", prepared)
    added = [line.rstrip("}").rsplit("/", 1)[1] for line in said if line.startswith("add_files ")]
    assert f"{{{folder / 'net.sv'}}}" in "".join(said), "a path with a space is one of a list"
    files = {f"rtl/{name}" for name in each.sources} | set(each.extras)
    assert {f"rtl/{name}" for name in added} <= files
    assert {"net.sv", "net_axis.sv", "net_axil.v", "bitsmith_control.sv", "bitsmith_framer.sv"} <= set(added)
    assert "set_property top net_axil sources_1" in said
    ports = [prefix("s_axis", port) for port in each.interface.inputs] + [
        prefix("m_axis", port) for port in each.interface.outputs
    ]
    buses = [line.split()[2] for line in said if line.startswith("associate_bus_interfaces")]
    assert buses == ["s_axi", *ports]
    text = each.extras["rtl/net_axil.v"]
    assert f"ASSOCIATED_BUSIF {':'.join(buses)}," in text
    assert all(f" {bus}_tvalid," in text for bus in ports)
    assert said[-2:] == ["save_core net_core", "close_project -delete"]
    packaged = next(line for line in said if line.startswith("package_project "))
    assert " -force " in packaged, "a second run is an error without it"
    assert said[0] == f"create_project -force net_axil_package {{{folder / 'net_axil_package'}}}"


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
@pytest.mark.parametrize("kind", KINDS)
def test_platform_designer_script(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    commands = (
        "set_module_property add_fileset set_fileset_property add_fileset_file add_interface set_interface_property "
        "add_interface_port"
    )
    prepared = f"{stubs(commands)}\nproc package args {{}}"
    said = spoken(tmp_path, each, "net_avalon_hw.tcl", prepared)
    files = {f"rtl/{name}" for name in each.sources} | set(each.extras)
    added = {line.split()[1] for line in said if line.startswith("add_fileset_file ")}
    assert {f"rtl/{name}" for name in added} <= files
    assert {"net.sv", "net_axis.sv", "net_avalon.sv", "bitsmith_symbols.sv"} <= added
    declared = {}
    for line in said:
        if line.startswith("add_interface_port "):
            _, _, port, _, direction, bits = line.split()
            declared[port] = (direction.lower(), int(bits))
    header = each.extras["rtl/net_avalon.sv"].split(");")[0].split("(\n")[1]
    found = {}
    for port in header.split(",\n"):
        words = port.split()
        bits = int(words[2].split(":")[0][1:]) + 1 if words[2].startswith("[") else 1
        found[words[-1]] = (words[0], bits)
    assert declared == found
