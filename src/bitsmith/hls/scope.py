"""Names, types and constants of a project while its functions are being written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bitsmith.hls import constants
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.names import USED
from bitsmith.hls.project import Memory, Word, WordKind
from bitsmith.hls.scalar import Scalar
from bitsmith.ir.types import Ints, Overflow, Rounding
from bitsmith.rtl.names import Names


@dataclass(frozen=True, slots=True)
class Variable:
    """An array: its name, its type's name, what the type is, and its shape in the program."""

    name: str
    type_name: str
    scalar: Scalar
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def declaration(self) -> str:
        """The array's declarator."""
        return f"{self.type_name} {self.name}[{self.size}]"


@dataclass(slots=True)
class Scope:
    """The contents of the project's namespace: names handed out once, typedefs, and texts of constants per function.

    ``streams`` between processes, with their slots, and ``memories`` are kept for tools that are told of them by name;
    ``words`` are those that the tool does not take.
    """

    dialect: Dialect
    names: Names = field(default_factory=Names)
    typedefs: list[str] = field(default_factory=list)
    constants: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    streams: list[tuple[str, int]] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in USED:
            self.names.unique(name)

    def typedef(self, name: str, scalar: Scalar, modes: tuple[Rounding, Overflow] | None = None) -> str:
        """Declare a type called ``name`` or similar; returns its name."""
        unique = self.names.unique(name)
        self.typedefs.append(f"typedef {self.dialect.family.fixed(scalar, modes)} {unique};")
        return unique

    def named(self, name: str, spelling: str) -> str:
        """Declare a name, called ``name`` or similar, of the type ``spelling``; returns it."""
        unique = self.names.unique(name)
        self.typedefs.append(f"typedef {spelling} {unique};")
        return unique

    def declared(self, variable: Variable) -> list[str]:
        """Lines that declare a local array, its elements in registers."""
        return self.dialect.arrays.declared(variable.name, variable.declaration, variable.size)

    def array(self, function: str, name: str, values: Ints | npt.NDArray[np.int64], frac: int | None = None) -> str:
        """Define a constant array for ``function``, which is read at constant places; returns its name.

        With ``frac``, its values are numbers of the user's times ``2**frac``, which are kept as text too.
        """
        unique = self._constant(function, name, values, frac)
        self.constants.setdefault(function, []).append(constants.array(unique, values))
        return unique

    def rom(self, function: str, name: str, rows: Ints, frac: int) -> str:
        """Declare an ``array`` with ``rows`` of words, read a row at a time, that have exactly the bits that they need."""
        unique = self._constant(function, name, rows, frac)
        self._rom(function, unique, rows, self.dialect.roms.before_words)
        self.memories.append(Memory(unique, width=rows.shape[1]))
        self.word(WordKind.WEIGHTS, function, constants.rom_bits(rows))
        return unique

    def tables(self, function: str, name: str, rows: Ints, readers: int) -> str:
        """Declare a ``rom`` whose ``rows`` are tables, each for as many ``readers``."""
        unique = self._constant(function, name, rows, None)
        self._rom(function, unique, rows, self.dialect.roms.before_tables)
        self.memories.append(Memory(unique, bank=rows.shape[1] if len(rows) > 1 else 0, readers=readers))
        return unique

    def _rom(self, function: str, name: str, rows: Ints, before: str) -> None:
        line = f"{before.format(name=name)}\n" if before else ""
        self.constants.setdefault(function, []).append(line + constants.rom(name, rows))

    def _constant(self, function: str, name: str, values: Ints | npt.NDArray[np.int64], frac: int | None) -> str:
        unique = self.names.unique(f"{function}_{name}")
        if frac is not None:
            self.texts[unique] = ", ".join(constants.decimals(values, frac)) + "\n"
        return unique

    def word(self, kind: WordKind, name: str, bits: int) -> None:
        """Note a word of so many bits, if that is more than the tool takes."""
        most = self.dialect.most_bits
        if 0 < most < bits:
            self.words.append(Word(kind, name, bits, most))

    def number(self, function: str, name: str, value: int) -> str:
        """Define one constant for ``function``; returns its name."""
        unique = self.names.unique(f"{function}_{name}")
        self.constants.setdefault(function, []).append(constants.scalar(unique, value))
        return unique

    def weights(self) -> Mapping[str, str]:
        """Texts of the constants, by function."""
        return {function: "\n".join(texts) for function, texts in self.constants.items()}
