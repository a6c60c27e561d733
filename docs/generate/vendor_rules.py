"""Writes the documentation page of vendors' rules from the rule books that tests hold generated projects against.

``make docs`` renews the page; a test keeps it and the rule books equal.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

BOOKS = Path(__file__).parents[2] / "tests" / "hls" / "rules"
TOOLS = (
    *("vitis", "vivado", "catapult", "libero", "oneapi", "quartus"),
    *("vivado_logic", "vivado_system", "quartus_prime", "platform_designer", "radiant", "calls"),
)

_INTRO = """\
# Vendors' rules

No vendor's HLS tool has run a project of ours. What can be known without one is written down, with its source, and held by tests:

- **Rule books** (`tests/hls/rules/*.toml`, the tables below): each pragma, attribute and Tcl command that may be written for a
  tool, where it may stand, its options and their values. `tests/hls/test_vendor_rules.py` parses projects with libclang and
  reads every command of their scripts; what a book does not have fails, with the text, file and line.
- **Structure** (`bitsmith.hls.structure`): from the C++ itself, the steps of each pipelined loop, what a step reads and
  writes in each array, and the operations in its feedback; from the pragmas, the ports of each memory. The cycles that follow are
  held against the plan's interval (`tests/hls/test_structure.py`), on projects of all tools and on faults put in on purpose.
  A build does so before it starts a vendor's tool (unless `force=True`), where libclang is installed, and says so where not.
  Two operations on numbers are taken to fit into a cycle; what tools do unasked beyond the rules is not known.
- **Open headers** of AMD and Siemens compile and run projects, bit for bit (`test_with_the_open_headers`).
- **Intel's headers of SYCL** are read with oneAPI projects by a C++ parser as the host compiler, and Siemens' `ac_types`
  run those of three tools (`test_real_headers.py`).

