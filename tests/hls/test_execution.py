"""The emulator and the compiled C++ agree on random programs and on every mode of casts, to the last bit.

Random programs are those for hardware: casts wrap in ranges of number formats only, as the C++ writer demands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.hls import HlsTarget, write
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.properties import JUDGED
from tests.properties.programs import random_program
from tests.system.test_random_networks import random_network

EACH_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)


def compiled(names: Iterable[str], fast: str) -> pytest.MarkDecorator:
    """Each of the dialects called ``names``; all but one of them are slow."""
    cases = [pytest.param(DIALECTS[name], marks=() if name == fast else JUDGED, id=name) for name in names]
    return pytest.mark.parametrize("dialect", cases)


COMPILED_DIALECT = compiled(DIALECTS, "vitis")
EACH_FAMILY = compiled(("vitis", "catapult"), "catapult")
FEW = (711, 805, 892, 992, 950)
FORMATS = (
    (True, 5, 2),
    (False, 3, -2),
    (True, 1, 0),
    (False, 5, 1),
    (True, 3, -2),
    (True, 12, 6),
    (False, 2, 9),
    (True, 6, -9),
)


def programs(seeds: Iterable[int], max_ops: int = 25) -> dict[str, Program]:
    return {f"net{seed}": random_program(seed, max_ops=max_ops, hardware=True) for seed in seeds}


def networks(seeds: range) -> dict[str, Program]:
    """Networks that are not refused, as very few are for values that no table can hold."""
    found = {}
    for seed in seeds:
        with contextlib.suppress(RangeError):
            found[f"net{seed}"] = compile_network(random_network(seed)).program
    assert len(found) > 0.8 * len(seeds)
    return found


def all_casts(formats: Sequence[tuple[bool, int, int]] = FORMATS[:3]) -> Program:
    """Every mode into formats that drop fractional bits, drop integer bits, do both or none, or are no format at all."""
    build = ProgramBuilder()
    signed = build.input("signed", (40,), FixedFormat(True, 9, 4))
    unsigned = build.input("unsigned", (40,), FixedFormat(False, 7, 3))
    outputs = []
    for x in (signed, unsigned):
        for rounding in Rounding:
            for overflow in Overflow:
                for is_signed, width, frac in formats:
                    outputs.append(build.cast(x, FixedFormat(is_signed, width, frac, rounding, overflow)))
                outputs.append(build.cast_to(x, 4, -256, 255, rounding, overflow))  # SAT_SYM has no -256
                # Ranges that hold every value, of one format and of one each, need not be those of number formats.
                outputs.append(build.cast_to(x, 1, -40, 70, rounding, overflow))
                outputs.append(build.cast_to(x, [0, 2] * 20, [-40, -80] * 20, [70, 99] * 20, rounding, overflow))
                if overflow is not Overflow.WRAP:
                    outputs.append(build.cast_to(x, 1, -3, 5, rounding, overflow))
                    outputs.append(build.cast_to(x, [3, -1] * 20, [-20, -3] * 20, [20, 2] * 20, rounding, overflow))
                    if (
                        rounding is Rounding.TRN
                    ):  # a range far beyond the operand, and beyond what its own least bound takes
                        outputs.append(build.cast_to(x, 4, [0, -3] * 20, [1 << 40, 5] * 20, rounding, overflow))
    return build.program([(f"y{k}", y) for k, y in enumerate(outputs)])


@COMPILED_DIALECT
def test_random_programs(tmp_path: Path, dialect: Dialect) -> None:
    assert_equal_to_emulator(programs(FEW), dialect, tmp_path)


@compiled(("vitis", "vivado"), "vitis")
def test_vector_ports(tmp_path: Path, dialect: Dialect) -> None:
    vectors = replace(dialect, arrays=replace(dialect.arrays, parameter=dialect.arrays.vector))
    assert_equal_to_emulator(programs(FEW[:2]), vectors, tmp_path)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_random_networks(tmp_path: Path, dialect: Dialect) -> None:
    """All layers of the project, as they are lowered."""
    assert_equal_to_emulator(networks(range(8)), dialect, tmp_path)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_casts(tmp_path: Path, dialect: Dialect) -> None:
    assert_equal_to_emulator({"casts": all_casts()}, dialect, tmp_path, samples=40)


def test_programs_cover_every_op() -> None:
    nodes = [node for program in programs(FEW).values() for node in drop_dead(program, keep_probes=False).nodes]
    assert len({type(node.op).__name__ for node in nodes}) == 27
    assert max(node.type.max_width for node in nodes) > 64
    assert any(np.ptp(node.type.frac) > 0 for node in nodes)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    include = open_headers(dialect.family)
    assert_equal_to_emulator({"casts": all_casts(FORMATS[:1]), **programs((950,))}, dialect, tmp_path, include=include)


@COMPILED_DIALECT
def test_casts_that_wrap_once(tmp_path: Path, dialect: Dialect) -> None:
    """Ranges of other lengths than powers of two, which values miss by up to their length; by more, they are refused."""
    build = ProgramBuilder()
    x = build.input("x", (40,), FixedFormat(True, 9, 4))
    outputs = [
        build.cast_to(x, 4, lo, hi, Rounding.TRN, Overflow.WRAP) for lo, hi in ((-100, 170), (-170, 85), (0, 300))
    ]
    outputs.append(build.cast_to(x, 2, -40, 30, Rounding.RND, Overflow.WRAP))
    program = build.program([(f"y{k}", y) for k, y in enumerate(outputs)])
    assert_equal_to_emulator({"net": program}, dialect, tmp_path)
    far = build.program([("y", build.cast_to(x, 4, -9, 9, Rounding.TRN, Overflow.WRAP))])
    with pytest.raises(UnsupportedError, match="wraps in a range"):
        write(far, dialect, HlsTarget("net", "part"))


@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
@EACH_DIALECT
def test_random_networks_at_length(tmp_path: Path, dialect: Dialect, share: int) -> None:
    assert_equal_to_emulator(networks(range(100 + 30 * share, 130 + 30 * share)), dialect, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(6))
@EACH_DIALECT
def test_random_programs_at_length(tmp_path: Path, dialect: Dialect, share: int) -> None:
    seeds = range(20_000 + 30 * share, 20_030 + 30 * share)
    cases = programs(seeds, max_ops=40)
    if share == 0:
        cases["casts"] = all_casts(FORMATS)
    assert_equal_to_emulator(cases, dialect, tmp_path)


@pytest.mark.slow
@pytest.mark.spare
@pytest.mark.parametrize("share", range(3))
@EACH_FAMILY
def test_open_headers_at_length(tmp_path: Path, dialect: Dialect, share: int) -> None:
    include = open_headers(dialect.family)
    seeds = range(30_000 + 15 * share, 30_015 + 15 * share)
    cases = programs(seeds)
    if share == 0:
        cases["casts"] = all_casts(FORMATS)
    assert_equal_to_emulator(cases, dialect, tmp_path, include=include)
