"""What a vendor's compiler wants spelled its own way. A dialect is one value of this class in a file of its own."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bitsmith.hls.project import HlsTarget, Stage
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


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a program, in the project's folder.

    Args:
        argv: the program, by its name on PATH or as ``./path`` of what an earlier call made, and its arguments.
        env: variables set besides the inherited ones.
        outputs: files that it leaves, inside the project. A call that ends without one of them has failed.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] = ()


def _no_calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    return {}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to start a tool.

    Args:
        programs: what must be on PATH for it; the first is the tool itself.
        calls: the calls of every stage that it has, by the name of the top function. A stage is started only after those
            that it needs, possibly in a later build, so that it must not do their work again.
    """

    programs: tuple[str, ...]
    calls: Callable[[str], Mapping[Stage, tuple[Call, ...]]] = field(default=_no_calls)


@dataclass(frozen=True, slots=True)
class Driver:
    """How a vendor's tool is started on a project.

    Args:
        tool: its name in messages.
        ways: in order of preference; the first one whose programs are on PATH is taken.
        install: how to get it.
        error_pattern: what its error lines look like, and no others: a stage whose log has one has failed, whatever its
            exit code.
        default: stages that ``build`` runs without being asked where the tool is there.
    """

    tool: str
    ways: tuple[Way, ...]
    install: str
    error_pattern: str
    default: tuple[Stage, ...] = (Stage.SYNTH,)


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
        scripts: the tool's project script, first, and its settings.
        driver: how the tool is started; None where nobody starts it for the user.
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
    driver: Driver | None = None

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
