"""Integers of any width and exact decimal text in C++, against Python's integers and decimal numbers.

Integers are computed where the compiler computes them, which refuses whatever is undefined.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Context, Decimal
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest

from bitsmith.hls.dialects.spelling import AC, AP
from tests.hls.test_csim_types import OURS, STRICT, Format

CHECKED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS")
KERNELS = OURS.parent / "bitsmith"
EXACT = Context(prec=2000, Emax=10**6, Emin=-(10**6))

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def output(folder: Path, source: str, stdin: str = "") -> list[str]:
    """The lines that a checked program writes."""
    (folder / "program.cpp").write_text(source)
    command = ["g++", "-std=c++17", *STRICT, *CHECKED, f"-I{OURS}", f"-I{KERNELS}", "-o", "program", "program.cpp"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[:4000]
    done = subprocess.run(
        ["./program"], cwd=folder, input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[:4000]
    return done.stdout.splitlines()


def limbs(value: int, count: int) -> str:
    """A C++ constant of ``count`` limbs, of which a larger value fills the lower ones."""
    words = (f"0x{value >> 64 * k & (1 << 64) - 1:x}u" for k in range(count))
    return f"of<{count}>({{{', '.join(words)}}})"


def wrapped(value: int, bits: int) -> int:
    """The number of two's complement that has the lowest ``bits`` of ``value``."""
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def drawn(rng: random.Random, bits: int) -> int:
    """A number of at most so many bits, often one at an end, or with few ones."""
    size = rng.randint(1, bits)
    ends = (0, -1, 1, (1 << size - 1) - 1, -(1 << size - 1), wrapped(1 << rng.randrange(bits), bits))
    return rng.choice((rng.choice(ends), wrapped(rng.getrandbits(size), bits), wrapped(rng.getrandbits(bits), bits)))


def facts(rng: random.Random, count: int) -> Iterator[str]:
    """What holds of integers of ``count`` limbs."""
    bits = 64 * count
    for _ in range(10):
        a, b = drawn(rng, bits), drawn(rng, bits)
        near = wrapped(a ^ 1 << rng.randrange(bits), bits)
        x, y, z = limbs(a, count), limbs(b, count), limbs(near, count)
        results = {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b}
        yield from (f"({x} {sign} {y}) == {limbs(value, count)}" for sign, value in results.items())
        yield from (f"{sign}{x} == {limbs(value, count)}" for sign, value in {"-": -a, "~": ~a}.items())
        yield from (f"({x} < {other}) == {str(a < n).lower()}" for other, n in ((x, a), (y, b), (z, near)))
        yield from (f"{x} == {x}", f"!({x} == {z})", f"{x}.negative() == {str(a < 0).lower()}")
        for n in {0, rng.randrange(bits), 64 * rng.randrange(count), 64 * rng.randrange(1, count) - 1, bits - 1}:
            yield f"shl({x}, {n}) == {limbs(a << n, count)}"
            yield f"shr({x}, {n}) == {limbs(a >> n, count)}"
        for other in (2, 3, 5):
            yield f"wide<{other}>({x}) == {limbs(wrapped(a, bits), other)}"
        small = wrapped(a, 128)
        pair = f"pair(0x{small >> 64 & (1 << 64) - 1:x}u, 0x{small & (1 << 64) - 1:x}u)"
        yield f"static_cast<int128_t>({x}) == {pair}"
        yield f"wide<{count}>({pair}) == {limbs(small, count)}"
        yield f"static_cast<std::uint64_t>(static_cast<std::int64_t>({x})) == 0x{a & (1 << 64) - 1:x}u"
        n = rng.randrange(bits)
        yield f"ones<wide<{count}>>({n}) == {limbs((1 << n) - 1, count)}"


def narrow_facts(rng: random.Random) -> Iterator[str]:
    """What holds of the integers that machines have, and of which type is chosen."""
    for size, kind in ((64, "std::int64_t"), (128, "int128_t")):
        for _ in range(10):
            a, n = drawn(rng, size), rng.choice((0, size - 1, rng.randrange(size)))
            x = f"static_cast<{kind}>(pair(0x{a >> 64 & (1 << 64) - 1:x}u, 0x{a & (1 << 64) - 1:x}u))"
            for name, value in (("shl", wrapped(a << n, size)), ("shr", a >> n)):
                words = (f"0x{value >> 64 * k & (1 << 64) - 1:x}u" for k in (1, 0))
                yield f"{name}({x}, {n}) == static_cast<{kind}>(pair({', '.join(words)}))"
            yield f"ones<{kind}>({n}) == shl({kind}(1), {n}) - 1" if n < size - 1 else f"ones<{kind}>({n}) > 0"
    for width, kind in ((1, "std::int64_t"), (64, "std::int64_t"), (65, "int128_t"), (128, "int128_t")):
        yield f"std::is_same_v<raw_t<{width}>, {kind}>"
    for width, count in ((129, 3), (192, 3), (193, 4), (256, 4), (257, 5)):
        yield f"std::is_same_v<raw_t<{width}>, wide<{count}>>"
    yield "bits_of<std::int64_t> == 64 && bits_of<int128_t> == 128 && bits_of<wide<3>> == 192"
    yield "max_of(2, 3) == 3 && max_of(3, 2) == 3 && max_of(-1, -2) == -1"


