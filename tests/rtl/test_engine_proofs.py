"""Bounded proofs of engines: parts of rows and of columns together, and multipliers of two lanes each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.rtl.engines import dense, gathered, parts, proof_parameters
from tests.rtl.stream_proof import counterexample, model
from tests.rtl.test_stream_proofs import ENGINES, assert_proved


@pytest.mark.slow
def test_engine_in_parts_of_rows_and_columns(tmp_path: Path) -> None:
    """Numbers and sums have one bit each, so that the proof is of the places alone: with two it takes more than minutes."""
    grid = (2, 2)
    layers = [parts([[0, 1], [1, 1]], grid, grid, 0, 1), gathered([[1, 0], [0, 1], [1, 1], [1, 0]], grid, grid, 1)]
    parameters, by = proof_parameters(layers, 2, 2, width=1)
    assert_proved(tmp_path, "engine", parameters, by + 3)


@pytest.mark.slow
@pytest.mark.ci
def test_engine_whose_sums_leave_two_at_once(tmp_path: Path) -> None:
    """A pass of a step has two sums, which one in a cycle would not leave before the next ones come."""
    first = replace(dense([[1, -2, -1, 1]], 2, [1, 0, 0, -1], 0, 2), abreast=2)
    parameters, by = proof_parameters([first, dense([[1], [-2], [1], [-1]], 1, [1], 2, 0)], 1, 6)
    assert_proved(tmp_path, "engine", {**parameters, "CHECK": 1}, by + 3)


VISITS = [
    replace(dense([[1, -2], [-1, 1]], 1, [1, 0], 0, 2), loads=2, leaves=True),
    replace(dense([[1]], 1, [1], 0, 1), loads=1),
    dense([[-1]], 1, [0], 1, 0),
]
"""Two numbers make two that leave, before another one makes a last one."""


@pytest.mark.slow
def test_engine_of_two_visits(tmp_path: Path) -> None:
    """Each takes its own tokens of the operand, once what the visit before gives has left."""
    parameters, by = proof_parameters(VISITS, 3, 4, width=1)
    assert parameters["VISITS"] == 2
    assert_proved(tmp_path, "engine", parameters, by + 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("state <= ends_visit ? LOAD : SETUP", "state <= is_last_layer ? LOAD : SETUP"),
        ("assign y_put = core_done & gives", "assign y_put = core_done & is_last_layer"),
        (".finish (flushed & ends_visit)", ".finish (flushed & is_last_layer)"),
    ],
)
def test_visits_that_take_or_give_what_is_not_theirs_are_found(tmp_path: Path, text: str, instead: str) -> None:
    parameters, by = proof_parameters(VISITS, 3, 4, width=1)
    model(tmp_path, "engine", parameters, (text, instead))
    assert "Assert failed" in counterexample(tmp_path, by + 3)


@pytest.mark.slow
@pytest.mark.ci
def test_engine_with_two_lanes_for_a_multiplier(tmp_path: Path) -> None:
    """Weights and numbers of two bits: a product and 1 less have four, two weights together seven."""
    parameters, by = proof_parameters(*ENGINES["lanes"])
    assert_proved(tmp_path, "engine", {**parameters, "ALONE": 0, "SHIFT": 4, "PACKED": 7}, by + 3)
