"""The dialects, by the names that users write."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from bitsmith.backends import DIALECT_NAMES, DialectName
from bitsmith.hls.dialects.dialect import Dialect
from bitsmith.hls.dialects.spelling import Family


def _dialect(name: DialectName) -> Dialect:
    dialect = import_module(f"{__name__}.{name}").DIALECT
    assert isinstance(dialect, Dialect) and dialect.name == name
    return dialect


DIALECTS: Mapping[str, Dialect] = MappingProxyType({name: _dialect(name) for name in DIALECT_NAMES})

__all__ = ["DIALECTS", "Dialect", "Family"]
