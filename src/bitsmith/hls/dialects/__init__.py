"""The dialects, by the names that users write."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bitsmith.hls.dialects import catapult, libero, oneapi, quartus, vitis, vivado
from bitsmith.hls.dialects.dialect import Dialect
from bitsmith.hls.dialects.spelling import Family

_MODULES = (catapult, libero, oneapi, quartus, vitis, vivado)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({module.DIALECT.name: module.DIALECT for module in _MODULES})

__all__ = ["DIALECTS", "Dialect", "Family"]
