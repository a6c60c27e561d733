"""What token networks are described with."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.dataflow.processes import period


@pytest.mark.parametrize(
    ("rows", "least"),
    [([7], 1), ([7, 7, 7], 1), ([1, 2, 1, 2], 2), ([1, 2, 1], 3), ([1, 2, 1, 2, 1], 5), ([1, 1, 2, 1, 1, 2], 3)],
)
def test_a_period_is_repeated_whole(rows: list[int], least: int) -> None:
    assert period(np.array(rows)) == least
