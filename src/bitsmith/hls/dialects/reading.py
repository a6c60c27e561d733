"""Parts of dialects: the pipelines and memories that a tool makes of C++, as the check of its structure asks."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field


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
