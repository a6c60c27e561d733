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
    *("vivado_logic", "vivado_system", "quartus_prime", "platform_designer", "radiant", "nextpnr", "verilog", "calls"),
)

_INTRO = """\
# Vendors' rules

No vendor's HLS tool has run a project of ours. Tests hold all that can be known without one, each with its source:

- **Rule books** (`tests/hls/rules/*.toml`, the tables below): each pragma, attribute and Tcl command that may be written for a
  tool, where it may stand, its options and their values. `tests/hls/test_vendor_rules.py` parses projects with libclang and
  reads every command of their scripts; what a book does not have fails, with the text, file and line.
- **Structure** (`tests/hls/structure`): from the C++ itself, the steps of each pipelined loop, what a step reads and
  writes in each array, and the operations in its feedback; from the pragmas, the ports of each memory. The cycles that follow
  are held against the plan's interval (`tests/hls/test_structure.py`), on projects of all tools and on faults put in on
  purpose. It judges how we write C++, not a user's network, so that builds do without it. They hold the report of the vendor's
  tool against the plan. Two operations on numbers are taken to fit into a cycle; what tools do unasked beyond the rules is
  not known.
- **Open headers** of AMD and Siemens compile and run projects, bit for bit (`test_with_the_open_headers`).
- **Intel's headers of SYCL** are read with oneAPI projects by a C++ parser as the host compiler. Siemens' `ac_types`
  run those of three tools (`test_real_headers.py`).

Tcl is read twice: by a word splitter of our own (`tests/hls/rules/tcl.py`), which sees every branch and rejects braces, quotes
and brackets that do not match; and by an interpreter (`tkinter`'s, where Python has it), which sees each command with its
values. `tests/build/test_rules_of_plans.py` compares the plans of all backends, tools and kinds of boards
(`tests/build/goldens`) with the last tables below: the inputs of systems for boards and of logic tools, and the start of each
program. The constraints of nextpnr are also read by the tool itself in tests.

Instances in our SystemVerilog name each port, `.x(x)`. Quartus takes the wildcard `.*` (its help, "Section 23—Modules and
Hierarchy", 23.3.2.4), and UG901, "Connecting Modules", has `.x` for Vivado. No manual of Radiant that we know lists either.

## What a review found, and what is written now

Numbers are the review's, and items of its sections in their order: 1 is what would not have compiled or met its plan, 2 what
probably would not, 3 style; 4 is what it ran, 5 what another tool has, 6 what was missing; one was found later. B is what a
second review found to be wrong, P what it took to be so, C what it missed. Items that were left as they were say why.

| | found | written now | rule | test |
|---|---|---|---|---|
"""

REVIEW = Path(__file__).parent / "review.toml"


def items() -> list[dict[str, str | list[str]]]:
    """The items of the review, in order."""
    found: list[dict[str, str | list[str]]] = tomllib.loads(REVIEW.read_text())["item"]
    return found


def _item(item: Mapping[str, str | list[str]]) -> str:
    tests = ", ".join(f"`{name}`" for name in item["tests"]) or "none"
    return f"| {item['number']} | {item['found']} | {item['written']} | {item['rule']} | {tests} |\n"


def page() -> str:
    """The whole page."""
    return _INTRO + "".join(map(_item, items())) + "\n" + "\n".join(map(_tables, TOOLS))


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
        lines += [
            "| name | values | source |" if name == "verilog" else "| command | options | source |",
            "|---|---|---|",
        ]
        lines += [_row(rule) for rule in book["command"]]
        lines.append("")
    return "\n".join(lines)


def _kind(wanted: str) -> str:
    """The kind of a value, or the pattern that its text has."""
    return f"*{wanted}*" if wanted.isalpha() else f"`{wanted}`"


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
    return " ".join(f"`{value}`" for value in wanted) if isinstance(wanted, list) else _kind(str(wanted))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
