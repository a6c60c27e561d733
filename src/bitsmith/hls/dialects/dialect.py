"""The spelling that a vendor's compiler wants. A dialect is one value of this class in a file of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bitsmith.backends import DialectName
from bitsmith.devices.family import Vendor
from bitsmith.hls.dialects.spelling import Arrays, Bench, Family, Roms, Streams
from bitsmith.hls.headers import KERNELS, STREAM_KERNELS
from bitsmith.hls.project import HlsDesign, HlsTarget, Stage
from bitsmith.vendors.figures import Reports


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


@dataclass(frozen=True, slots=True)
class Way:
    """One way to start a tool.

    Args:
        programs: what must be on PATH for it; the first is the tool itself.
        calls: the calls of every stage that it has, by the name of the top function. A stage is started only after those
            that it needs, possibly in a later build, so that it must not do their work again.
    """

    programs: tuple[str, ...]
    calls: Callable[[str], Mapping[Stage, tuple[Call, ...]]]


@dataclass(frozen=True, slots=True)
class Driver:
    """The command that starts a vendor's tool on a project.

    Args:
        tool: its name in messages.
        ways: in order of preference; the first one whose programs are on PATH is taken.
        install: how to get it.
        error_pattern: what its error lines look like, and no others: a stage whose log has one has failed, whatever its
            exit code.
    """

    tool: str
    ways: tuple[Way, ...]
    install: str
    error_pattern: str


@dataclass(frozen=True, slots=True)
class IpTool:
    """The tool that makes an IP of a circuit in C++, for a board's system.

    Args:
        programs: those of which the first on PATH is taken; each with the arguments before the name of a script.
        largest_arrays: most elements of arrays that it cuts into elements, of which the script takes the last that it may have.
        kernels: whether it makes kernels of cards.
    """

    programs: tuple[tuple[str, ...], ...]
    largest_arrays: tuple[int, ...]
    kernels: bool


def no_sources(design: HlsDesign) -> Mapping[str, str]:
    """No files of a design beside the code."""
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A vendor's compiler.

    Args:
        name: as users write it, and as its module is called.
        family: the types it has.
        types: lines that make the types known to it, and to an ordinary compiler with our headers; also what else the
            code needs of it, such as macros that are empty for others.
        part: the device for which projects are made unless users name one.
        vendors: whose parts in :mod:`bitsmith.devices` the tool takes.
        scripts: the tool's project script, first, and its settings.
        driver: how the tool is started.
        streams: processes that pass tokens.
        period_ns: the clock's period unless users name one, on parts that are not in :mod:`bitsmith.devices`.
        before_loop, in_loop: what unrolls a loop, before it or as first line of its body; as an expression that a
            macro may stand for.
        in_kernel: first line of a kernel's body, as such an expression: the kernel becomes part of what calls it, which knows
            the arrays of which the kernel gets parts.
        before_top: lines before the top function.
        in_top, in_layer: first lines of the top function's body, and of a layer's.
        arrays: what makes registers of arrays.
        roms: what makes memories of constant arrays.
        most_bits: of the widest word that an array or a token becomes where the tool is told to make one of it; 0 for any.
        most_products: products of constants in one function above which the tool is known to give up; 0 if nothing is known.
        sources: C++ that only this compiler understands, such as its kind of top function, and what else it is told of a
            design.
        bench: what the test bench has of it.
        reports: what it reports of a project.
        ip: the tool in systems of boards; None if none of them takes it.
    """

    name: DialectName
    family: Family
    types: str
    part: str
    vendors: tuple[Vendor, ...]
    scripts: Callable[[HlsTarget], Mapping[str, str]]
    driver: Driver
    streams: Streams
    period_ns: float
    before_loop: str
    in_loop: str
    in_kernel: str
    before_top: tuple[str, ...]
    in_top: tuple[str, ...]
    in_layer: tuple[str, ...]
    arrays: Arrays
    roms: Roms
    most_bits: int
    most_products: int
    sources: Callable[[HlsDesign], Mapping[str, str]]
    bench: Bench
    reports: Reports
    ip: IpTool | None

    def headers(self, *, streamed: bool = False) -> Mapping[str, str]:
        """``kernels.h``, through which all headers are included, and ``numbers.h``; ``streamed``: with those of streams."""
        streams = self.streams
        macros = [f"#define BITSMITH_LOOP {self.before_loop}", f"#define BITSMITH_UNROLL {self.in_loop}"]
        macros.append(f"#define BITSMITH_INLINE {self.in_kernel}")
        if streamed:
            steps, step = (line.format(interval=1) for line in (streams.before_loop, streams.in_loop))
            macros += [f"#define BITSMITH_STEPS {steps}", f"#define BITSMITH_STEP {step}"]
            macros += ["#define BITSMITH_PRAGMA(text) _Pragma(#text)"] if streams.result else []
            result = f"BITSMITH_PRAGMA({streams.result.removeprefix('#pragma ').format(name='name')})"
            macros.append(f"#define BITSMITH_RESULT(name) {result if streams.result else ''}")
        if streamed:  # what keeps its values from frame to frame
            macros += ["#ifndef BITSMITH_KEPT", "#define BITSMITH_KEPT static", "#endif"]
        lines = (
            f"// What kernels leave open: unrolling and types, as {self.name} has them.",
            *("#ifndef BITSMITH_KERNELS_H", "#define BITSMITH_KERNELS_H", "", "#include <stdint.h>", ""),
            *(self.types, *([streams.types] if streamed else []), "", *(macro.rstrip() for macro in macros), ""),
            *(f'#include "{name}"' for name in ("numbers.h", *KERNELS, *(STREAM_KERNELS if streamed else ()))),
            *("", "#endif", ""),
        )
        return {"kernels.h": "\n".join(lines), "numbers.h": self.family.header}
