"""The dialects, by the names that users write."""

from collections.abc import Mapping
from types import MappingProxyType

from bitsmith.hls.dialects.catapult import CATAPULT
from bitsmith.hls.dialects.dialect import Dialect, Family
from bitsmith.hls.dialects.vitis import VITIS
from bitsmith.hls.dialects.vivado import VIVADO

DIALECTS: Mapping[str, Dialect] = MappingProxyType({d.name: d for d in (VITIS, VIVADO, CATAPULT)})

__all__ = ["DIALECTS", "Dialect", "Family"]
