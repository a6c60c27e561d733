"""The names of the backends."""

from typing import Literal, TypeAlias, get_args

DialectName: TypeAlias = Literal["vitis", "vivado", "oneapi", "quartus", "catapult", "libero"]
"""A dialect of HLS C++: its record is ``DIALECT`` of the module of that name in :mod:`bitsmith.hls.dialects`."""

Backend: TypeAlias = Literal["rtl"] | DialectName
"""The form of what is generated: SystemVerilog, or C++ in a dialect."""

DIALECT_NAMES: tuple[DialectName, ...] = get_args(DialectName)
BACKENDS: tuple[Backend, ...] = ("rtl", *DIALECT_NAMES)
