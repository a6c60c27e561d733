"""Every file that we write is read without a complaint by all tools that users have: not the same subset of the language.

Verilator and slang look at each circuit and wrapper in the tests beside this one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pyslang.syntax import SyntaxKind, SyntaxNode, SyntaxTree

from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.protection import Protection
from bitsmith.flows.run import Command, run
from bitsmith.flows.tools import YOSYS
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import simplify
from bitsmith.rtl import uart_wrapper
from bitsmith.rtl.beats import beats, with_beats
from bitsmith.rtl.counters import counters
from bitsmith.rtl.library import (
    BEATS_LIBRARY,
    COUNTERS_LIBRARY,
    MEMORY_LIBRARY,
    RANGES_LIBRARY,
    SPANS_LIBRARY,
    STREAM_LIBRARY,
    WRAPPER_LIBRARY,
    library,
)
from bitsmith.rtl.memory_wrapper import memory
from bitsmith.rtl.ranges import watches
from bitsmith.rtl.writer import Title
from tests.flows.found import find
from tests.flows.runs import lint
from tests.properties.programs import random_program
from tests.rtl.circuits import compile_with_slang
from tests.rtl.wrapped import DIGEST, made

TOPS = {
    "pipeline": "net_avalon",
    "bare": "net_uart",
    "stream": "net_uart",
    "streams": "net_avalon",
    "loads": "net_memory",
    "read-back": "net_memory",
    "ecc": "net_axil",
    "layers": "net_memory",
    "layers-engine": "net_axil",
    "weights": "net_axil",
    "images": "net_memory",
    "outside": "net_memory",
}
"""All kinds of circuits, with a wrapper each."""

REFUSED = {
    SyntaxKind.SignedCastExpression,
    SyntaxKind.ReturnStatement,
    SyntaxKind.JumpStatement,
    SyntaxKind.StructType,
    SyntaxKind.UnionType,
    SyntaxKind.InterfaceDeclaration,
    SyntaxKind.ForeachLoopStatement,
    SyntaxKind.InsideExpression,
    SyntaxKind.TypeParameterDeclaration,
    SyntaxKind.StreamingConcatenationExpression,
    SyntaxKind.SimpleAssignmentPattern,
    SyntaxKind.StructuredAssignmentPattern,
}
"""What Icarus 11 does not know, or not everywhere."""
SELECTS = {SyntaxKind.BitSelect, SyntaxKind.SimpleRangeSelect, SyntaxKind.AscendingRangeSelect}


def write(folder: Path, each: Circuit, *, is_watched: bool) -> list[Path]:
    """A circuit with all its wrappers."""
    texts = {**{f"rtl/{name}": text for name, text in each.sources.items()}, **each.extras}
    if not each.interface.loops:
        texts["rtl/net_uart.sv"] = uart_wrapper.uart(each.interface, 1_000_000, 10_000)
    watched = watches(each.program, each.interface, None, each.in_engines) if is_watched else ()
    texts["rtl/net_dma_axis.sv"] = beats(each.interface, 2, limits=is_watched, watched=watched)
    narrow = with_beats(each.interface, 2)
    texts["rtl/net_memory.v"] = memory(narrow, counters(narrow, ranges=True) if is_watched else None)
    more = (
        *BEATS_LIBRARY,
        *MEMORY_LIBRARY,
        *SPANS_LIBRARY,
        *((*COUNTERS_LIBRARY, *RANGES_LIBRARY) if is_watched else ()),
    )
    texts |= {f"rtl/{name}": text for name, text in library(more).items()}
    paths = [folder / Path(name).name for name in texts if Path(name).suffix in (".sv", ".v")]
    for path, text in zip(paths, (text for name, text in texts.items() if name.endswith((".sv", ".v"))), strict=True):
        path.write_text(text)
    return paths


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    watched = ("read-back", "layers", "layers-engine")
    return {kind: write(tmp_path_factory.mktemp(kind), made(kind), is_watched=kind in watched) for kind in TOPS}


def test_projects_have_every_module_of_the_library(projects: dict[str, list[Path]]) -> None:
    assert {path.name for paths in projects.values() for path in paths} >= {
        *(*STREAM_LIBRARY, *WRAPPER_LIBRARY, *MEMORY_LIBRARY, *SPANS_LIBRARY)
    }


def nodes(node: SyntaxNode, around: tuple[SyntaxNode, ...] = ()) -> Iterator[tuple[SyntaxNode, tuple[SyntaxNode, ...]]]:
    """All nodes below ``node``, each with those around it."""
    yield node, around
    for child in node:
        if isinstance(child, SyntaxNode):
            yield from nodes(child, (*around, node))


def refused(tree: SyntaxTree) -> list[str]:
    """Constructs that Icarus refuses or complains of."""
    found = []
    for node, around in nodes(tree.root):
        if node.kind in REFUSED:
            found.append(str(node))
        if node.kind == SyntaxKind.IntType and "unsigned" in str(node):
            found.append(str(node))
        constant = node.kind in SELECTS and not any(inner.kind == SyntaxKind.IdentifierName for inner, _ in nodes(node))
        if constant and any(outer.kind == SyntaxKind.AlwaysCombBlock for outer in around):
            found.append(f"always_comb reads {around[-1]}")
        if node.kind == SyntaxKind.IdentifierName and any(
            outer.kind == SyntaxKind.NamedPortConnection for outer in around
        ):
            loops = {str(outer.identifier).strip() for outer in around if outer.kind == SyntaxKind.LoopGenerate}
            if str(node).strip() in loops and not any(outer.kind in SELECTS for outer in around):
                found.append(f"port is told {node} of a loop")
    return [text.strip() for text in found]


GENERATED = {SyntaxKind.LoopGenerate, SyntaxKind.IfGenerate, SyntaxKind.CaseGenerate}


def refused_by_quartus(tree: SyntaxTree) -> list[str]:
    """Constructs that Quartus Prime Standard and Lite refuse, which are the editions for Cyclone V (docs/decisions/020)."""
    found = []
    for node, around in nodes(tree.root):
        if node.kind in GENERATED and all(outer.kind != SyntaxKind.GenerateRegion for outer in around):
            found.append("a construct outside of generate ... endgenerate")
        if node.kind == SyntaxKind.LoopGenerate and node.genvar.valueText == "genvar":
            found.append(f"genvar {node.identifier.valueText} in the head of a loop")
        listed = node.kind == SyntaxKind.ParameterDeclaration and node.keyword.valueText == "localparam"
        if listed and around[-1].kind == SyntaxKind.ParameterPortList:
            found.append(f"{str(node).strip()} in a list of parameters")
    return found


@pytest.mark.parametrize("refusals", [refused, refused_by_quartus])
def test_no_construct_that_a_tool_refuses(
    projects: dict[str, list[Path]], refusals: Callable[[SyntaxTree], list[str]]
) -> None:
    files = {path.name: path for paths in projects.values() for path in paths}
    for path in files.values():
        tree = SyntaxTree.fromFile(str(path))
        assert not list(tree.diagnostics), path.name
        assert refusals(tree) == [], path.name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("module m #(parameter N = 1, localparam M = 2); endmodule", ["localparam M = 2 in a list of parameters"]),
        ("module m #(parameter N = 1); localparam M = 2; endmodule", []),
        (
            "module m; generate for (genvar k = 0; k < 2; k = k + 1) begin : g end endgenerate endmodule",
            ["genvar k in the head of a loop"],
        ),
        (
            "module m; genvar k; for (k = 0; k < 2; k = k + 1) begin : g end endmodule",
            ["a construct outside of generate ... endgenerate"],
        ),
        ("module m; if (1) begin : g end endmodule", ["a construct outside of generate ... endgenerate"]),
        ("module m; genvar k; generate for (k = 0; k < 2; k = k + 1) if (k) begin : g end endgenerate endmodule", []),
    ],
)
def test_constructs_that_quartus_refuses_are_found(text: str, expected: list[str]) -> None:
    assert refused_by_quartus(SyntaxTree.fromText(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("module m #(parameter int unsigned N = 1); endmodule", ["int unsigned"]),
        ("module m(input a, output logic b); assign b = signed'(a); endmodule", ["signed'(a)"]),
        ("module m(input [3:0] a, output logic b); always_comb b = a[2]; endmodule", ["always_comb reads [2]"]),
        ("module m(input [3:0] a, output logic b); assign b = a[2]; endmodule", []),
        (
            "module m; for (genvar k = 0; k < 2; ++k) begin : g n n (.a(k == 0)); end endmodule",
            ["port is told k of a loop"],
        ),
        ("module m; for (genvar k = 0; k < 2; ++k) begin : g n #(.A(k)) n (.a(b[k])); end endmodule", []),
    ],
)
def test_refused_constructs_are_found(text: str, expected: list[str]) -> None:
    assert refused(SyntaxTree.fromText(text)) == expected


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
@pytest.mark.parametrize("kind", TOPS)
def test_icarus_reads_all(projects: dict[str, list[Path]], kind: str) -> None:
    """With each wrapper on top, and each module of the library that they do not use on its own."""
    argv = ["iverilog", "-g2012", "-Wall", "-o", "/dev/null", *map(str, projects[kind])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", TOPS)
def test_slang_compiles_all(projects: dict[str, list[Path]], kind: str) -> None:
    """With what drives each variable, which only a compiler of the whole circuit sees."""
    compile_with_slang(projects[kind])


WRAPPERS = ("net_axil", "net_avalon", "net_uart", "net_memory", "net_cdc")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.ci] * (seed % 16 == 0)) for seed in range(64)])
def test_random_projects_are_read_by_all_tools(tmp_path: Path, seed: int) -> None:
    """Pipelines and networks of processes, and each wrapper of them in turn."""
    program = simplify(random_program(seed, max_ops=16, hardware=True))
    directives = Directives({}, seed % 2 == 0, protection=[*Protection][seed % 3])
    each = circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))
    paths, top = write(tmp_path, each, is_watched=True), WRAPPERS[seed % len(WRAPPERS)]
    compile_with_slang(paths)
    for path in paths:
        tree = SyntaxTree.fromFile(str(path))
        assert refused(tree) == refused_by_quartus(tree) == [], path.name
    lint(paths, top)
    if shutil.which("iverilog") is not None:
        argv = ["iverilog", "-g2012", "-Wall", "-o", "/dev/null", *map(str, paths)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    script = [f"read_verilog -sv {' '.join(path.name for path in paths)}", f"hierarchy -check -top {top}", "proc"]
    (tmp_path / "read.ys").write_text("\n".join([*script, "check -assert"]) + "\n")
    run(Command((str(find(YOSYS).path), "-q", "-s", "read.ys"), tmp_path, tmp_path / "read.log"))
    assert "arning" not in (tmp_path / "read.log").read_text()


@pytest.mark.slow
@pytest.mark.ci
def test_yosys_reads_all(projects: dict[str, list[Path]], tmp_path: Path) -> None:
    lines = []
    for kind, paths in projects.items():
        for path in (tmp_path / kind / path.name for path in paths):
            path.parent.mkdir(exist_ok=True)
            path.write_text((paths[0].parent / path.name).read_text())
        lines.append(f"read_verilog -sv {' '.join(f'{kind}/{path.name}' for path in paths)}")
        lines += [f"hierarchy -check -top {TOPS[kind]}", "proc", "check -assert", "design -reset"]
    (tmp_path / "read.ys").write_text("\n".join(lines) + "\n")
    run(Command((str(find(YOSYS).path), "-q", "-s", "read.ys"), tmp_path, tmp_path / "read.log"))
    assert "arning" not in (tmp_path / "read.log").read_text()


def test_quartus_has_a_place_for_memories_that_are_read_without_a_clock(tmp_path: Path) -> None:
    """Its attribute is for Quartus alone; Yosys, which rejects it, reads the modules as before."""
    found = list[str]()
    for name, text in sorted(library((*STREAM_LIBRARY, *WRAPPER_LIBRARY, *MEMORY_LIBRARY)).items()):
        (tmp_path / name).write_text(text)
        module = Path(name).stem
        arrays = re.findall(r"^ *logic \[[^\]]*\] (\w+)\[\w+\];", text, re.MULTILINE)
        if any(re.search(rf"assign \w+ = {array}\[\w+\];", text) for array in arrays):
            found.append(module)
            attributed = re.search(
                r'`ifdef ALTERA_RESERVED_QIS\n *\(\* ramstyle = "MLAB, no_rw_check" \*\).*\n`endif\n *logic', text
            )
            assert (attributed is None) == (module == "bitsmith_delay"), module
    assert found == ["bitsmith_delay", "bitsmith_fifo"]
    sources = [tmp_path / f"{each}.sv" for each in ("bitsmith_fifo", "bitsmith_ram")]
    compile_with_slang(sources, "--top", "bitsmith_fifo", "-DALTERA_RESERVED_QIS")


def test_engines_whose_layers_differ_in_sign_are_read_without_a_warning(tmp_path: Path) -> None:
    """Results of which some are negative and others not have a bit more than each number that is stored."""
    rng, builder = np.random.default_rng(1), ProgramBuilder()
    formats = [FixedFormat(signed, 7, 2, Rounding.RND, Overflow.SAT) for signed in (True, False, True)]
    x = builder.input("x", (4,), formats[0])
    for number, kept in enumerate(formats):
        with builder.layer(f"layer{number}"):
            x = builder.cast(builder.linear(x, rng.integers(-3, 4, (4, 4)), 1), kept)
    program = builder.program([("y", x)])
    names = frozenset(node.layer for node in program.nodes if node.layer)
    directives = Directives(dict.fromkeys(names, 100), False, engine=names)
    each = circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))
    paths = write(tmp_path, each, is_watched=True)
    compile_with_slang(paths)
    lint(paths, "net_axil")
