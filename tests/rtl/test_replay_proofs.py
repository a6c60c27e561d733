"""Bounded proofs of the memory that gives tokens over and over, and of engines that wait for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.engines import proof_parameters
from tests.rtl.stream_proof import counterexample, model
from tests.rtl.test_stream_proofs import ENGINES, assert_proved

pytestmark = pytest.mark.tools


@pytest.mark.parametrize(
    ("alike", "first", "second", "frames", "depth"),
    [
        pytest.param(1, (1, 2), (1, 1), 2, 1, marks=pytest.mark.ci),
        pytest.param(1, (2, 2), (1, 1), 1, 2, marks=pytest.mark.ci),
        pytest.param(2, (1, 2), (1, 1), 2, 2, marks=pytest.mark.ci),
        pytest.param(3, (2, 1), (1, 2), 1, 2, marks=pytest.mark.slow),
        pytest.param(1, (2, 1), (1, 2), 2, 2, marks=pytest.mark.slow),
        pytest.param(1, (2, 1), (2, 2), 1, 3, marks=pytest.mark.slow),
        pytest.param(1, (2, 2), (1, 1), 2, 2, marks=pytest.mark.slow),
    ],
)
def test_replay(
    tmp_path: Path, alike: int, first: tuple[int, int], second: tuple[int, int], frames: int, depth: int
) -> None:
    """Tokens and times of all parts of a frame: each comes in order, none too early, none twice."""
    parts = {name: f"8'h{times}{tokens}" for name, (tokens, times) in (("FIRST", first), ("SECOND", second))}
    reads = sum(tokens * (times + 1) for tokens, times in (*[first] * alike, second))
    by = frames * reads + 4
    asked = {**parts, "ALIKE": alike, "FRAMES": frames, "DEPTH": depth, "BY": by}
    assert_proved(tmp_path, "replay", asked, by + 3)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("blocks", marks=pytest.mark.ci),
        pytest.param("convolution", marks=pytest.mark.ci),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("apart", "dense", "lanes")),
    ],
)
def test_an_engine_that_waits_for_weights(tmp_path: Path, name: str) -> None:
    """Whenever they come, results are the same, in order."""
    parameters, by = proof_parameters(*ENGINES[name])
    assert_proved(tmp_path, "engine", {**parameters, "WAITS": 1}, by + 2)


@pytest.mark.parametrize(
    ("name", "waits"),
    [pytest.param("single", 0, marks=pytest.mark.ci), pytest.param("single", 1, marks=pytest.mark.slow)],
)
def test_an_engine_whose_biases_come(tmp_path: Path, name: str, waits: int) -> None:
    """They are stored before each of two frames, and results have those of the model."""
    parameters, by = proof_parameters(*ENGINES[name], fed=True)
    assert parameters["FED"] == sum(len(layer.bias) for layer in ENGINES[name][0])
    assert_proved(tmp_path, "engine", {**parameters, "WAITS": waits}, by + 3)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("bias_place <= (bias_place == LAST_BIAS) ? '0 : bias_place + 1'b1", "bias_place <= '0"),
        ("else if (finish) fills <= 1'b1", "else if (finish) fills <= 1'b0"),
        ("fills <= bias_place != LAST_BIAS", "fills <= 1'b0"),
    ],
)
def test_biases_that_are_not_stored_are_found(tmp_path: Path, text: str, instead: str) -> None:
    parameters, by = proof_parameters(*ENGINES["single"], fed=True)
    model(tmp_path, "engine", parameters, (text, instead))
    assert "Assert failed" in counterexample(tmp_path, by + 3)


def test_an_engine_that_does_not_wait_is_found(tmp_path: Path) -> None:
    parameters, _ = proof_parameters(*ENGINES["blocks"])
    model(tmp_path, "engine", {**parameters, "WAITS": 1}, ("(w_valid | computes | ~runs)", "1'b1"))
    assert "Assert failed" in counterexample(tmp_path, 20)
