"""The threads of numpy's linear algebra: several take up to ten times as long where other programs run too, and gain little."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache

import numpy  # noqa: F401  # loads the library that is limited
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """A context in which matrix products are computed on the thread that asks for them."""
    context: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return context


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """The libraries that are loaded. Looking for them takes a millisecond, and several beside PyTorch."""
    return ThreadpoolController()