Tcl is read twice: by a word splitter of our own (`tests/hls/rules/tcl.py`), which sees every branch and refuses braces, quotes
and brackets that do not match; and by an interpreter (`tkinter`'s, where Python has it), which sees each command with its values.
What systems for boards and logic tools are given, and how each program is started, is held against the last tables below by
`tests/build/test_rules_of_plans.py`, for the plans of all backends, tools and kinds of boards (`tests/build/goldens`). The
constraints of nextpnr have no table: the tool itself reads them in tests.

## What a review found, and what is written now

| found | written now | rule | test |
|---|---|---|---|
"""

_ITEMS = (
    (
        "Vivado HLS refuses arrays of more than 1,024 partitioned elements",
        "constants are not partitioned; `config_array_partition -maximum_size` for the rest",
        "UG902, `config_array_partition`; XFORM 203-103",
        "`test_memories.py`, `test_vendor_rules.py`",
    ),
    (
        "tables partitioned and read at variable places",
        "memories: `BIND_STORAGE type=rom_np`, `RESOURCE core=ROM_nP_*`",
        "UG1399, pragma HLS bind_storage; XFORM 203-104",
        "`test_memories.py`, `test_structure.py`",
    ),
    (
        "`enable_flush` on loops",
        "on functions only; FIFO depths do not rely on flushing where a tool does not flush",
        "UG1253, pragma HLS pipeline",
        "`test_vendor_rules.py`, `test_pipelines.py`",
    ),
    (
        "the planned interval is not reached",
        "`rewind` where the tool has it, else a plan with pipelines that run empty between frames",
        "UG1399, pragma HLS pipeline",
        "`test_pipelines.py`, `test_structure.py`",
    ),
    (
        "Catapult: all arrays registers; depths of channels by a pragma that is ignored",
        "memories in banks and `-FIFO_DEPTH` by directives, after assembly",
        "hls4ml, `build_prj.tcl`; matchlib_toolkit",
        "`test_vendor_rules.py`, `test_structure.py`",
    ),
    (
        "SmartHLS: memories of two ports; `partition argument()` in inner functions",
        "partitions before declarations; `argument()` in the top function only",
        "SmartHLS user guide, 3.5.2.4 and 3.6.1.23",
        "`test_vendor_rules.py`, `test_structure.py`",
    ),
    (
        "oneAPI: a launch per frame that awaits every task; pipes as arguments; `-qactypes` at link of reports; no IP export",
        "endless tasks, started once; pipes are types; targets and flags as the manual has them",
        "785441, Pipelined Kernels, task_sequence, pipe class; hls4ml, `templates/oneapi/CMakeLists.txt`",
        "`test_vendor_projects.py`, `test_real_headers.py`",
    ),
    (
        "Intel HLS: references given to tasks",
        "streams are global",
        "683349, 10.1 and 13.15",
        "`test_streams.py`, `test_vendor_projects.py`",
    ),
    (
        "line buffers: rows that Intel's compilers cannot prove to lie apart",
        "`ivdep` with a safe length",
        "785441, loop attributes; 683349, 14.7",
        "`test_structure.py`, `test_vendor_rules.py`",
    ),
    (
        "accumulators: the products' chain begins with the sum so far",
        "products are summed first, then one addition",
        "feedback of one operation",
        "`test_structure.py`",
    ),
    (
        "weights as `[TILES * N * M]`, in machine integers",
        "`[TILES][N * M]` of exact width, a row a word",
        "UG1399, pragma HLS array_reshape",
        "`test_memories.py`, `test_structure.py`",
    ),
    (
        "stream ports wider than AXI4-Stream allows",
        "refused, with what to set",
        'UG1399, "AXI4-Stream Interfaces" (4,096 bits)',
        "`test_writer.py`",
    ),
    (
        "words wider than a tool takes: tokens in Vitis HLS (4,096 bits), tokens and rows of weights in Vivado HLS (65,536 bits)",
        "refused before the tool starts, with what to set; a note where it does not",
        "HLS 214-256 (hls4ml issue 1245); XFORM 203-133 (hls4ml issues 506 and 623)",
        "`test_vendor_build.py`",
    ),
    (
        "kernels get parts of arrays; tokens stay unpacked in Vivado HLS",
        "`INLINE` in each kernel; `DATA_PACK` on each token that is written",
        "UG1399, pragma HLS inline; UG1253, pragma HLS data_pack",
        "`test_vendor_rules.py`",
    ),
    (
        "the clock is set after logic synthesis",
        "`clock.xdc` is read before `synth_design`",
        "UG894, non-project mode",
        "`test_scripts.py`",
    ),
    (
        "nothing says that a circuit is hopelessly large",
        "refused, as RTL is; layers with more products than Vivado HLS takes are named",
        "XFORM 203-504",
        "`test_vendor_build.py`",
    ),
    (
        "the tool's interval is not compared with the plan",
        "refused after a co-simulation (`force=True`: a note), a note where it is a report's estimate",
        "the tool's reports",
        "`test_vendor_build.py`",
    ),
)


def page() -> str:
    """The whole page."""
    rows = "".join(f"| {' | '.join(item)} |\n" for item in _ITEMS)
    return _INTRO + rows + "\n" + "\n".join(map(_tables, TOOLS))


def _tables(name: str) -> str:
    book = tomllib.loads((BOOKS / f"{name}.toml").read_text())
    title = book.get("tool", "Vivado, after HLS and for all else")
    releases = f", {book['releases'][0]} to {book['releases'][1]}" if "releases" in book else ""
    lines = [f"## {title}{releases}\n"]
    if book.get("pragma"):
        lines += ["| pragma or attribute | where | options | source |", "|---|---|---|---|"]
        lines += [_row(rule, ", ".join(rule["places"])) for rule in book["pragma"]]
        lines.append("")
    if book.get("command"):
        lines += ["| command | options | source |", "|---|---|---|"]
        lines += [_row(rule) for rule in book["command"]]
        lines.append("")
    return "\n".join(lines)


def _row(rule: Mapping[str, object], *places: str) -> str:
    source = f"{rule['source']}; {rule['note']}" if "note" in rule else str(rule["source"])
    cells = (f"`{rule['name']}`", *places, "; ".join(_options(rule)), source)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _options(rule: Mapping[str, object]) -> Iterator[str]:
    """Plain words first, then options with a name."""
    arguments, options = rule.get("arguments", []), rule.get("options", {})
    assert isinstance(arguments, list) and isinstance(options, dict)
    for wanted in arguments:
        yield _values(wanted)
    for name, wanted in options.items():
        yield f"`{name}`" if wanted == "flag" else f"`{name}` {_values(wanted)}"


def _values(wanted: object) -> str:
    return " ".join(f"`{value}`" for value in wanted) if isinstance(wanted, list) else f"*{wanted}*"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
