"""Parameters that choose between two forms of a module of the library: both are the same circuit in every state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.nexus import NEXUS
from bitsmith.flows.run import Command, run
from bitsmith.flows.tools import YOSYS
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.rtl.library import library
from tests.flows.found import find
from tests.rtl.circuits import TITLE
from tests.rtl.stream_proof import files

pytestmark = pytest.mark.tools


def assert_equal(
    folder: Path, module: str, parameters: Mapping[str, int | str], other: Mapping[str, int | str]
) -> None:
    """Registers and outputs that are equal in a cycle are equal in the next one, by induction in Yosys."""
    texts = library(files(module))
    for name, text in texts.items():
        (folder / name).write_text(text)
    script = [f"read_verilog -sv {' '.join(texts)}", "design -save read"]
    for name, values in (("gold", parameters), ("gate", {**parameters, **other})):
        sets = " ".join(f"-chparam {parameter} {value}" for parameter, value in values.items())
        script += ["design -load read", f"hierarchy -top bitsmith_{module} {sets}", "prep -flatten"]
        script += [f"rename -top {name}", f"design -stash {name}"]
    script += [f"design -copy-from {name} -as {name} {name}" for name in ("gold", "gate")]
    script += [
        "equiv_make gold gate equiv",
        "hierarchy -top equiv",
        "equiv_simple",
        "equiv_induct",
        "equiv_status -assert",
    ]
    (folder / "equal.ys").write_text("\n".join(script) + "\n")
    argv = (str(find(YOSYS).path), "-q", "-s", "equal.ys")
    run(Command(argv=argv, cwd=folder, log=folder / "yosys.log"))


@pytest.mark.parametrize(
    ("family", "cycles", "bits", "adds"),
    [(ECP5, 64, 3, True), (ECP5, 32, 3, False), (ECP5, 64, 8, False), (NEXUS, 32, 3, True), (ICE40, 64, 3, False)],
)
def test_circuits_add_what_saves_look_up_tables(family: Family, cycles: int, bits: int, adds: bool) -> None:
    """Tables with few words, in block memory, or of a family that shares nothing with a counter have a constant added."""
    half = 1 << (bits - 1)
    build = ProgramBuilder()
    x = build.input("x", (16,), FixedFormat(True, 8, 4))
    with build.layer("dense"):
        y = build.linear(x, np.random.default_rng(0).integers(-half, half, (16, 16)), bits - 1)
    directives = Directives({"dense": cycles}, True, {"dense": MultiplierStyle.SHARED})
    made = circuit(build.program([("y", y)]), directives, family.delays, 8.0, "dut", TITLE)
    assert ("ADDS_VALID(1)" in made.sources["dut.sv"]) == adds


@pytest.mark.parametrize(("steps", "groups"), [(5, 4), (8, 4)])
def test_what_a_folded_product_adds_to_its_address(tmp_path: Path, steps: int, groups: int) -> None:
    parameters = {"N": 1, "M": 1, "STEPS": steps, "GROUPS": groups}
    assert_equal(tmp_path, "folded_product", parameters, {"ADDS_VALID": "1'b1"})
