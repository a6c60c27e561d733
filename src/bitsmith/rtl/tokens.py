"""Layouts of tokens in words of bits, and the wiring that turns one layout into another.

A token's elements are packed from bit 0 up, row-major, each in its own width without gaps, as those of a core's ports do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.ir.types import TensorType
from bitsmith.netlist.netlist import Field


@dataclass(frozen=True, slots=True)
class Element:
    """The format of one element: bits, two's complement or plain binary, fractional bits."""

    width: int
    signed: bool
    frac: int


Layout = Sequence[Element]


def layout(kind: TensorType) -> list[Element]:
    return fields_layout(fields("", kind))


def fields_layout(fields: Sequence[Field]) -> list[Element]:
    """The elements of a core's port."""
    return [Element(field.width, field.signed, field.frac) for field in fields]


def fields(name: str, kind: TensorType) -> tuple[Field, ...]:
    """The elements of a token as fields of a port."""
    frac, lo, hi = (part.reshape(-1).tolist() for part in kind.full())
    return tuple(Field(name, k, lo[k], hi[k], frac[k]) for k in range(len(frac)))


def bits(elements: Layout) -> int:
    return sum(element.width for element in elements)


def uniform(elements: Layout) -> list[Element]:
    """All elements signed and as wide as the widest."""
    width = max(max(element.width + int(not element.signed) for element in elements), 1)
    return [Element(width, True, element.frac) for element in elements]


def converted(name: str, have: Layout, want: Layout, offset: int = 0) -> str:
    """An expression of the bits of ``want`` from the word ``name``, in which the elements of ``have`` are from bit ``offset`` up.

    Values are the same; ``want`` has at least the fractional bits of ``have``, and room for the values that occur.
    """
    parts: list[str] = []
    run: tuple[int, int] | None = None  # neighbors that stay as they are become one slice
    low = offset
    for mine, other in zip(have, want, strict=True):
        plain = mine.frac == other.frac and mine.width == other.width
        if plain:
            run = (run[0], low + mine.width) if run is not None else (low, low + mine.width)
        else:
            if run is not None:
                parts.append(_slice(name, *run))
                run = None
            parts += _element(name, low, mine, other)
        low += mine.width
    if run is not None:
        parts.append(_slice(name, *run))
    return parts[0] if len(parts) == 1 else f"{{{', '.join(reversed(parts))}}}"


def assignment(target: str, source: str, have: Layout, want: Layout) -> list[str]:
    """Lines that assign `converted`, and bits of zeros that it does not read to a wire that nothing reads."""
    lines, spare, low = [f"assign {target} = {converted(source, have, want)};"], list[str](), 0
    for mine, other in zip(have, want, strict=True):
        dropped, zeros, kept = _places(mine, other)
        repeated = mine.signed and mine.width > dropped and other.width > zeros + kept
        read = {*range(dropped, dropped + kept), *([mine.width - 1] if repeated else [])}
        spare += [f"{source}[{low + bit}]" for bit in range(mine.width) if bit not in read]
        low += mine.width
    if spare:
        lines += [f"logic unused_{target};", f"assign unused_{target} = ^{{{', '.join(spare)}}};"]
    return lines


def _slice(name: str, low: int, high: int) -> str:
    return f"{name}[{high - 1}:{low}]" if high > low + 1 else f"{name}[{low}]"


def _element(name: str, low: int, mine: Element, other: Element) -> list[str]:
    """One element's bits, the least significant part first."""
    dropped, zeros, kept = _places(mine, other)
    low, mine = low + dropped, Element(mine.width - dropped, mine.signed, other.frac)
    parts = []
    if zeros:
        parts.append(f"{zeros}'b0")
    if kept:
        parts.append(_slice(name, low, low + kept))
    above = other.width - zeros - kept
    if above and mine.signed and mine.width:
        parts.append(f"{{{above}{{{name}[{low + mine.width - 1}]}}}}")
    elif above:
        parts.append(f"{above}'b0")
    return parts


def _places(mine: Element, other: Element) -> tuple[int, int, int]:
    """The lowest bits of ``mine`` that ``other`` has not, which are 0; the zeros below them there; the bits that both have."""
    dropped = min(max(mine.frac - other.frac, 0), mine.width)
    zeros = min(max(other.frac - mine.frac, 0), other.width)
    return dropped, zeros, min(mine.width - dropped, other.width - zeros)


@dataclass(frozen=True, slots=True)
class CoreResult:
    """A result of a token function: its elements are in ``word`` from bit ``low`` up."""

    word: str
    elements: Layout
    low: int

    def converted(self, want: Layout) -> str:
        """An expression of its elements in another layout."""
        return converted(self.word, self.elements, want, self.low)
