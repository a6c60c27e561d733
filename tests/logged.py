"""What is logged; pytest's own capture, which each test would pay for, is off (see ``pyproject.toml``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def logged(level: int, name: str = "bitsmith") -> Iterator[list[logging.LogRecord]]:
    """Give what loggers get meanwhile, that called ``name`` from ``level`` on."""
    kept, root, logger = _Kept(), logging.getLogger(), logging.getLogger(name)
    others = [each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    listened = [root, *(each for each in others if not each.propagate)]
    before = logger.level
    for each in listened:
        each.addHandler(kept)
    logger.setLevel(level)
    try:
        yield kept.records
    finally:
        logger.setLevel(before)
        for each in listened:
            each.removeHandler(kept)
