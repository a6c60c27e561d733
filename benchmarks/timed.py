"""Processor time of a call, for ``adder_graphs.py`` and ``rival_adder_graphs.py``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SHORT = 0.1
_REPEATS = 3


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and its processor time: the least of three where it is short, for others use the machine."""
    least = float("inf")
    for _ in range(_REPEATS):
        start = time.process_time()
        result = call()
        least = min(least, time.process_time() - start)
        if least > _SHORT:
            break
    return result, least
