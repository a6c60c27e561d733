"""The pipelines and memories that each tool makes of C++, as the check of its structure asks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(slots=True, eq=False)
class Array:
    """An array, or (without sizes) a single variable: where it is declared, its bits per element, its pragmas."""

    name: str
    place: str
    sizes: tuple[int, ...]
    bits: int
    role: str
    """``constant``, ``local``, ``parameter``, or ``member`` of a structure."""
    depth: int
    """Loops around its declaration that are pipelined."""
    key: str = ""
    """The variable, as trees name it."""
    marks: list[str] = field(default_factory=list)

    def marked(self, pattern: str) -> bool:
        """Return True if a pragma matches ``pattern``."""
        return any(re.search(pattern, mark) for mark in self.marks)

    def axes(self, pattern: str) -> frozenset[int]:
        """The axes that pragmas of ``pattern`` name, from 0; the first without ``dim``, all with ``dim`` 0."""
        axes = set[int]()
        for mark in self.marks:
            if re.search(pattern, mark):
                named = re.search(r"dim[=(](\d+)", mark)
                axis = int(named[1]) if named else 1
                axes |= set(range(len(self.sizes))) if axis == 0 else {axis - 1}
        return frozenset(axes)


@dataclass(frozen=True, slots=True)
class Storage:
    """The memories that an array becomes.

    Args:
        split: axes along which each index is a memory, or a register, of its own.
        joined: axes along which all elements are one word.
        reads, writes, ports: the most in a cycle, of one memory; None for any number.
        registers: nothing is left but registers.
        apart: the tool is told that steps do not wait for what earlier ones write.
    """

    split: frozenset[int] = frozenset()
    joined: frozenset[int] = frozenset()
    reads: int | None = 2
    writes: int | None = 1
    ports: int | None = 2
    registers: bool = False
    apart: bool = False


REGISTERS = Storage(registers=True)


def copied(array: Array, files: Mapping[str, str]) -> Storage:
    """The memories of Intel's compilers, which join neighbors to words, and copy a memory for each reader."""
    if array.role in ("member", "parameter") or array.marked("register"):
        return REGISTERS
    joined = frozenset({len(array.sizes) - 1} if len(array.sizes) > 1 else ())
    return Storage(frozenset(), joined, None, 1, None, apart=array.marked("ivdep"))


@dataclass(frozen=True, slots=True)
class Pipelines:
    """The marks that make a pipeline of a loop or function: at the head of its body, or before it (None: never).

    ``interval`` matches the cycles between steps that a mark asks for, as its only group.
    """

    body: re.Pattern[str] | None
    before: re.Pattern[str] | None
    interval: re.Pattern[str]

    def found(self, head: Iterable[str], before: Iterable[str]) -> bool:
        """Return True if any of the marks says so."""
        return any(self.body and self.body.search(mark) for mark in head) or any(
            self.before and self.before.search(mark) for mark in before
        )

    def asked(self, marks: Iterable[str]) -> int:
        """The cycles between steps that the marks of a pipeline ask for."""
        return next((int(match[1]) for match in map(self.interval.search, marks) if match), 1)


@dataclass(frozen=True, slots=True)
class Reading:
    """A tool's reading of C++.

    Args:
        defines: options of an ordinary compiler for what the tool's own defines.
        pipelines: what becomes a pipeline.
        storage: the memories of an array, in a project of these files.
    """

    defines: tuple[str, ...]
    pipelines: Pipelines
    storage: Callable[[Array, Mapping[str, str]], Storage]