def test_wide_integers_are_those_of_python(tmp_path: Path) -> None:
    rng = random.Random(5)
    doubles = [(value, count) for count in (2, 3, 4) for value in (drawn(rng, 64 * count) for _ in range(12))]
    # Halfway between two numbers, and beside it: the lowest bit of all decides.
    doubles += [(sign * ((53 * 2 + 1) << 180 | low), 4) for sign in (1, -1) for low in (0, 1, 1 << 64, 1 << 127)]
    doubles += [
        (sign * (((1 << 53) + odd) * 2 + 1 << 138 | low), 4) for sign in (1, -1) for odd in (0, 1) for low in (0, 1)
    ]
    claims = [*facts(rng, 2), *facts(rng, 3), *facts(rng, 4), *narrow_facts(rng)]
    source = (
        '#include <cstdio>\n#include "bitsmith_integer.h"\nusing namespace bitsmith;\n'
        "template <int N> constexpr wide<N> of(const std::uint64_t (&words)[N]) {\n"
        "    wide<N> x;\n    for (int k = 0; k < N; ++k) x.limb[k] = words[k];\n    return x;\n}\n"
        "constexpr int128_t pair(std::uint64_t high, std::uint64_t low) {\n"
        "    return static_cast<int128_t>(static_cast<uint128_t>(high) << 64 | low);\n}\n"
        + "".join(f"static_assert({claim});\n" for claim in claims)
        + "int main() {\n"
        + "".join(f'    std::printf("%a\\n", to_double({limbs(value, count)}));\n' for value, count in doubles)
        + "}\n"
    )
    lines = output(tmp_path, source)
    assert [float.fromhex(line) for line in lines] == [float(value) for value, _ in doubles]


def text(raw: int, frac: int) -> str:
    """The exact decimal number ``raw * 2**-frac`` without superfluous zeros."""
    number = EXACT.divide(raw, EXACT.power(2, frac)) if frac >= 0 else EXACT.multiply(raw, EXACT.power(2, -frac))
    whole = format(number, "f")
    return (whole.rstrip("0").rstrip(".") if "." in whole else whole) if raw else "0"


NOT_A_NUMBER = ("-", "nan", "inf", "e5", ".")
FAR_BELOW = "1e-2000000000"
FORMATS = [
    *(Format(1, iwidth, signed) for iwidth in (1, 0, 4, -3) for signed in (False, True)),
    *(Format(8, iwidth, True) for iwidth in (8, 3, 0, -5, 12)),
    *(Format(width, 5, signed) for width in (62, 63, 64, 65, 127, 128, 130) for signed in (False, True)),
    Format(64, 80, True),
    Format(65, -20, True),
]


def numbers(rng: random.Random, form: Format) -> list[str]:
    """Decimal texts of many forms: on the grid, beside it, far outside, with exponents, and of no number."""
    step = Fraction(2) ** -form.frac
    values = [text(form.raw(rng.getrandbits(form.width)), form.frac) for _ in range(8)]
    values += [text(sign * (form.raw(rng.getrandbits(form.width)) * 8 + 1), form.frac + 3) for sign in (1, -1)]
    values += [text(sign << form.width, form.frac) for sign in (3, -3, 5)]
    values += [f"{float(step * k / 2):.17e}" for k in (-3, -1, 1, 5)]
    values += ["0", "-0", "+1", "1.", ".5", "-.5", "12e1", "1.25E+2", "-1.25e-2", "100e-2", "-1e-30", FAR_BELOW]
    return [*values, *NOT_A_NUMBER]


def expected(form: Format, number: str) -> str:
    """The number rounded down and without upper bits, as text."""
    if number in NOT_A_NUMBER or number == FAR_BELOW:
        return "0"
    bits = form.bits(floor(Fraction(Decimal(number)) * Fraction(2) ** form.frac))
    return text(form.raw(bits), form.frac)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("family", ["ap", "ac"])
def test_test_benches_read_and_write_exact_numbers(tmp_path: Path, family: str) -> None:
    rng = random.Random(6)
    cases = [(form, numbers(rng, form)) for form in FORMATS]
    source = (
        f'#include <iostream>\n#include "{family}_fixed.h"\n#include "{family}_int.h"\n'
        "#define BITSMITH_INLINE\n#define BITSMITH_LOOP\n#define BITSMITH_UNROLL\n"
        '#include "numbers.h"\n#include "decimal.h"\n'
        "template <class T> void echo(int count) {\n    std::string number;\n"
        "    for (; count > 0 && std::cin >> number; --count) {\n"
        '        std::cout << kernels::to_decimal(kernels::from_decimal<T>(number)) << "\\n";\n    }\n}\n'
        "int main() {\n"
        + "".join(f"    echo<{form.cpp(family)}>({len(own)});\n" for form, own in cases)
        + f'    std::cout << kernels::to_decimal(kernels::from_decimal<{FORMATS[0].cpp(family)}>("")) << "\\n";\n}}\n'
    )
    (tmp_path / "numbers.h").write_text({"ap": AP, "ac": AC}[family].header)
    lines = output(tmp_path, source, "\n".join(number for _, own in cases for number in own) + "\n")
    wanted = [(form, number, expected(form, number)) for form, own in cases for number in own]
    assert [(form, number, line) for (form, number, _), line in zip(wanted, lines, strict=False)] == wanted
    assert lines[len(wanted) :] == ["0"]
