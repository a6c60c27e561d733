"""Constant arrays as C++ text: machine integers up to 64 bits, else 64-bit words, least significant first."""

import textwrap

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import Ints, objects, width_of

_LINE = 116
_WORD = (1 << 64) - 1


def array(name: str, values: Ints | npt.NDArray[np.int64]) -> str:
    """The definition of a constant array called ``name`` that holds ``values`` in row-major order."""
    flat = objects(values).reshape(-1)
    width = _signed_width(flat)
    if width <= 64:
        size = next(bits for bits in (8, 16, 32, 64) if width <= bits)
        return f"static const int{size}_t {name}[{len(flat)}] = {{\n{_wrapped(_literals(flat, size))}\n}};\n"
    count = words(values)
    rows = [f"{{{', '.join(_words(int(value), count))}}}" for value in flat]
    return f"static const uint64_t {name}[{len(flat)}][{count}] = {{\n{_wrapped(rows)}\n}};\n"


def rom(name: str, rows: Ints) -> str:
    """The definition of a constant memory: an array of ``rows``, whose elements have exactly the bits that they need."""
    flat = objects(rows).reshape(-1)
    lo, hi = int(np.min(flat)), int(np.max(flat))
    width = _signed_width(flat)
    shape = "".join(f"[{size}]" for size in rows.shape)
    if width > 64:
        count = words(flat)
        texts = [[f"{{{', '.join(_words(int(value), count))}}}" for value in row] for row in objects(rows)]
        kind, shape = "uint64_t", f"{shape}[{count}]"
    else:
        size = 64 if width > 32 else 32
        kind = f"kernels::stored<{width}>" if lo < 0 else f"kernels::stored_natural<{max(1, width_of(0, hi))}>"
        texts = [_literals(row, size) for row in objects(rows)]
    body = ",\n".join(_row(row) for row in texts)
    return f"static const {kind} {name}{shape} = {{\n{body}\n}};\n"


def _row(items: list[str]) -> str:
    line = ", ".join(items)
    return f"    {{{line}}}" if len(line) < _LINE else f"    {{\n{_wrapped(items)}\n    }}"


def scalar(name: str, value: int) -> str:
    """The definition of one constant."""
    if _signed_width(np.array([value], dtype=np.object_)) <= 64:
        return f"static const int64_t {name} = {_literal(value, 64)};\n"
    parts = _words(value, words(np.array([value], dtype=np.object_)))
    return f"static const uint64_t {name}[{len(parts)}] = {{{', '.join(parts)}}};\n"


def rom_bits(rows: Ints) -> int:
    """Bits of a row of :func:`rom`."""
    return int(rows.shape[1]) * _signed_width(objects(rows).reshape(-1))


def words(values: Ints | npt.NDArray[np.int64]) -> int:
    """64-bit words of each value."""
    return -(-_signed_width(objects(values).reshape(-1)) // 64)


def decimals(values: Ints | npt.NDArray[np.int64], frac: int) -> list[str]:
    """``values * 2**-frac`` in row-major order, as exact decimal numbers without superfluous zeros."""
    flat = objects(values).reshape(-1)
    small = _signed_width(flat) <= 64  # such are sorted much faster
    distinct, places = np.unique(flat.astype(np.int64) if small else flat, return_inverse=True)
    texts = np.array([_decimal(int(value), frac) for value in distinct], dtype=np.object_)
    return list(texts[places])


def _decimal(value: int, frac: int) -> str:
    if frac <= 0:
        return str(value << -frac)
    digits = str(abs(value) * 5**frac).rjust(frac + 1, "0")  # n / 2**frac = n * 5**frac / 10**frac
    return f"{'-' if value < 0 else ''}{digits[:-frac]}.{digits[-frac:]}".rstrip("0").rstrip(".")


def _signed_width(flat: Ints) -> int:
    lo, hi = int(np.min(flat)), int(np.max(flat))
    return width_of(min(lo, -1), hi)


def _literals(flat: Ints, size: int) -> list[str]:
    return [_literal(int(value), size) for value in flat]


def _literal(value: int, size: int) -> str:
    if size == 64:
        # The least value has no literal of its own: its digits without the sign are one too large.
        return f"({value + 1}LL - 1)" if value == -(1 << 63) else f"{value}LL"
    return f"({value + 1} - 1)" if value == -(1 << 31) else str(value)


def _words(value: int, count: int) -> list[str]:
    return [f"0x{(value >> (64 * k)) & _WORD:x}ULL" for k in range(count)]


def _wrapped(items: list[str]) -> str:
    indent = "    "
    if len(items) <= 4096:
        return textwrap.fill(", ".join(items), _LINE, initial_indent=indent, subsequent_indent=indent)
    per_line = 16  # textwrap takes minutes on a million numbers
    lines = [", ".join(items[start : start + per_line]) for start in range(0, len(items), per_line)]
    return ",\n".join(indent + line for line in lines)
