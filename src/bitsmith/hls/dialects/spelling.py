"""Parts of dialects: the spelling of numbers, arrays in registers, streams and test benches in a vendor's C++."""

import re
from dataclasses import asdict, dataclass, field

from bitsmith.hls.headers import kernel
from bitsmith.hls.scalar import Scalar
from bitsmith.ir.types import Overflow, Rounding


@dataclass(frozen=True, slots=True)
class Family:
    """A family of arbitrary-precision types.

    Args:
        signed, unsigned: a fixed-point type of ``{width}`` bits, ``{integer}`` of them integer bits, with ``{modes}``.
        mode: how each mode of rounding and overflow is appended, by its ``{mode}``.
        integer, natural: an integer of ``W`` bits with a sign, and one without.
        integer_bits: the member of a fixed-point type that has its integer bits.
        raw: statements of ``kernels::raw``, which return the bits of ``x`` as a number.
        from_integer: statements of ``kernels::from_integer``, which return the number with the low bits of ``n``.
    """

    signed: str
    unsigned: str
    mode: str
    integer: str
    natural: str
    integer_bits: str
    raw: str
    from_integer: str

    def fixed(self, scalar: Scalar, modes: tuple[Rounding, Overflow] | None = None) -> str:
        """The C++ type of ``scalar``; ``modes`` apply to what is assigned to it (truncate and wrap without them)."""
        suffix = "".join(self.mode.format(mode=mode.value) for mode in modes or ())
        spelling = self.signed if scalar.signed else self.unsigned
        return spelling.format(width=scalar.width, integer=scalar.integer, modes=suffix)

    @property
    def header(self) -> str:
        """The kernel header that gives ``kernels::integer``, ``format``, ``raw`` and ``from_integer``."""
        words = {
            "fixed": self.signed.partition("<")[0],
            "int": self.integer.partition("<")[0],
            "wider": self.signed.format(width="T::width + 1", integer=f"T::{self.integer_bits} + 1", modes=""),
            **asdict(self),
        }
        return re.sub("@([a-z_]+)@", lambda word: words[word[1]], kernel("numbers.h"))


AP = Family(
    signed="ap_fixed<{width}, {integer}{modes}>",
    unsigned="ap_ufixed<{width}, {integer}{modes}>",
    mode=", AP_{mode}",
    integer="ap_int<W>",
    natural="ap_uint<W>",
    integer_bits="iwidth",
    raw="""\
    const typename format<T>::wider wide = x;
    const ap_uint<format<T>::width + 1> bits = wide.range(format<T>::width, 0);
    return bits;""",
    from_integer="""\
    const ap_uint<format<T>::width> bits = n;
    T x = 0;
    x.range(format<T>::width - 1, 0) = bits;
    return x;""",
)
AC = Family(
    signed="ac_fixed<{width}, {integer}, true{modes}>",
    unsigned="ac_fixed<{width}, {integer}, false{modes}>",
    mode=", AC_{mode}",
    integer="ac_int<W, true>",
    natural="ac_int<W, false>",
    integer_bits="i_width",
    raw="""\
    const typename format<T>::wider wide = x;
    return wide.template slc<format<T>::width + 1>(0);""",
    from_integer="""\
    const integer<format<T>::width + 1> bits = n;
    typename format<T>::wider wide = 0;
    wide.set_slc(0, bits);
    return wide;""",
)


@dataclass(frozen=True, slots=True)
class Arrays:
    """The spelling of an array in registers, all elements at once; ``{name}`` is the array's.

    What is known of an array of the caller's goes for the functions that get it as an argument too. Constants that are read
    at constant places, once loops are unrolled, are no memories: they need nothing.

    Args:
        before, after: lines around its declaration.
        qualifier: what the declaration starts with.
        parameter: a line at the head of the top function for each array that is a parameter of it.
        vector: lines instead of it where each such array is one port, with a signal that it is valid; empty if there is none.
    """

    before: str = ""
    after: str = ""
    qualifier: str = ""
    parameter: str = ""
    vector: str = ""

    @property
    def vectors(self) -> bool:
        """True if each array that is a parameter of the top function is one port."""
        return bool(self.vector) and self.parameter == self.vector

    def declared(self, name: str, declaration: str, size: int) -> list[str]:
        """Lines that declare the array called ``name`` of ``size`` elements; one element is a register anyway."""
        before, after = (line.format(name=name) if size > 1 else "" for line in (self.before, self.after))
        return [line for line in (before, f"{self.qualifier}{declaration};", after) if line]

    def head(self, parameters: tuple[str, ...]) -> list[str]:
        """Lines at the head of the top function."""
        return [self.parameter.format(name=name) for name in parameters if self.parameter]


_FEW_PLACES = 64
"""Places of the largest memory that is not made of blocks."""


