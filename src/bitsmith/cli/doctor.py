"""Programs and packages of this machine that bitsmith can use."""

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bitsmith.cli.wording import worded
from bitsmith.flows.nextpnr import TOOLS as PLACE_AND_ROUTE_TOOLS
from bitsmith.flows.tools import GXX, MAKE, TOOLS, VERILATOR, YOSYS, Origin, seek
from bitsmith.flows.vendor import find_driver
from bitsmith.hls.dialects import DIALECTS
from bitsmith.netlist.native import SOLVE

_DISTRIBUTION = "bitsmith"
_DEVELOPMENT = frozenset({"dev", "site", "tutorials"})
"""Extras that only those who work on bitsmith itself need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One program or package. ``needed_for`` is "everything", a stage, or the extra that it belongs to."""

    kind: str
    name: str
    found: bool
    version: str
    where: str
    problem: str
    install: str
    needed_for: str


def examine() -> tuple[Finding, ...]:
    """Python, every external tool, and every package that the installed bitsmith names."""
    python = Finding("python", "Python", True, platform.python_version(), sys.executable, "", "", "everything")
    return (python, *_tools(), *_vendor_tools(), *_packages(), _solver())


def verdict(findings: Sequence[Finding]) -> str:
    """Return in one line what works here, and what installs the rest of the open flow."""
    names = {finding.name for finding in findings if finding.found and finding.kind == "tool"}
    placed = sorted(name.removeprefix("nextpnr-") for name in names if name.startswith("nextpnr-"))
    stages = {
        "simulate": {VERILATOR.name, GXX.name, MAKE.name} <= names,
        "synthesize": YOSYS.name in names,
        f"place and route ({', '.join(placed)})": bool(placed),
    }
    able = ", ".join(["convert", "predict", *(stage for stage, works in stages.items() if works)])
    if all(stages.values()):
        return f"Ready: {able}."
    missing = next(tool for tool in (VERILATOR, GXX, MAKE, YOSYS, *PLACE_AND_ROUTE_TOOLS) if tool.name not in names)
    return f"Not everything is installed. What works: {able}. Next: {missing.install}"


def _tools() -> Iterator[Finding]:
    for tool in (*TOOLS, *PLACE_AND_ROUTE_TOOLS):
        program = seek(tool)
        missing = program.missing
        yield Finding(
            kind="tool",
            name=tool.name,
            found=missing is None,
            version=program.version,
            where=_place(str(program.path), program.origin) if missing is None else "",
            problem="" if missing is None else missing.found,
            install=tool.install,
            needed_for="" if missing is None else f"without it: {worded(tool.without)}",
        )


def _vendor_tools() -> Iterator[Finding]:
    """The vendors' HLS tools that are there, or one finding that none is: nobody has all of them."""
    drivers = [dialect.driver for dialect in DIALECTS.values()]
    there = [(driver, tool) for driver in drivers if (tool := find_driver(driver)) is not None]
    for driver, tool in there:
        yield Finding("tool", driver.tool, True, tool.version, str(tool.path), "", "", "")
    if not there:
        programs = dict.fromkeys(way.programs[0] for driver in drivers for way in driver.ways)
        problem = f"none on PATH ({', '.join(programs)}); projects are written and checked without"
        yield Finding("tool", "vendors' HLS tools", False, "", "", problem, "", "")


def _place(path: str, origin: Origin) -> str:
    return path if origin is Origin.PATH else f"{path} (Python package)"


def _packages() -> Iterator[Finding]:
    for requirement in importlib.metadata.requires(_DISTRIBUTION) or ():
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        match = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
        extra = match[1] if match else ""
        system = re.search(r"sys_platform\s*==\s*['\"]([^'\"]+)", requirement)
        if extra in _DEVELOPMENT or (system is not None and system[1] != sys.platform):
            continue
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        yield Finding(
            kind="package",
            name=name,
            found=bool(version),
            version=version,
            where="Python package" if version else "",
            problem="" if version else "not installed",
            install=f'pip install "{_DISTRIBUTION}[{extra}]"' if extra else f"pip install {name}",
            needed_for=f"extra {extra}" if extra else "everything",
        )


def _solver() -> Finding:
    """The solver of adder graphs, which is compiled when bitsmith is installed."""
    problem = "" if SOLVE is not None else "was not compiled"
    remedy = "a C++ compiler and the headers of Python, then: pip install --force-reinstall --no-deps bitsmith"
    needed_for = "without it: circuits are about a tenth larger" if problem else ""
    return Finding(
        "package", "compiled solver of adder graphs", not problem, "", "bitsmith", problem, remedy, needed_for
    )
