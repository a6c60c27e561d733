"""Programs of several samples give what programs of one do, whatever their ops; recurrences are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.check import check
from bitsmith.ir.program import Program
from bitsmith.passes.program.in_batches import in_batches
from tests.properties import convolutional, transformers
from tests.properties.programs import random_program, random_stimuli
from tests.properties.recurrent import random_network as recurrent

SEEDS = st.integers(0, 1 << 32)


def assert_alike(program: Program, samples: int, seed: int) -> None:
    many = in_batches(program, samples)
    check(many)
    stimuli = random_stimuli(program, seed, 2 * samples)
    together = [raw.reshape(2, samples, *raw.shape[1:]) for raw in stimuli]
    pairs = zip(Emulator(program).run_raw(stimuli), Emulator(many).run_raw(together), strict=True)
    for output, other, (one, several) in zip(program.outputs, many.outputs, pairs, strict=True):
        np.testing.assert_array_equal(one, several.reshape(one.shape))
        have, want = (each.nodes[end.node].type for each, end in ((many, other), (program, output)))
        assert have.shape == (samples, *want.shape)
        for part, alone in zip(have.full(), want.full(), strict=True):
            np.testing.assert_array_equal(part, np.broadcast_to(alone, have.shape))


@given(SEEDS, st.integers(2, 4))
def test_any_ops(seed: int, samples: int) -> None:
    program = random_program(seed, parameters=seed % 4 == 0)
    if any(isinstance(node.op, ops.Scan) for node in program.nodes):
        return
    assert_alike(program, samples, seed)


@pytest.mark.parametrize("seed", range(4))
def test_convolutions_and_attention(seed: int) -> None:
    assert_alike(convolutional.random_network(seed), 3, seed)
    assert_alike(transformers.transformer(seed), 2, seed)


def test_recurrences_are_refused_by_name() -> None:
    program = recurrent(0)
    (name, *_) = [node.layer for node in program.nodes if isinstance(node.op, ops.Scan)]
    with pytest.raises(UnsupportedError, match=f"layer '{name}': a batch of 2 samples for a recurrence"):
        in_batches(program, 2)
