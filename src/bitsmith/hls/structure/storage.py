"""What a vendor's tool makes of an array, and how often it can be read and written in a cycle.

Enter an array with its pragmas, and what a step touches of it; leave the cycles between steps that its ports allow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bitsmith.hls.structure.values import Access, Array, Index

_SMALL = 4
"""Elements of local arrays that the tools of AMD turn into registers unasked (their default threshold)."""

_CHAINED = 2
"""Operations of numbers that fit into a cycle, one after another: a bound with room, since periods differ."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How an array is kept.

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


def _axes(array: Array, pattern: str, every: int) -> frozenset[int]:
    """The axes that pragmas of ``pattern`` name, counted from 0; ``every`` is the number that stands for all."""
    found = set[int]()
    for mark in array.marks:
        if re.search(pattern, mark):
            named = re.search(r"dim[=(](\d+)", mark)
            axis = int(named[1]) if named else (1 if every else 0)
            found |= set(range(len(array.sizes))) if axis == 0 else {axis - 1}
    return frozenset(found)


def _marked(array: Array, pattern: str) -> bool:
    return any(re.search(pattern, mark) for mark in array.marks)


def _amd(array: Array, script: str) -> Storage:
    split = _axes(array, r"ARRAY_PARTITION\b.*\bcomplete", 1)
    joined = _axes(array, r"ARRAY_RESHAPE\b.*\bcomplete", 1)
    small = math.prod(array.sizes) <= _SMALL and array.role == "local"
    if small or array.role in ("member", "parameter") or len(split) == len(array.sizes):
        return REGISTERS
    if _marked(array, r"(?i)rom_np"):
        return Storage(split, joined, None, 0, None)
    return Storage(split, joined)


def _smarthls(array: Array, script: str) -> Storage:
    split = _axes(array, r"memory partition\b.*type\(complete\)", 1)
    if math.prod(array.sizes) == 1 or array.role in ("member", "parameter") or len(split) == len(array.sizes):
        return REGISTERS
    if array.role == "constant" and _marked(array, r"replicate_rom\b(?!.*max_replicas\([1-9])"):
        return Storage(split, frozenset(), None, 0, None)
    return Storage(split, frozenset(), 2, 2, 2)


def _catapult(array: Array, script: str) -> Storage:
    """As the script directs: arrays that it does not list, and small ones, are registers."""
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


def _intel(array: Array, script: str) -> Storage:
    """Its compilers join neighbors to words, and copy a memory for each reader."""
    if array.role in ("member", "parameter") or _marked(array, r"register"):
        return REGISTERS
    return Storage(
        frozenset(), frozenset({len(array.sizes) - 1}) if len(array.sizes) > 1 else frozenset(), None, 1, None
    )


STORAGES: Mapping[str, Callable[[Array, str], Storage]] = MappingProxyType(
    {"vivado": _amd, "vitis": _amd, "catapult": _catapult, "libero": _smarthls, "quartus": _intel, "oneapi": _intel}
)
"""By dialect, from an array and the tool's script."""


def is_wired(accesses: Iterable[Access]) -> bool:
    """Return True if all places are known before hardware is made."""
    return not any(index.symbols for access in accesses for index in access.indices)


def port_cycles(storage: Storage, array: Array, accesses: Sequence[Access]) -> int:
    """Cycles between steps that the ports of an array allow."""
    if storage.registers or (array.role == "constant" and is_wired(accesses)):
        return 1
    touched: dict[tuple[Index, ...], tuple[set[tuple[Index, ...]], set[tuple[Index, ...]]]] = {}
    for access in accesses:
        bank = tuple(index for axis, index in enumerate(access.indices) if axis in storage.split)
        word = tuple(
            Index(0) if axis in storage.joined and not index.symbols else index
            for axis, index in enumerate(access.indices)
            if axis not in storage.split
        )
        touched.setdefault(bank, (set(), set()))[access.is_write].add(word)
    return max(_cycles(storage, len(reads), len(writes)) for reads, writes in touched.values())


def _cycles(storage: Storage, reads: int, writes: int) -> int:
    needs = [1]
    for uses, most in ((reads, storage.reads), (writes, storage.writes), (reads + writes, storage.ports)):
        if most:
            needs.append(-(-uses // most))
    return max(needs)


def feedback_cycles(storage: Storage, array: Array, operations: int) -> int:
    """Cycles between steps that the way from what a step finds in an array back into it allows."""
    cycles = max(1, -(-operations // _CHAINED))
    independent = storage.apart or any(
        re.search(r"DEPENDENCE\b.*\bfalse|dependent\(false\)|ivdep", mark) for mark in array.marks
    )
    return cycles if storage.registers or independent else cycles + 1
