"""What a vendor's compiler wants spelled its own way. A dialect is one value of this class in a file of its own."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bitsmith.hls.project import HlsTarget
from bitsmith.hls.scalar import Scalar
from bitsmith.ir.types import Overflow, Rounding


class Family(enum.Enum):
    """The two families of arbitrary-precision types; the value names the kernel header that knows them."""

    AP = "numbers_ap.h"
    AC = "numbers_ac.h"

    def fixed(self, scalar: Scalar, modes: tuple[Rounding, Overflow] | None = None) -> str:
        """The C++ type of ``scalar``; ``modes`` apply to what is assigned to it (truncate and wrap without them)."""
        if self is Family.AP:
            name, sign, prefix = "ap_fixed" if scalar.signed else "ap_ufixed", "", "AP"
        else:
            name, sign, prefix = "ac_fixed", f", {'true' if scalar.signed else 'false'}", "AC"
        suffix = "" if modes is None else "".join(f", {prefix}_{mode.value}" for mode in modes)
        return f"{name}<{scalar.width}, {scalar.integer}{sign}{suffix}>"


def _none(name: str) -> tuple[str, ...]:
    return ()


def _no_files(target: HlsTarget) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A vendor's compiler.

    Args:
        name: as users write it.
        family: the types it has.
        before_loop, in_loop: what unrolls a loop, in front of it or as first line of its body; as an expression that a
            macro may stand for.
        before_top, before_layer: lines in front of the function.
        in_top, in_layer: first lines of the function's body.
        in_array: lines behind the declaration of an array, or at the head of the function for a parameter, by its name.
        scripts: the tool's project script and its settings.
    """

    name: str
    family: Family
    before_loop: str = ""
    in_loop: str = ""
    before_top: tuple[str, ...] = ()
    before_layer: tuple[str, ...] = ()
    in_top: tuple[str, ...] = ()
    in_layer: tuple[str, ...] = ()
    in_array: Callable[[str], tuple[str, ...]] = field(default=_none)
    scripts: Callable[[HlsTarget], Mapping[str, str]] = field(default=_no_files)

    def header(self) -> str:
        """The header that all others are included through."""
        return (
            f"// What kernels leave open: unrolling and types, as {self.name} has them.\n"
            "#ifndef BITSMITH_KERNELS_H\n#define BITSMITH_KERNELS_H\n\n"
            "#include <stdint.h>\n\n"
            f"#define BITSMITH_LOOP {self.before_loop}".rstrip()
            + "\n"
            + f"#define BITSMITH_UNROLL {self.in_loop}".rstrip()
            + f'\n\n#include "{self.family.value}"\n\n'
            + "".join(f'#include "{name}"\n' for name in KERNELS)
            + "\n#endif\n"
        )


KERNELS = ("cast.h", "elementwise.h", "linear.h", "reduce.h", "table.h", "wiring.h")
"""Headers that every project includes; none of them names a type family or a vendor."""
