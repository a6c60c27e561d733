"""Progress of long work: each line goes to the logger ``bitsmith``, and to the listener if there is one.

Knows nothing of what is done, nor of terminals.
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from pathlib import Path

LOGGER = logging.getLogger("bitsmith")

Progress = Callable[[str], None]
"""Called with each line."""


class Kind(Enum):
    """Weight of a line."""

    STAGE = "stage"
    """A stage of a build begins or ends."""
    STEP = "step"
    """A step, which matters until the next begins."""
    TOOL = "tool"
    """A line that a tool wrote."""


Listener = Callable[[str, Kind], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell(line: str, kind: Kind = Kind.STEP) -> None:
    """Log a line, and pass it on to the listener."""
    LOGGER.log(logging.DEBUG if kind is Kind.TOOL else logging.INFO, "%s", line.rstrip())
    listener = _LISTENER.get()
    if listener is not None:
        listener(line, kind)


def tell_of_tool(line: str) -> None:
    """Pass on a line that a tool wrote."""
    tell(line, Kind.TOOL)


def heard() -> bool:
    """Return True if there is a listener."""
    return _LISTENER.get() is not None


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Pass all lines on to ``listener`` alone."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the first line outside this package."""
    own, frame, level = f"{Path(__file__).parents[1]}{os.sep}", sys._getframe(), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(own):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
