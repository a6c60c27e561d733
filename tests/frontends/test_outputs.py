"""Outputs of a model that a framework runs: one array for each, whatever holds them, of any number of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.outputs import NotComparedError, flat, in_parts
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.layer import Floats

ROWS = [np.arange(6.0).reshape(2, 3) + k for k in range(3)]


@pytest.mark.parametrize("array", [np.asarray, np.float32, torch.tensor, lambda x: torch.tensor(x, requires_grad=True)])
@pytest.mark.parametrize(
    ("held", "count"),
    [
        (lambda a, b, c: a, 1),
        (lambda a, b, c: [a, b], 2),
        (lambda a, b, c: (a, [b, (c,)]), 3),
        (lambda a, b, c: {"y": a}, 1),
        (lambda a, b, c: {"y": [a, b]}, 2),
        (lambda a, b, c: [{"y": a}, {"z": b}, c], 3),
        (lambda a, b, c: [], 0),
    ],
)
def test_arrays_come_in_order(array: Callable[[Floats], Any], held: Callable[..., object], count: int) -> None:
    found = flat(held(*map(array, ROWS)))
    assert len(found) == count and all(type(x) is np.ndarray and x.dtype == np.float64 for x in found)
    np.testing.assert_array_equal(found, ROWS[:count] if count else [])


@pytest.mark.parametrize("inside", [False, True])
def test_outputs_of_several_names_have_no_order(inside: bool) -> None:
    several = {"y": ROWS[0], "z": ROWS[1]}
    with pytest.raises(NotComparedError, match="names"):
        flat([several] if inside else several)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("total", [1, 4, 5, 7])
def test_a_model_of_a_fixed_batch_gives_each_sample_its_results(size: int, total: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, total, 3))

    def run(inputs: Sequence[Any]) -> object:
        assert all(part.shape == (size, 3) for part in inputs)
        return [inputs[0] * inputs[1], {"sums": inputs[0].sum(1)}]

    products, sums = in_parts(run, [x, y], size)
    np.testing.assert_array_equal(products, x * y)
    np.testing.assert_array_equal(sums, x.sum(1))


@pytest.mark.parametrize(
    "run", [lambda x: x[0].T, lambda x: x[0].sum(0), lambda x: x[0] - x[0].mean(0), lambda x: x[0][::-1]]
)
def test_results_that_are_not_along_the_samples_are_not_compared(run: Callable[[Sequence[Any]], object]) -> None:
    with pytest.raises(NotComparedError, match="first axis"):
        in_parts(run, [np.random.default_rng(0).normal(size=(7, 3))], 3)


def test_a_module_that_gives_states_names_the_layer_that_computes_the_last() -> None:
    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(3, 2, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lstm(x)[1][0]

    network = read_torch(Last().eval(), ReadOptions(input_shape=(4, 3)))
    assert [node.name for node in network.nodes] == ["x", "lstm_layer0", "lstm_layer0_state", "lstm", "lstm_states"]
