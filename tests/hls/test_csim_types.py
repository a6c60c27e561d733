"""The C++ numbers for C simulation against the oracle, against Python's integers and against the vendors' headers."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, trunc
from pathlib import Path

import pytest

import bitsmith
from bitsmith.ir.types import Overflow, Rounding
from tests.ir.oracle import bring_inside, round_to_integer

ROOT = Path(bitsmith.__file__).parent
HERE = Path(__file__).parent
OURS = ROOT / "hls/include/csim"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unknown-pragmas")
SANITIZED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
MODES = tuple(itertools.product(Rounding, Overflow))
FAMILIES = ("ap", "ac")
COMPARISONS = 6
VENDOR_FOLDERS = (
    ("ap", "hls4ml/templates/vivado/ap_types"),
    ("ac", "hls4ml/templates/catapult/ac_types/include"),
    ("ac", "hls4ml/templates/quartus/ac_types"),
)

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@dataclass(frozen=True, slots=True)
class Format:
    """A number type of the C++ program."""

    width: int
    iwidth: int
    signed: bool
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    @property
    def frac(self) -> int:
        return self.width - self.iwidth

    def cpp(self, family: str) -> str:
        if family == "ap":
            name = "ap_fixed" if self.signed else "ap_ufixed"
            return f"{name}<{self.width},{self.iwidth},AP_{self.rounding.value},AP_{self.overflow.value}>"
        signed = str(self.signed).lower()
        return f"ac_fixed<{self.width},{self.iwidth},{signed},AC_{self.rounding.value},AC_{self.overflow.value}>"

    def raw(self, bits: int) -> int:
        """The raw value whose two's complement bits, as a natural number, are the lowest of ``bits``."""
        bits %= 1 << self.width
        return bits - (1 << self.width) if self.signed and bits >> (self.width - 1) else bits

    def bits(self, raw: int) -> int:
        return raw % (1 << self.width)

    def cast(self, value: Fraction) -> int:
        """``value`` in this format as bits, by the oracle."""
        lo, hi = (-(1 << self.width - 1), (1 << self.width - 1) - 1) if self.signed else (0, (1 << self.width) - 1)
        rounded = round_to_integer(value * Fraction(2) ** self.frac, self.rounding)
        return self.bits(bring_inside(rounded, lo, hi, self.overflow))

    def real(self, bits: int) -> Fraction:
        return Fraction(self.raw(bits)) / Fraction(2) ** self.frac


def vendor_include(folder: str) -> Path | None:
    """The vendor's headers in an installed hls4ml, of this environment or of one next to the repository's."""
    places = [*map(Path, sys.path), *HERE.parents[1].glob(".venv*/lib/python*/site-packages")]
    return next((place / folder for place in places if (place / folder).is_dir()), None)


