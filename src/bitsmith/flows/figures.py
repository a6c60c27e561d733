"""Figures that a tool wrote into a file, read with care: whatever the file holds ends in figures or in one error.

In: a path. Out: JSON, and numbers within what a report can say. What they mean is not known here.
"""

import json
import math
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitsmith.base.files import open_file
from bitsmith.errors import ToolFailedError

MOST_BYTES = 1 << 30
"""Most bytes of a file of figures: nextpnr's report of a large design has hundreds of megabytes."""
_MOST = 1 << 53


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Say of any surprise in the block that the tool wrote ``what`` that cannot be read.

    Raises:
        ToolFailedError: with the file that was read.
    """
    try:
        yield
    except (
        OSError,
        ValueError,
        OverflowError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        found = error.strerror if isinstance(error, OSError) and error.strerror else reprlib.repr(error)
        raise ToolFailedError(
            f"the tool wrote {what} that cannot be read: {found}",
            where=str(path),
            remedy="read the log beside it; another version of the tool may write what is expected",
        ) from error


def read_bytes(path: Path) -> bytes:
    """The content of a file that is no pipe and of a size that can be."""
    with open_file(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
    return data


def read_text(path: Path) -> str:
    """Return :func:`read_bytes`, decoded; bytes that are no text are marked as such."""
    return read_bytes(path).decode("utf-8", errors="replace")


def read_json(path: Path) -> Any:
    """The JSON of a file, of any shape: `reading` catches what does not fit."""
    return json.loads(read_bytes(path))


def counted(value: object) -> int:
    """A count: an integer that is not negative, and that floating point holds exactly.

    Raises:
        ValueError: something else.
    """
    number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    if not (0 <= number <= _MOST and number.is_integer()):
        raise ValueError(f"{reprlib.repr(value)} is no count")
    return int(number)


def measured(value: object) -> float:
    """A measured quantity: a finite number that is not negative.

    Raises:
        ValueError: something else.
    """
    number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{reprlib.repr(value)} is no quantity")
    return number
