"""Samples that are looked at: one of 32, the first among them, from all over each call, none lost and none twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith import FidelityWarning, convert
from bitsmith.fidelity.picks import Picks
from tests.fidelity.test_certificate import linear

SIZES = st.lists(st.sampled_from([1, 2, 3, 31, 32, 33, 64, 100, 1000]), min_size=1, max_size=60)


@given(SIZES)
def test_one_of_so_many_samples_is_looked_at(sizes: list[int]) -> None:
    picks, begin, seen, waiting = Picks(), 0, [], 0
    for size in sizes:
        numbers = np.arange(begin, begin + size)
        begin += size
        found = picks.of([numbers, -numbers])
        due = -(-begin // 32)
        if found is None:
            waiting = due - len(seen)
            assert waiting <= 64
            continue
        taken, others = found
        assert np.array_equal(taken, -others)
        seen += taken.tolist()
        assert len(seen) == due
    assert seen[0] == 0
    assert seen == sorted(set(seen))


@given(st.integers(33, 5000))
def test_those_of_a_call_are_from_its_first_sample_to_its_last(size: int) -> None:
    found = Picks().of([np.arange(size)])
    assert found is not None
    (taken,) = found
    assert (taken[0], taken[-1], len(taken)) == (0, size - 1, -(-size // 32))
    steps = np.diff(taken)
    assert steps.max() - steps.min() <= 1


def test_more_samples_wait_for_each_other_the_more_were_looked_at() -> None:
    picks, looked = Picks(), [0]
    for number in range(32 * 600):
        found = picks.of([np.array([number])])
        if found is not None:
            looked.append(len(found[0]))
    assert looked[1:5] == [1, 1, 1, 1]
    assert looked[1:] == sorted(looked[1:]) and max(looked) == 64
    assert set(looked[1:]) == {1 << k for k in range(7)}


@pytest.mark.parametrize(("result", "looked"), [("fixed<8,4,RND,SAT>", 32), ("fixed<8,4>", 1000)])
def test_all_samples_are_looked_at_only_where_a_format_has_wrapped(result: str, looked: int) -> None:
    config = {"LayerName": {"0": {"Precision": {"result": result}}}}
    model = convert(linear(np.full((1, 1), 1.1)), config=config, input_shape=(1,), strict=True, check=False)
    with pytest.warns(FidelityWarning, match=rf"\({looked} samples looked at"):
        model.predict(np.linspace(-20, 20, 1000)[:, None])