@dataclass(frozen=True, slots=True)
class Roms:
    """The spelling of constants that are read at variable places, ``{name}[rows][words]``.

    Lines stand at the head of the function that reads them, but for those before the definition.

    Args:
        before_words, before_tables: a line before the definition of words that are read a row at a time, or of tables.
        word: a line where all words of a row are read at once, so that they are one wide word.
        banks: a line where each row is a table of its own, read apart from the others.
        small, large: a line that says what the memory is made of, if it has few places, up to `_FEW_PLACES`, or more.
    """

    before_words: str = ""
    before_tables: str = ""
    word: str = ""
    banks: str = ""
    small: str = ""
    large: str = ""

    def words(self, name: str, places: int) -> list[str]:
        """Lines for a memory of ``places`` wide words."""
        return self._lines(name, self.word, places)

    def tables(self, name: str, tables: int, places: int) -> list[str]:
        """Lines for ``tables`` of ``places`` entries each."""
        return self._lines(name, self.banks if tables > 1 else "", places)

    def _lines(self, name: str, shape: str, places: int) -> list[str]:
        storage = self.small if places <= _FEW_PLACES else self.large
        return [line.format(name=name) for line in (shape, storage) if line]


@dataclass(frozen=True, slots=True)
class Bench:
    """Lines of the test bench that only the vendor's compiler knows; ``{top}`` is the name of the top function.

    Args:
        include: a line before all others.
        call: what is called in place of the top function, with its arguments.
        main: the head of the main function.
        leave: how it ends, with the exit code ``{code}``.
        whole: whether what is called takes whole tensors even where the top function takes streams.
    """

    include: str = '#include "firmware/{top}.h"'
    call: str = "{top}"
    main: str = "int main()"
    leave: str = "return {code};"
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Loops:
    """Pipelines that a tool makes of the loops of processes. Depths of FIFOs follow from it.

    Args:
        flush: a pipeline hands on what is in it while it waits for tokens. Else it stands still as a whole.
        rewind: the first step of the next frame follows on the last step. Else the pipeline runs empty in between.
        function: a line at the head of a process that has one step, for a pipeline of frames that does both, one every
            ``{interval}`` cycles.
        outside: that line stands before the process instead.
    """

    flush: bool
    rewind: bool
    function: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Streams:
    """The spelling of processes that run at once, and of the streams of tokens between them.

    ``{token}`` is the type of a token, ``{depth}`` the slots of a stream, ``{type}`` and ``{name}`` are the stream's own.

    Args:
        types: lines that make streams known to the vendor's compiler, and to an ordinary one with our headers.
        type: a stream between processes.
        input, output: a stream that the top function takes from outside, or gives; as ``type`` if empty.
        parameter: a parameter of a process, or of the top function.
        known: a line at the head of a process for each of its streams where these are no parameters, because their
            types say which they are.
        arrays: the top function may take arrays; if not, it takes streams of one token, which has all elements.
        sequential: processes run one after another, so that each stream has slots for a frame and is global.
        declaration: a stream.
        qualifier, after: what the declaration of a stream between processes starts with, and lines after it.
        port: a line at the head of the top function for each stream that is a parameter of it.
        port_bits: of the widest token that such a parameter of the top function may have, its elements filled up to bytes; 0
            for any. Wider tokens come in beats.
        most_bits: of the widest token between processes, its elements side by side; 0 for any. Wider ones are beats, too.
        before_top, in_top: lines before the top function, and at the head of its body.
        before_process: lines before a process.
        in_function: lines at the head of a token function, which is part of the process that calls it.
        before_loop, in_loop: what lets a loop begin a step every ``{interval}`` cycles, before it or as first line of its
            body.
        in_nested: ``in_loop`` of a loop within another one, where that differs.
        loops: what pipelines such loops become.
        result: a line after the declaration of the token ``{name}``.
        rows: the spelling of a memory ``[places][elements]`` of which a step reads and writes all elements of a place.
        banks: that of one of which a step reads or writes some neighbors in a place.
        apart: a line before a loop that reads a place of the memory ``{name}`` again only ``{steps}`` steps after writing it.
        reset: a line after a variable ``{name}`` that is static, where a reset would leave it as it is.
        apart_inside: the line is the first one in a loop that is within another one, of which it would else be said.
        frames: what the body of a process stands in, as a block; it handles a frame.
        start: the call of process ``{function}`` with ``{arguments}``; ``{name}`` is free for what it needs.
    """

    types: str
    type: str
    arrays: bool
    sequential: bool
    port_bits: int
    most_bits: int
    reset: str
    loops: Loops
    input: str = ""
    output: str = ""
    parameter: str = "{type} &{name}"
    known: str = ""
    declaration: str = "{type} {name};"
    qualifier: str = ""
    after: str = ""
    port: str = ""
    before_top: tuple[str, ...] = ()
    in_top: tuple[str, ...] = ()
    before_process: tuple[str, ...] = ()
    in_function: tuple[str, ...] = ()
    before_loop: str = ""
    in_loop: str = ""
    in_nested: str = ""
    result: str = ""
    rows: Arrays = field(default=Arrays())
    banks: Arrays = field(default=Arrays())
    apart: str = ""
    apart_inside: bool = False
    frames: str = ""
    start: str = "{function}({arguments});"

    def declared(self, type_name: str, name: str, depth: int) -> str:
        """The declaration of the stream called ``name``."""
        return self.declaration.format(type=type_name, name=name, depth=depth)

    def between(self, type_name: str, name: str, depth: int) -> list[str]:
        """Lines that declare a stream between processes."""
        after = self.after.format(name=name, depth=depth).splitlines()
        return [f"{self.qualifier}{self.declared(type_name, name, depth)}", *after]
