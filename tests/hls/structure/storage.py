"""The cycles between steps that memories allow.

In: the memories that a tool makes of an array, and what a step touches of it. Out: the cycles that their ports need for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.hls.structure.tools import Array, Storage
from tests.hls.structure.values import Access, Index

_CHAINED = 2
"""Operations of numbers that fit into a cycle, one after another: a bound with room, since periods differ."""


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


def feedback_cycles(storage: Storage, operations: int) -> int:
    """Cycles between steps that the way from what a step finds in an array back into it allows."""
    cycles = max(1, -(-operations // _CHAINED))
    return cycles if storage.registers or storage.apart else cycles + 1
