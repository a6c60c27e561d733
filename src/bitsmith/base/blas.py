"""Threads: those of numpy's linear algebra take up to ten times as long where other programs run too, and gain little.

Whole evaluations of a few samples each gain by all processors.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TypeVar

import numpy  # noqa: F401  # loads the library that is limited
from threadpoolctl import ThreadpoolController

_Item = TypeVar("_Item")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def any_of(holds: Callable[[_Item], bool], items: Sequence[_Item]) -> bool:
    """Return True if something holds for one of ``items``: for the first, as it mostly does, or others on all processors."""
    with one_thread(), ThreadPoolExecutor(cores()) as pool:
        found = any(map(holds, items[:1])) or any(pool.map(holds, items[1:]))
        pool.shutdown(cancel_futures=True)
    return found


def one_thread() -> AbstractContextManager[object]:
    """A context in which matrix products are computed on the thread that asks for them."""
    context: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return context


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """The libraries that are loaded. Looking for them takes a millisecond, and several beside PyTorch."""
    return ThreadpoolController()
