"""Projects with the headers of their vendors: Intel's of SYCL, which a C++ parser checks, and Siemens' ac_types, which run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from clang.cindex import Diagnostic, Index

from bitsmith.flows.csim import INCLUDE
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.spelling import AC
from bitsmith.mapping.directives import Directives
from tests.hls.compiled import ALL_AT_ONCE, assert_equal_to_emulator, open_headers
from tests.hls.test_execution import programs
from tests.hls.test_streams import cnn, cnns, random_demands
from tests.hls.test_vendor_projects import project_in

FOLDED = cnns()[1]["folded"]
HOST = ("-DSYCL_LANGUAGE_VERSION=202012L", "-D__INTEL_CLANG_COMPILER=20250000", "-DFPGA_EMULATOR")
INTRINSICS = ("mmintrin", "xmmintrin", "emmintrin", "pmmintrin", "immintrin", "x86intrin")


def sycl_headers() -> Path:
    """Intel's headers, as the package intel-sycl-rt installs them."""
    folder = Path(sys.prefix) / "include"
    if not (folder / "sycl" / "ext" / "intel" / "experimental" / "task_sequence.hpp").is_file():
        pytest.skip("needs the headers of intel-sycl-rt: pip install --no-deps intel-sycl-rt==2025.0.4")
    return folder


def system_headers() -> list[str]:
    """The folders that g++ looks for headers in."""
    command = ["g++", "-E", "-v", "-x", "c++", "/dev/null"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return [line.strip() for line in said.split("starts here:")[-1].split("End of")[0].splitlines() if line.strip()]


def shims(folder: Path) -> Path:
    """What Intel's compiler has beside SYCL: its places of ac_types; and no vector instructions, which g++ spells otherwise."""
    types = folder / "sycl" / "ext" / "intel" / "ac_types"
    types.mkdir(parents=True)
    for name in ("ac_int", "ac_fixed"):
        (types / f"{name}.hpp").write_text(f"#include <{name}.h>\n")
    for name in INTRINSICS:
        (folder / f"{name}.h").write_text("")
    return folder


def complaints(source: Path, folder: Path) -> list[str]:
    """Errors of a host compiler about ``source``, with Intel's headers of SYCL and Siemens' of ac_types."""
    sycl, types = sycl_headers(), open_headers(AC)
    places = [shims(folder), sycl, sycl / "sycl", types, *system_headers()]
    flags = ["-std=c++17", "-Wno-everything", *HOST, *(word for place in places for word in ("-isystem", str(place)))]
    found: Sequence[Diagnostic] = Index.create().parse(str(source), args=flags).diagnostics
    return [f"{each.location.file}:{each.location.line}: {each.spelling}" for each in found if each.severity >= 3]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("directives", [ALL_AT_ONCE, FOLDED], ids=["unrolled", "folded"])
def test_kernels_are_sycl(tmp_path: Path, directives: Directives) -> None:
    project_in(tmp_path, "oneapi", cnn(), directives)
    assert complaints(tmp_path / "net_test.cpp", tmp_path / "shims") == []


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("net_kernel.hpp", "intel::streaming_interface<>", "intel::streamed_interface<>"),
        ("firmware/bitsmith/kernels.h", "task.async()", "task.async(1)"),
    ],
    ids=["property", "arguments"],
)
def test_what_is_not_sycl_is_noticed(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    project_in(tmp_path, "oneapi", cnn(), FOLDED)
    path = tmp_path / file
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    assert complaints(tmp_path / "net_test.cpp", tmp_path / "shims")


@pytest.fixture
def ac_types(tmp_path: Path) -> Path:
    """Siemens' ac_types, and our streams for compilers that have others."""
    folder = tmp_path / "include"
    folder.mkdir()
    for place, names in ((open_headers(AC), "ac_*.h"), (INCLUDE, "*hls_stream.h"), (INCLUDE, "bitsmith_fifo.h")):
        for path in place.glob(names):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dialect", ["catapult", "quartus", "oneapi"])
def test_networks_of_processes_run_with_ac_types(tmp_path: Path, ac_types: Path, dialect: str) -> None:
    cases = {"folded": cnn()} | ({} if dialect == "catapult" else programs((36,)))
    demands = {**random_demands(cases), "folded": FOLDED}
    assert_equal_to_emulator(cases, DIALECTS[dialect], tmp_path, include=ac_types, demands=demands, samples=3)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["catapult", "quartus", "oneapi"])
def test_random_programs_run_with_ac_types(tmp_path: Path, ac_types: Path, dialect: str) -> None:
    cases = programs(range(60_000, 60_008))
    assert_equal_to_emulator(cases, DIALECTS[dialect], tmp_path, include=ac_types, demands=random_demands(cases))
