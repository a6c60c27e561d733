"""What token networks are described with."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bitsmith.dataflow.engine_layer import EngineLayer
from bitsmith.dataflow.kinds import Sweep
from bitsmith.dataflow.processes import OutputPort, Process
from bitsmith.dataflow.tokens import Stream, period
from bitsmith.ir.ops import Window
from bitsmith.ir.types import TensorType, objects


@pytest.mark.parametrize(
    ("rows", "least"),
    [([7], 1), ([7, 7, 7], 1), ([1, 2, 1, 2], 2), ([1, 2, 1], 3), ([1, 2, 1, 2, 1], 5), ([1, 1, 2, 1, 1, 2], 3)],
)
def test_a_period_is_repeated_whole(rows: list[int], least: int) -> None:
    assert period(np.array(rows)) == least


def numbers(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


def windows(most: int) -> st.SearchStrategy[Window]:
    """Windows of two axes, up to ``most`` of padding."""
    return st.builds(Window, numbers(1, 3), numbers(1, 3), numbers(1, 2), st.tuples(*[numbers(0, most)] * 2))


@given(
    *(windows(2), numbers(5, 7)),
    *(st.integers(-40, 40), st.sampled_from([(1, 1), (3, 1), (4, 2), (6, 3)]), st.integers(1, 3), st.booleans()),
)
def test_engines_reach_every_number_by_steps_from_the_one_before(
    op: Window, grid: tuple[int, int], pitch: int, parts: tuple[int, int], passes: int, apart: bool
) -> None:
    """Window by window, block by block, pass by pass, tap by tap: the word of a number, by what each counter stands for."""
    (channels, blocks), size, before = parts, op.size, [first for first, _ in op.padding]
    own, source, target = channels // blocks, 100, 777
    weights = objects(np.zeros((blocks, passes, size[0] * size[1] * (1 if apart else own), own), np.int64))
    arrays, at = (weights, objects([0]), objects([0])), (source, target, ((0, 1),), apart)
    layer = EngineLayer(
        *("", op, grid, pitch, channels, blocks, *arrays, False, *at, False, None, (1, 1), False, 1, 0, False),
        *(False, 0, None, None, None),
    )
    first, result, *steps = layer.addresses
    along, down, again, block, window, row = steps
    rows, columns = layer.windows
    word, last = first, None
    for counters in product(*map(range, (rows, columns, blocks, passes, size[0], size[1], 1 if apart else own))):
        at_row, at_column, of, _, tap_row, tap_column, number = counters
        if last is not None:
            changed = next(k for k in range(7) if counters[k] != last[k])
            word += (row, window, block, again, down, along, 1)[changed]
        at = (at_row * op.stride[0] + tap_row * op.dilation[0] - before[0]) * pitch
        at += (at_column * op.stride[1] + tap_column * op.dilation[1] - before[1]) * channels
        assert word == source + at + of * own + number
        last = counters
    assert result == target
    assert layer.all_passes == rows * columns * blocks * passes


@given(*(windows(1), numbers(5, 6)), st.sampled_from([(1, 1, 1), (1, 2, 3), (2, 1, 2), (3, 2, 1)]))
def test_sweeps_wait_for_tokens_and_keep_those_that_are_still_read(
    op: Window, grid: tuple[int, int], parts: tuple[int, int, int]
) -> None:
    """By the tokens that each action reads, of windows with a tap inside; without padding nothing is kept for longer."""
    inside = zip(op.padding, op.dilation, op.size, strict=True)
    assume(all(after <= gap * (taps - 1) for (_, after), gap, taps in inside))
    kind = Sweep(op, *parts)
    count = grid[0] * grid[1] * parts[0] * parts[1]
    stream = Stream((*grid, parts[0] * parts[1]), TensorType.of((1,), 0, 0, count))
    process = Process(kind, (OutputPort(0),), (stream,), (stream,))
    read = (
        kind.run(process.takes, process.results, [objects(np.arange(1, count + 1)[:, None])])[0]
        .ravel()
        .astype(np.int64)
    )
    write, sequencer = process.timing(0).sequencers
    needs, freed = (each[0].dense().tolist() for each in (sequencer.needs, sequencer.takes))
    assert (
        write.actions == count
        and sequencer.actions == len(needs) == len(read)
        and (needs[-1], freed[-1]) == (count,) * 2
    )
    assert all(token <= needed for token, needed in zip(read, needs, strict=True))
    later = np.minimum.accumulate(np.where(read == 0, count + 1, read)[::-1])[::-1]
    assert all(gone < token for gone, token in zip(freed[:-1], later[1:], strict=True))
    if not np.any(op.padding):
        first = later[:: kind.reads] - 1
        assert needs[: -kind.reads : kind.reads] == [
            -(-read[k : k + kind.reads].max() // (parts[0] * parts[1])) * parts[0] * parts[1]
            for k in range(0, len(read) - kind.reads, kind.reads)
        ]
        assert freed[kind.reads - 1 : -1 : kind.reads] == first[1:].tolist()
