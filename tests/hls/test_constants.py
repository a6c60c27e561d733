"""Constants of generated code as text: headers, and the same numbers in decimal."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.hls import HlsTarget, write
from bitsmith.hls.constants import array, decimals
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, objects


@given(st.lists(st.integers(-(2**90), 2**90) | st.integers(-9, 9), min_size=1), st.integers(-40, 100))
def test_decimals_are_exact(values: list[int], frac: int) -> None:
    texts = decimals(np.array(values, dtype=np.object_), frac)
    assert [Fraction(text) for text in texts] == [Fraction(value) / Fraction(2) ** frac for value in values]
    for text in texts:
        assert re.fullmatch(r"0|-?(0|[1-9]\d*)(\.\d*[1-9])?", text)


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


def test_a_million_weights_take_seconds() -> None:
    values = np.random.default_rng(0).integers(-(2**15), 2**15, 1_000_000)
    started = time.process_time()
    assert len(decimals(values, 14)) == 1_000_000
    assert array("weights", values).count(",") == 1_000_000 - 1
    assert time.process_time() - started < 10
