"""The solver of adder graphs in C++ (``native/``), where a compiler was there when the package was installed.

In and out: arrays of integers. Values that do not fit its 64-bit words are refused.
"""

import importlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import IntArray, machine
from bitsmith.netlist.adders import InputRange
from bitsmith.netlist.csd import count_digits

_VALUE_LIMIT = 1 << 60
_DIGIT_LIMIT = 1 << 23
_ARRIVAL_LIMIT = 30


class _Solve(Protocol):
    def __call__(
        self,
        weights: npt.NDArray[np.int64],
        inputs: npt.NDArray[np.int64],
        pair_limit: int,
        effort: int,
        most_steps: int,
        extra_depth: int,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return rows of (a, b, shift_a, shift_b, subtract) and of (node or -1, shift, negate)."""
        ...


def _installed() -> _Solve | None:
    try:
        solver: _Solve = importlib.import_module("bitsmith.netlist._solver").solve
    except ImportError:
        return None
    return solver


SOLVE = _installed()
"""The compiled function, None where there is none."""


def solve(
    weights: IntArray, inputs: Sequence[InputRange], settings: tuple[int, int, int, int]
) -> tuple[list[list[int]], list[list[int]]] | None:
    """Return the rows of adders and of outputs of a graph, None without the compiled solver or if its words are too short.

    ``settings`` are the limit of pairs, the effort, the most steps, and the extra depth, -1 for any.
    """
    short = machine(weights)
    if SOLVE is None or short is None or not _fits(short, inputs):
        return None
    table = np.array([(i.lo, i.hi, i.arrival) for i in inputs], dtype=np.int64).reshape(-1, 3)
    adders, outputs = SOLVE(np.ascontiguousarray(short), table, *settings)
    return adders.tolist(), outputs.tolist()


def _fits(weights: npt.NDArray[np.int64], inputs: Sequence[InputRange]) -> bool:
    """Return True if no value of a graph, no count and no time is too large for the solver's words.

    A node is a part of the digits of a column, shifted; the digits of a weight sum to less than twice its magnitude, and the
    search may double those of a column.
    """
    lows, highs = weights.min(axis=1, initial=0).tolist(), weights.max(axis=1, initial=0).tolist()
    ranges = [max(abs(i.lo), abs(i.hi)) + 1 for i in inputs]
    bound = sum(8 * max(-low, high) * each for low, high, each in zip(lows, highs, ranges, strict=True))
    late = max((i.arrival for i in inputs), default=0) > _ARRIVAL_LIMIT
    return not late and max(bound, *ranges, 0) < _VALUE_LIMIT and int(count_digits(weights).sum()) < _DIGIT_LIMIT
