"""What makes the emulator fast and cannot be seen in its results: quick runs, and rows that do not share lines of the cache."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.emulate.emulator import LEAST_CHUNK, _scattered
from bitsmith.emulate.wiring import _is_view
from bitsmith.emulate.workspace import Array, StoredValue, Workspace
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects


@given(st.integers(1, 1 << 20))
def test_long_rows_are_odd_numbers_of_lines(size: int) -> None:
    """So they begin at many places of the cache."""
    found = _scattered(size)
    assert found == size if size < 2 * LEAST_CHUNK else (found % (2 * LEAST_CHUNK) == LEAST_CHUNK and found <= size)
    assert size - found < 2 * LEAST_CHUNK


@given(st.integers(0, 1 << 32))
def test_a_reshape_is_a_view_where_numpy_copies_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def factors(size: int) -> tuple[int, ...]:
        parts = [1] * int(rng.integers(0, 2))
        while size > 1:
            parts.append(int(rng.choice([n for n in range(2, size + 1) if size % n == 0])))
            size //= parts[-1]
        return tuple(map(int, rng.permutation(parts)))

    size = int(rng.choice([1, 6, 24, 36]))
    shape = factors(size)
    whole = np.zeros((*(2 * n for n in shape), int(rng.integers(1, 4))), dtype=np.float32)
    part = whole[tuple(slice(0, 2 * n, 2) if rng.random() < 0.3 else slice(n) for n in shape)]
    part = part.transpose((*rng.permutation(len(shape)), len(shape))) if rng.random() < 0.3 else part
    part = part if rng.random() < 0.5 else np.ascontiguousarray(part)
    for wanted in (shape, factors(size), (size,)):
        assert _is_view(part, wanted) == np.may_share_memory(part.reshape((*wanted, part.shape[-1])), part)


@pytest.mark.parametrize("samples", [1, 2, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_few_samples_whose_casts_do_not_wrap_are_looked_at_once(
    samples: int, signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what wraps takes the way that looks at each cast."""
    build = ProgramBuilder()
    x = build.input("x", (6,), FixedFormat(signed, 8, 0))
    emulator = Emulator(build.program([("y", build.cast(build.add(x, x), FixedFormat(signed, 8, 0)))]))
    runs: list[Workspace] = []
    run = Workspace.run
    monkeypatch.setattr(Workspace, "run", lambda workspace: (runs.append(workspace), run(workspace)))
    for value, wrapped in ((0.0, 0.0), (63.0, 126.0), (127.0, -2.0 if signed else 254.0)):
        (y,), outside = emulator.run_watched([np.full((samples, 6), value, np.float32)])[:2]
        assert outside == [0] and len(runs) == (wrapped < 0.0)
        np.testing.assert_array_equal(y, np.full((samples, 6), wrapped))


@pytest.mark.parametrize("samples", [1, 8, 100])
def test_rows_of_ones_stand_behind_operands_without_a_copy(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    build = ProgramBuilder()
    hidden = build.input("x", (6,), FixedFormat(True, 8, 4))
    for size in (5, 4, 3):
        made = build.linear(hidden, np.arange(hidden.shape[0] * size).reshape(-1, size) - 7)
        hidden = build.max(build.add(made, build.const(np.arange(size) + 1)), build.const(np.zeros(size, int)))
    emulator = Emulator(build.program([("y", hidden)]))
    copied: list[bool] = []
    with_ones = Workspace.with_ones

    def watched(workspace: Workspace, value: StoredValue) -> Array:
        rows = with_ones(workspace, value)
        copied.append(not np.shares_memory(rows, value.part))
        return rows

    monkeypatch.setattr(Workspace, "with_ones", watched)
    emulator.run([np.ones((samples, 6))])
    assert copied and not any(copied)


@pytest.mark.parametrize(
    ("raw", "leaves"),
    [([[9, 3]], False), ([[3, 9]], True), ([[-11, 0]], True), ([[-10, 5]], False), ([[0, 0], [9, -6]], True)],
)
def test_channels_have_ranges_of_their_own(raw: list[list[int]], leaves: bool) -> None:
    """Which a value is to leave by more than a step."""
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 6, 0))
    y = build.cast_to(x, 0, objects(np.array([-9, -4])), objects(np.array([9, 4])), Rounding.RND, Overflow.SAT)
    program = build.program([("y", y)])
    emulator = Emulator(program, watched=[node.op for node in program.nodes if isinstance(node.op, ops.Cast)])
    (found,), _, left = emulator.run_watched([np.array(raw, dtype=float)])
    np.testing.assert_array_equal(found, np.clip(raw, [-9, -4], [9, 4]))
    assert bool(left.casts) == leaves
