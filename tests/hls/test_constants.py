"""Constants of generated code as text: headers, and the same numbers in decimal."""

from __future__ import annotations

import ast
import re
import time
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from bitsmith.hls import HlsTarget, write
from bitsmith.hls.constants import array, decimals, rom, rom_bits, scalar
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.scalar import common_raw
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, objects


@given(st.lists(st.integers(-(2**90), 2**90) | st.integers(-9, 9), min_size=1), st.integers(-40, 100))
def test_decimals_are_exact(values: list[int], frac: int) -> None:
    texts = decimals(np.array(values, dtype=np.object_), frac)
    assert [Fraction(text) for text in texts] == [Fraction(value) / Fraction(2) ** frac for value in values]
    for text in texts:
        assert re.fullmatch(r"0|-?(0|[1-9]\d*)(\.\d*[1-9])?", text)


@given(st.lists(st.tuples(st.integers(-3, 3) | st.integers(-(2**70), 2**70), st.integers(-9, 9)), min_size=1))
@example([(1, 5), (1, 2), (3, 0)])
@example([(0, 9), (2, 1)])
def test_constants_of_many_steps_have_one_that_zeros_do_not_decide(parts: list[tuple[int, int]]) -> None:
    raw, frac = (list(column) for column in zip(*parts, strict=True))
    found, kind = common_raw(objects(raw), np.array(frac))
    assert kind.frac == max((f for r, f in parts if r), default=min(frac))
    values = [Fraction(one) / Fraction(2) ** kind.frac for one in found.tolist()]
    assert values == [Fraction(r) / Fraction(2) ** f for r, f in parts]
    assert -(1 << kind.width - kind.signed) * kind.signed <= min(found) <= max(found) < 1 << kind.width - kind.signed


def test_weights_as_text_are_the_constants() -> None:
    rng = np.random.default_rng(0)
    build = ProgramBuilder()
    x = build.input("x", (5,), FixedFormat(True, 6, 3))
    weights, fracs = rng.integers(-128, 128, (5, 7)), rng.integers(-2, 12, (5, 7))
    bias, wide = rng.integers(-9, 9, 7), objects([(1 << 80) + 1, *range(6)])
    with build.layer("fc/1"):
        total = build.add(build.linear(x, weights, fracs), build.const(bias, 4))
    with build.layer("fc_2"):
        result = build.add(total, build.const(wide, 90))
    files = write(build.program([("y", result)]), DIALECTS["vitis"], HlsTarget("net", "part")).files
    texts = {name: [Fraction(part) for part in files[name].split(",")] for name in files if name.endswith(".txt")}
    assert list(texts.values()) == [
        [Fraction(int(w)) / Fraction(2) ** int(f) for w, f in zip(weights.flat, fracs.flat, strict=True)],
        [Fraction(int(b), 16) for b in bias],
        [Fraction(w, 2**90) for w in wide],
    ]
    assert list(texts) == [
        f"firmware/weights/{name}.txt" for name in ("fc_1_weights", "fc_1_constant", "fc_2_constant")
    ]
    raw = re.search(r"fc_1_weights\[35\] = \{([^}]*)\}", files["firmware/weights/fc_1.h"])
    assert raw is not None
    scale = Fraction(1, 2 ** int(fracs.max()))
    assert [int(part) * scale for part in raw[1].split(",")] == next(iter(texts.values()))


WIDTHS = (1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 128, 129)
ENDS = [end for width in WIDTHS for end in ((1 << width - 1) - 1, -(1 << width - 1), 1 << width - 1)]


def numbers_of(text: str) -> list[int]:
    """The numbers of an initializer as a compiler reads them, which has no negative literals; words are joined."""
    body = re.sub(r"\b(\w+?)U?LL\b", r"\1", text[text.index("=") + 1 : text.index(";")])
    body = body.strip().replace("{", "(").replace("}", ",)")
    literals = [int(word, 0) for word in re.findall(r"\b(?:0x[0-9a-f]+|\d+)\b", body)]
    assert not body.startswith("(") or "0x" in body or all(word < 1 << 63 for word in literals)
    flat = list[int]()

    def read(part: object) -> None:
        if isinstance(part, tuple) and "0x" in body and isinstance(part[0], int):
            bits = sum(word << 64 * k for k, word in enumerate(part))
            assert all(0 <= word < 1 << 64 for word in part)
            flat.append(bits - (bits >> 64 * len(part) - 1 << 64 * len(part)))
        elif isinstance(part, tuple):
            for each in part:
                read(each)
        elif isinstance(part, int):
            flat.append(part)

    read(ast.literal_eval(re.sub(r"\((-?\d+) - 1\)", lambda least: str(int(least[1]) - 1), body)))
    return flat


@given(st.lists(st.sampled_from(ENDS) | st.integers(-300, 300), min_size=1))
@example([(1 << 63) - 1])
@example([-(1 << 63)])
@example([1 << 63, -(1 << 31)])
def test_constants_are_machine_integers_as_far_as_these_go(values: list[int]) -> None:
    flat = np.array(values, dtype=np.object_)
    width = max((value if value >= 0 else ~value).bit_length() + 1 for value in values)
    text, table, single = array("x", flat), rom("x", flat.reshape(1, -1)), scalar("x", values[0])
    own = (values[0] if values[0] >= 0 else ~values[0]).bit_length() + 1
    assert numbers_of(text) == numbers_of(table) == values
    assert numbers_of(single) == values[:1]
    machine = next((f"int{size}_t" for size in (8, 16, 32, 64) if width <= size), "uint64_t")
    words = f"[{-(-width // 64)}]" if width > 64 else ""
    assert text.startswith(f"static const {machine} x[{len(values)}]{words} = ")
    assert single.startswith(
        "static const int64_t x = " if own <= 64 else f"static const uint64_t x[{-(-own // 64)}] = "
    )
    kind = f"kernels::stored<{width}>" if min(values) < 0 else f"kernels::stored_natural<{max(1, width - 1)}>"
    assert table.startswith(f"static const {kind if width <= 64 else 'uint64_t'} x[1][{len(values)}]{words} = ")
    assert rom_bits(flat.reshape(1, -1)) == len(values) * width
    # A literal of a machine integer has a type that holds it: the least number is written as a sum.
    assert not re.search(rf"-({1 << 31}\b|{1 << 63})", text + single + table)


def test_a_million_weights_take_seconds() -> None:
    values = np.random.default_rng(0).integers(-(2**15), 2**15, 1_000_000)
    started = time.process_time()
    assert len(decimals(values, 14)) == 1_000_000
    assert array("weights", values).count(",") == 1_000_000 - 1
    assert time.process_time() - started < 10
