"""The dialects, by the names that users write: each module of this package that has a ``DIALECT`` adds one."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType

from bitsmith.hls.dialects.dialect import Dialect
from bitsmith.hls.dialects.spelling import Family


def _found() -> Iterator[Dialect]:
    for module in pkgutil.iter_modules(__path__):
        dialect = getattr(import_module(f"{__name__}.{module.name}"), "DIALECT", None)
        if isinstance(dialect, Dialect):
            yield dialect


DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _found()})

__all__ = ["DIALECTS", "Dialect", "Family"]
