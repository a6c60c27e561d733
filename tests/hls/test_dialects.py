"""What holds for every dialect, also for those that come later."""

from __future__ import annotations

import re
import resource
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import bitsmith
from bitsmith.config.values import read_backend
from bitsmith.devices.parts import vendor_of
from bitsmith.errors import ConfigError
from bitsmith.flows.csim import INCLUDE
from bitsmith.hls import dialects
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.project import word
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.options.project import create_config
from tests.hls.compiled import STRICT, written

EACH = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.mark.parametrize("name", ["Vitis", "vivado", "oneAPI", "Quartus", "Catapult"])
def test_names_as_users_write_them(name: str) -> None:
    assert read_backend(name, "Backend") == name.lower()
    assert create_config(backend=name)["Backend"] == name


@pytest.mark.parametrize("name", ["verilog", "SystemVerilog", "VHDL"])
def test_languages_lead_to_the_backend_that_writes_circuits(name: str) -> None:
    with pytest.raises(ConfigError, match="'rtl' writes SystemVerilog"):
        read_backend(name, "Backend")


@EACH
def test_parts_of_another_vendor_are_refused(dialect: str, tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 1)
    chosen, parts = DIALECTS[dialect], ("LFE5U-25F-6BG256C", "xc7z020clg400-1", "5CSEBA6U23I7")
    assert vendor_of(chosen.part) in (None, *chosen.vendors)
    for vendor, part in zip(("Lattice", "AMD", "Intel"), parts, strict=True):
        assert vendor_of(part) == vendor
        if vendor in chosen.vendors:
            assert (
                bitsmith.convert(network, tmp_path, input_shape=(2,), backend=chosen.name, part=part).target.part
                == part
            )
        else:
            with pytest.raises(ConfigError, match=f"part {part} of {vendor} with backend '{dialect}'"):
                bitsmith.convert(network, tmp_path, input_shape=(2,), backend=chosen.name, part=part)


@EACH
def test_what_every_dialect_says(dialect: str) -> None:
    chosen = DIALECTS[dialect]
    loop = chosen.before_loop + chosen.in_loop
    assert "unroll" in loop.lower() and "#" not in loop  # macros stand for it
    assert word(chosen.part) == chosen.part and chosen.period_ns > 0
    assert chosen.driver.ways


@EACH
def test_words_that_a_tool_does_not_take_are_noted_and_no_others(dialect: str, tmp_path: Path) -> None:
    """Those of an ordinary network are narrow enough for all, and so are few products; of the same with limits some are not."""
    chosen, build = DIALECTS[dialect], ProgramBuilder()
    x = build.input("x", (6, 4), FixedFormat(True, 8, 4))
    with build.layer("dense"):
        weights = objects(np.random.default_rng(0).integers(-99, 99, (4, 8)))
        case = {"net": build.program([("y", build.linear(x, weights, 4))])}
    demands = {"net": Directives({"dense": 4}, parallel=False, products={"dense": MultiplierStyle.SHARED})}
    assert not written(case, chosen, tmp_path, demands)["net"].too_wide
    assert all(
        limit == 0 or limit >= 1024 for limit in (chosen.most_bits, chosen.most_products, chosen.streams.most_bits)
    )
    found = written(case, replace(chosen, most_bits=16), tmp_path, demands)["net"].too_wide
    assert found and all(each.bits > each.most == 16 for each in found)
    widest = max(each.bits for each in found)
    less = written(case, replace(chosen, most_bits=widest - 1), tmp_path, demands)["net"].too_wide
    assert {each.bits for each in less} == {widest}


def million_weights() -> Program:
    rng = np.random.default_rng(0)
    build = ProgramBuilder()
    fmt = FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)
    y = build.input("x", (1000,), fmt)
    for size in (1000, 10):
        with build.layer(f"dense_{size}"):
            weights = rng.integers(-2000, 2000, (1000, size)).astype(np.object_)
            y = build.cast(build.linear(y, weights, 8), fmt)
    return build.program([("y", y)])


@pytest.mark.slow
@EACH
def test_a_million_weights_compile_in_seconds(tmp_path: Path, dialect: str) -> None:
    project = written({"net": million_weights()}, DIALECTS[dialect], tmp_path)["net"]
    command = ["g++", "-std=c++17", "-O1", "-fPIC", "-shared", *STRICT, "-isystem", str(INCLUDE), "-o", "net.so"]
    started = time.perf_counter()
    subprocess.run(
        [*command, "firmware/net.cpp", project.bridge], cwd=tmp_path / "net", check=True, preexec_fn=within_a_gigabyte
    )
    assert time.perf_counter() - started < 30


def within_a_gigabyte() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))


def test_the_page_shows_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "new-hls-dialect.md").read_text(encoding="utf-8")
    code = (Path(dialects.__file__).parent / "libero.py").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        assert block in code