def _catapult(array: Array, files: Mapping[str, str]) -> Storage:
    """Return the storage that the script directs: arrays that it does not list, and small ones, are registers."""
    script = files["directives.tcl"]
    listed = re.search(rf"^    {re.escape(array.name)} \{{(\w+) ?(\d*)\}}$", script, re.MULTILINE)
    largest = re.search(r"^set largest_register_bits (\d+)$", script, re.MULTILINE)
    bits = math.prod(array.sizes) * array.bits
    if listed is None or listed[1] == "registers" or bits <= int(largest[1] if largest else 0):
        return REGISTERS
    last, split = len(array.sizes) - 1, frozenset[int]()
    if listed[1] == "banks" and int(listed[2]) % array.sizes[last] == 0:
        split = frozenset({last})
    elif listed[1] == "blocks" and int(listed[2]) == math.prod(array.sizes[1:]):
        split = frozenset({0})
    apart = re.search(rf"^set line_buffers \{{(?:.* )?{re.escape(array.name)}[ }}]", script, re.MULTILINE) is not None
    return Storage(split, frozenset(), 1, 1, 2, apart=apart)


def _libero(array: Array, files: Mapping[str, str]) -> Storage:
    split = array.axes(r"memory partition\b.*type\(complete\)")
    if math.prod(array.sizes) == 1 or array.role in ("member", "parameter") or len(split) == len(array.sizes):
        return REGISTERS
    if array.role == "constant" and array.marked(r"replicate_rom\b(?!.*max_replicas\([1-9])"):
        return Storage(split, frozenset(), None, 0, None)
    return Storage(split, frozenset(), 2, 2, 2, apart=array.marked(r"dependent\(false\)"))


_SMALL = 4
"""Elements of local arrays that AMD's tools turn into registers unasked (their default threshold)."""


def _xilinx(array: Array, files: Mapping[str, str]) -> Storage:
    split = array.axes(r"ARRAY_PARTITION\b.*\bcomplete")
    joined = array.axes(r"ARRAY_RESHAPE\b.*\bcomplete")
    small = math.prod(array.sizes) <= _SMALL and array.role == "local"
    if small or array.role in ("member", "parameter") or len(split) == len(array.sizes):
        return REGISTERS
    if array.marked(r"(?i)rom_np"):
        return Storage(split, joined, None, 0, None)
    return Storage(split, joined, apart=array.marked(r"DEPENDENCE\b.*\bfalse"))


_VITIS = Reading(
    defines=("-D__SYNTHESIS__", "-D__VITIS_HLS__"),
    pipelines=Pipelines(
        body=re.compile(r"HLS PIPELINE\b(?!.*\boff\b)"), before=None, interval=re.compile(r"\bII=(\d+)")
    ),
    storage=_xilinx,
)

READINGS: dict[str, Reading] = {
    "catapult": Reading(
        defines=("-D__SYNTHESIS__",),
        pipelines=Pipelines(
            body=None, before=re.compile("hls_pipeline_init_interval"), interval=re.compile(r"init_interval (\d+)")
        ),
        storage=_catapult,
    ),
    "libero": Reading(
        defines=("-D__SYNTHESIS__",),
        pipelines=Pipelines(
            body=re.compile("HLS function pipeline"),
            before=re.compile("HLS loop pipeline"),
            interval=re.compile(r"\bII\((\d+)"),
        ),
        storage=_libero,
    ),
    "oneapi": Reading(
        defines=("-DSYCL_LANGUAGE_VERSION=202012L", "-D__INTEL_CLANG_COMPILER=20250000"),
        pipelines=Pipelines(
            body=None,
            before=re.compile("intel::initiation_interval"),
            interval=re.compile(r"initiation_interval\((\d+)"),
        ),
        storage=copied,
    ),
    "quartus": Reading(
        defines=("-D__INTELFPGA_COMPILER__=1",),
        pipelines=Pipelines(
            body=None, before=re.compile(r"^ii \d|hls_component_ii"), interval=re.compile(r"^ii (\d+)")
        ),
        storage=copied,
    ),
    "vitis": _VITIS,
    "vivado": replace(_VITIS, defines=("-D__SYNTHESIS__",)),
}
"""What each tool makes of the code, by the dialect's name."""
