"""Goals of fits: what has no meaning is rejected, and bounds in time are cycles."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith import Goal
from bitsmith.errors import ConfigError


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ({"lutt": 5}, "did you mean 'lut'"),
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"minimize": "luts"}, "did you mean 'lut'"),
        ({"lut": -1}, "an integer from 0 on"),
        ({"interval": 0}, "an integer from 1 on"),
        ({"loss": "5%"}, "a number from 0 on"),
        ({"loss": float("nan")}, "a number from 0 on"),
        ({"loss": 0.1, "limit": 0.9}, "one of the two"),
        ({"latency": "report"}, "give latency beside the goal"),
        ({"part": 5}, "the part's ordering code"),
    ],
)
def test_goals_without_meaning_are_rejected(goal: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Goal.of(goal)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Goal(lut=np.int64(7), loss=np.float32(0.5)) == Goal(lut=7, loss=0.5)  # type: ignore[arg-type]


def test_names_that_goals_lack_are_rejected_as_python_does() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'lutt'; did you mean 'lut'"):
        Goal(lutt=5)  # type: ignore[call-arg]


def test_bounds_in_time_are_cycles_of_the_clock() -> None:
    goal = Goal(latency_ns=100, latency=30, frames_per_second=1e6, lut=7, fmax=50)
    assert goal.limits(10.0, 1) == {"lut": 7, "latency": 10, "interval": 100, "clock_ps": 20_000}
    assert Goal(latency=3, latency_ns=100).limits(10.0, 1) == {"latency": 3}


@pytest.mark.parametrize(
    ("latency", "cycles", "same"),
    [("50 ns", 10, {"latency_ns": 50.0}), ("7", 7, {"latency": 7}), ("7 cycles", 7, {"latency": 7})],
)
def test_a_latency_may_be_text(latency: str, cycles: int, same: dict[str, float]) -> None:
    assert Goal(latency=latency) == Goal.of({"latency": latency}) == Goal.of(same)
    assert Goal(latency=latency).limits(5.0, 1) == {"latency": cycles}
    assert Goal(latency=latency, latency_ns=20).limits(5.0, 1) == {"latency": 4}
    for other in ({"latency": latency, "latency_ns": "x"}, {"latency": f"={latency}"}, {"latency": "0 ns"}):
        with pytest.raises(ConfigError, match="goal latency"):
            Goal.of(other)