def run(folder: Path, main: str, family: str, include: Path, flags: Sequence[str], stdin: str = "") -> list[str]:
    """Output lines of a program made of ``main`` and the shared part."""
    source = folder / "program.cpp"
    shared = (HERE / "csim_program.h").read_text()
    headers = f'#include "{family}_fixed.h"\n#include "{family}_int.h"\n'
    source.write_text(f"{headers}{shared}\nint main() {{\n{main}return 0;\n}}\n")
    program = folder / "program"
    compile_(source, program, include, flags)
    done = subprocess.run([program], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def compile_(source: Path, program: Path, include: Path, flags: Sequence[str]) -> None:
    command = ["g++", "-std=c++17", *flags, f"-I{include}", "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


def small_casts() -> list[tuple[Format, Format]]:
    """Pairs of all formats of up to six bits and all modes.

    The result depends on the difference of the binary points, not on where they are: the source has its own at
    0, 3 or -2 and the target's moves by -7 to 7 from there, differently for each pair, so that all differences occur
    with all modes.
    """
    widths = range(1, 7)
    pairs = []
    differences = random.Random(1)
    for (rounding, overflow), w, s, w2, s2 in itertools.product(MODES, widths, (True, False), widths, (True, False)):
        frac2 = differences.choice((0, 3, -2))
        frac = frac2 + differences.randint(-w2 - 1, w + 1)
        pairs.append((Format(w2, w2 - frac2, s2), Format(w, w - frac, s, rounding, overflow)))
    return pairs


def check_casts(pairs: Sequence[tuple[Format, Format]], lines: Sequence[str]) -> None:
    assert len(lines) == len(pairs)
    for (source, target), line in zip(pairs, lines, strict=True):
        expected = [target.cast(source.real(bits)) for bits in range(1 << source.width)]
        assert [int(word, 16) for word in line.split()] == expected, f"{source} to {target}"


def cast_program(pairs: Sequence[tuple[Format, Format]], family: str) -> str:
    return "".join(f"cast<{source.cpp(family)}, {target.cpp(family)}>();\n" for source, target in pairs)


def double_targets() -> list[Format]:
    """All formats of one, two, three and six bits and all modes."""
    return [Format(w, w // 2, s, q, o) for w, s, (q, o) in itertools.product((1, 2, 3, 6), (True, False), MODES)]


def doubles(target: Format) -> list[Fraction]:
    """All eighths of the last place over twice the range, on either side of 0."""
    return [Fraction(k, 8) / Fraction(2) ** target.frac for k in range(-16 << target.width, (16 << target.width) + 1)]


def double_program(targets: Sequence[Format], family: str) -> str:
    return "".join(f"doubles<{t.cpp(family)}>({-16 << t.width}, {16 << t.width}, {t.frac + 3});\n" for t in targets)


def check_doubles(targets: Sequence[Format], lines: Sequence[str]) -> None:
    for target, line in zip(targets, lines, strict=True):
        assert [int(word, 16) for word in line.split()] == [target.cast(v) for v in doubles(target)], target


@dataclass(frozen=True, slots=True)
class Case:
    """Operands of two formats, a third to cast to, and a count to shift by."""

    a: Format
    b: Format
    to: Format
    shift: int
    values: tuple[tuple[int, int], ...]


def large_cases(count: int, seed: int) -> list[Case]:
    """Random cases of up to 200 bits; widths at and next to the sizes of the words within are preferred."""
    rng = random.Random(seed)

    def number(target: bool) -> Format:
        width = rng.choice([rng.randint(1, 200), rng.randint(1, 32), 31, 32, 33, 63, 64, 65, 127, 128, 129, 192, 193])
        iwidth = rng.randint(-3, width + 3)
        rounding, overflow = rng.choice(MODES) if target else (Rounding.TRN, Overflow.WRAP)
        return Format(width, iwidth, rng.random() < 0.6, rounding, overflow)

    def bits(form: Format) -> int:
        ends = [0, 1, (1 << form.width) - 1, 1 << form.width - 1, (1 << form.width - 1) - 1]
        small = rng.getrandbits(rng.randint(1, form.width))
        return form.bits(rng.choice([*ends, rng.getrandbits(form.width), rng.getrandbits(form.width), small, -small]))

    cases = []
    for _ in range(count):
        a, b = number(False), number(False)
        values = [(bits(a), bits(b)) for _ in range(12)]
        values += [(v, b.bits(int(a.real(v) * Fraction(2) ** b.frac))) for v, _ in values[:4]]  # often equal
        cases.append(Case(a, b, number(True), rng.randint(-5, max(a.width, 6)), tuple(values)))
    return cases


def large_program(cases: Sequence[Case], family: str) -> tuple[str, str]:
    calls, words = "", []
    for case in cases:
        formats = ", ".join(form.cpp(family) for form in (case.a, case.b, case.to))
        calls += f"operations<{formats}>({len(case.values)}, {case.shift});\n"
        words += [f"{a:x} {b:x}" for a, b in case.values]
    return calls, "\n".join(words) + "\n"


def expected_line(case: Case, a_bits: int, b_bits: int) -> list[int]:
    """What ``operations`` prints for one pair: the width and the bits of each result, then the comparisons."""
    a, b = case.a, case.b
    x, y = a.real(a_bits), b.real(b_bits)
    frac = max(a.frac, b.frac)
    mixed_a, mixed_b = b.signed and not a.signed, a.signed and not b.signed
    iwidth = max(a.iwidth + mixed_a, b.iwidth + mixed_b)
    either = a.signed or b.signed
    results = [
        (Format(iwidth + 1 + frac, iwidth + 1, either), x + y),
        (Format(iwidth + 1 + frac, iwidth + 1, True), x - y),
        (Format(a.width + b.width, a.iwidth + b.iwidth, either), x * y),
        (Format(a.width + 1, a.iwidth + 1, True), -x),
        (Format(a.width, a.iwidth, a.signed), x * Fraction(2) ** case.shift),
        (Format(a.width, a.iwidth, a.signed), x / Fraction(2) ** case.shift),
        (case.to, x),
    ]
    line = [part for form, value in results for part in (form.width, form.cast(value))]
    scale = Fraction(2) ** frac
    logic = Format(iwidth + frac, iwidth, either)
    left, right = int(x * scale), int(y * scale)
    line += [logic.bits(left & right), logic.bits(left | right), logic.bits(left ^ right)]
    return [*line, x == y, x != y, x < y, x <= y, x > y, x >= y]


def check_large(cases: Sequence[Case], lines: Sequence[str], *, compare_mixed: bool = True) -> None:
    """Compare with what is expected; without ``compare_mixed`` forget how signed and unsigned numbers compare."""
    got = iter(lines)
    for case in cases:
        kept = None if compare_mixed or case.a.signed == case.b.signed else -COMPARISONS
        for a, b in case.values:
            line = [int(word, 16) for word in next(got).split()]
            assert line[:kept] == expected_line(case, a, b)[:kept], f"{case} {a:x} {b:x}"
    assert next(got, None) is None


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("family", FAMILIES)
def test_the_subset_compiles_without_warnings_and_behaves(tmp_path: Path, family: str) -> None:
    compile_(
        HERE / "csim_subset.cpp", tmp_path / "subset", OURS, ("-O1", *STRICT, *SANITIZED, f"-DFAMILY_{family.upper()}")
    )
    done = subprocess.run([tmp_path / "subset"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.ci
def test_casts_between_small_formats_follow_the_oracle(tmp_path: Path) -> None:
    pairs = small_casts()[::17]
    check_casts(pairs, run(tmp_path, cast_program(pairs, "ap"), "ap", OURS, STRICT))


@pytest.mark.slow
@pytest.mark.ci
def test_doubles_follow_the_oracle(tmp_path: Path) -> None:
    targets = double_targets()[::3]
    check_doubles(targets, run(tmp_path, double_program(targets, "ac"), "ac", OURS, STRICT))


@pytest.mark.slow
@pytest.mark.ci
def test_large_numbers_follow_integer_arithmetic(tmp_path: Path) -> None:
    cases = large_cases(20, seed=2)
    calls, words = large_program(cases, "ac")
    check_large(cases, run(tmp_path, calls, "ac", OURS, STRICT, words))


@pytest.mark.slow
def test_all_casts_between_small_formats_follow_the_oracle(tmp_path: Path) -> None:
    pairs = small_casts()
    check_casts(pairs, run(tmp_path, cast_program(pairs, "ac"), "ac", OURS, STRICT))


@pytest.mark.slow
def test_nothing_is_undefined_behaviour(tmp_path: Path) -> None:
    pairs = small_casts()[::11]
    check_casts(pairs, run(tmp_path, cast_program(pairs, "ap"), "ap", OURS, (*STRICT, *SANITIZED)))
    targets = double_targets()
    check_doubles(targets, run(tmp_path, double_program(targets, "ap"), "ap", OURS, (*STRICT, *SANITIZED)))
    cases = large_cases(120, seed=3)
    calls, words = large_program(cases, "ap")
    check_large(cases, run(tmp_path, calls, "ap", OURS, (*STRICT, *SANITIZED), words))


@pytest.mark.slow
@pytest.mark.parametrize(("family", "folder"), VENDOR_FOLDERS)
def test_the_vendors_headers_follow_the_same_definitions(tmp_path: Path, family: str, folder: str) -> None:
    """In all but what ``bitsmith_fixed.h`` lists; without their assertions, one of which trips over one-bit numbers."""
    include = vendor_include(folder)
    if include is None:
        pytest.skip(f"needs an installed hls4ml with {folder}")
    flags = ("-w", "-DNDEBUG")
    compile_(HERE / "csim_subset.cpp", tmp_path / "subset", include, (*flags, f"-DFAMILY_{family.upper()}"))
    done = subprocess.run([tmp_path / "subset"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    pairs = [(source, target) for source, target in small_casts()[::5] if not is_symmetric_bit(target)]
    check_casts(pairs, run(tmp_path, cast_program(pairs, family), family, include, flags))
    targets = [target for target in double_targets() if not is_symmetric_bit(target)]
    check_doubles(targets, run(tmp_path, double_program(targets, family), family, include, flags))
    cases = large_cases(20, seed=2)
    calls, words = large_program(cases, family)
    check_large(cases, run(tmp_path, calls, family, include, flags, words), compare_mixed=family != "ap")


def is_symmetric_bit(target: Format) -> bool:
    return target.width == 1 and target.signed and target.overflow is Overflow.SAT_SYM


def members(rng: random.Random, family: str) -> Iterator[str]:
    """What holds of numbers of a family by its manual (UG902 of Vivado HLS, the AC datatypes' reference), as constants of C++.

    ap_fixed drops a fraction towards 0 and counts in steps of 1, ac_fixed downwards and in its last places.
    """
    for _ in range(40):
        width = rng.randint(1, 60)
        form = Format(width, rng.randint(-2, width + 2), rng.random() < 0.5)
        raw = form.raw(
            rng.choice([0, 1, 1 << width - 1, (1 << width) - 1, rng.getrandbits(width), rng.getrandbits(width)])
        )
        value = Fraction(raw) / Fraction(2) ** form.frac
        x = f"{form.cpp(family).partition(',' + family.upper())[0]}>::from_raw({raw + (raw < 0)}LL{' - 1' if raw < 0 else ''})"
        whole = trunc(value) if family == "ap" else floor(value)
        yield f"static_cast<bool>({x}) == {str(raw != 0).lower()} && !{x} == {str(raw == 0).lower()}"
        signed, unsigned = {32: "int", 64: "std::int64_t"}, {32: "unsigned", 64: "std::uint64_t"}
        for size in (32, 64):
            bits = whole % (1 << size)
            yield f"static_cast<{unsigned[size]}>(static_cast<{signed[size]}>({x})) == {bits}u"
            yield f"static_cast<{unsigned[size]}>({x}) == {bits}u"
        yield f"static_cast<unsigned>({x}.to_int()) == {whole % (1 << 32)}u && {x}.to_uint() == {whole % (1 << 32)}u"
        yield f"{x}.to_uint64() == {whole % (1 << 64)}u && {x}.length() == {width}"
        high, low = sorted((rng.randrange(width), rng.randrange(width)), reverse=True)
        size = high - low + 1
        yield f"{x}.get_bits({high}, {low}) == {form.bits(raw) >> low & (1 << size) - 1}LL"
        put = rng.getrandbits(size)
        mask = (1 << size) - 1 << low
        yield f"after_bits({x}, {high}, {low}, {put}LL) == {form.raw(form.bits(raw) & ~mask | put << low)}"
        step = Fraction(1) if family == "ap" else 1 / Fraction(2) ** form.frac
        for name, result in (("++", value + step), ("--", value - step)):
            yield f"stepped{'_up' if name == '++' else '_down'}({x}) == {form.raw(form.cast(result))}"
            yield f"kept{'_up' if name == '++' else '_down'}({x}) == {raw}"


@pytest.mark.parametrize("family", FAMILIES)
def test_members_of_numbers_follow_the_manuals(tmp_path: Path, family: str) -> None:
    helpers = """
    template <class T> constexpr std::int64_t after_bits(T x, int high, int low, std::int64_t v) {
        x.set_bits(high, low, v);
        return x.raw();
    }
    template <class T> constexpr std::int64_t stepped_up(T x) { ++x; return x.raw(); }
    template <class T> constexpr std::int64_t stepped_down(T x) { --x; return x.raw(); }
    template <class T> constexpr std::int64_t kept_up(T x) { return (x++).raw(); }
    template <class T> constexpr std::int64_t kept_down(T x) { return (x--).raw(); }
    """
    claims = "".join(f"static_assert({claim});\n" for claim in members(random.Random(4), family))
    source = tmp_path / "program.cpp"
    source.write_text(f'#include <cstdint>\n#include "{family}_fixed.h"\n{helpers}\n{claims}\nint main() {{}}\n')
    compile_(source, tmp_path / "program", OURS, STRICT)
