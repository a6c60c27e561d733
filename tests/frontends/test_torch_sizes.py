"""Sizes that PyTorch programs compute from the number of samples, and numbers of other types than their tensors."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_samples import Of, assert_same

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.read import read_torch
from bitsmith.frontends.torch.shape import _size_arithmetic


@pytest.mark.parametrize(
    "count",
    [lambda n: n * 6 // 2, lambda n: n * 3, lambda n: n + n + n, lambda n: 5 * n - 2 * n, lambda n: -(-n * 3)],
    ids=["quotient", "product", "sum", "difference", "negation"],
)
def test_sizes_are_computed_from_the_number_of_samples(count: Callable[[int], int]) -> None:
    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.reshape(count(len(x)), 2) * 2.0).reshape(len(x), 6)

    assert_same(Counting(), (6,))


def test_a_slice_by_the_number_of_samples_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="a slice that depends on the number of samples"):
        read_torch(Of(lambda x: x[:, -x.shape[0] :]), ReadOptions(input_shape=(6,)))


class _OfOwnRows(nn.Module):
    """Elements of each sample by the numbers of the samples, as masks of HuggingFace's models have them."""

    def __init__(self, turned: bool) -> None:
        super().__init__()
        self.turned = turned

    def forward(self, x: Tensor) -> Tensor:
        samples = torch.arange(x.shape[0])
        if self.turned:
            samples = x.shape[0] - 1 - samples
        return x[samples[:, None, None], torch.tensor([[2], [0]]), torch.tensor([1, 1, 0])] * 2.0


def test_numbers_of_the_samples_pick_elements_of_each() -> None:
    assert_same(_OfOwnRows(turned=False), (3, 2))


def test_numbers_of_the_samples_as_columns_pick_elements_of_each() -> None:
    def picked(x: Tensor) -> Tensor:
        samples = torch.arange(x.shape[0])
        return x[samples.view(-1, 1), torch.tensor([2, 0])] + x[samples.reshape(x.shape[0], 1), torch.tensor([[1]])]

    assert_same(Of(picked), (3,))


def test_numbers_of_other_samples_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="is the number of samples"):
        assert_same(_OfOwnRows(turned=True), (3, 2))


def test_a_part_without_elements_adds_nothing() -> None:
    class Parted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x[..., :4] * 2.0, x[..., 4:]], dim=-1)

    assert_same(Parted(), (3, 4))


def test_a_fraction_in_place_of_a_masked_whole_number_is_cut_off() -> None:
    class Filling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.to(torch.int32).masked_fill(x > 0.5, 2.75) * 0.5

    network = assert_same(Filling(), (6,))
    found = network.evaluate([np.array([[-3.0, -0.5, 0.0, 0.75, 1.0, 3.0]])])
    assert found[network.outputs[0]].tolist() == [[-1.5, 0.0, 0.0, 1.0, 1.0, 1.0]]


def _computed(name: str, *sizes: tuple[int, ...]) -> object:
    """A size from others, of which there is one for each number of samples."""
    node = SimpleNamespace(name=f"_operator.{name}", arguments=dict(enumerate(sizes)))
    build = SimpleNamespace(counts=(2, 3))
    call = SimpleNamespace(node=node, get=node.arguments.get, size_of=lambda size: size, build=build)
    return _size_arithmetic(call)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "sizes", "wanted"),
    [
        ("floordiv", ((4, 6), (2, 4)), (2, 1)),
        ("floordiv", ((4, 6), (1, 1)), (4, 6)),
        ("sub", ((4, 6), (0, 0)), (4, 6)),
        ("mul", ((4, 6), (0, 1)), (0, 6)),
    ],
)
def test_two_sizes_make_one(name: str, sizes: tuple[tuple[int, ...], ...], wanted: tuple[int, ...]) -> None:
    assert _computed(name, *sizes) == (wanted,)


@pytest.mark.parametrize(
    ("name", "sizes"), [("floordiv", ((4, 6), (0, 1))), ("add", ((4, 6),)), ("add", ((4, 6), (1, 1), (1, 1)))]
)
def test_other_sizes_are_refused_by_name(name: str, sizes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UnsupportedError, match=f"{name} of the sizes"):
        _computed(name, *sizes)


@pytest.mark.parametrize("pad", [(-3, 4, 0, 1), (4, -3, 0, 0), (-1, 2, 4, -3), (-2, -1, 0, 1)])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "constant"])
def test_padding_beside_elements_that_are_taken_away(pad: tuple[int, ...], mode: str) -> None:
    class Padding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.pad(x, pad, mode=mode)

    assert_same(Padding(), (2, 6, 6))


@pytest.mark.parametrize("pad", [(-3, 4), (4, -3), (-2, 4), (4, -2), (-5, 1), (1, -5), (2, -5), (-1, 6)])
def test_circular_padding_by_more_than_is_left_is_refused_as_in_pytorch(pad: tuple[int, int]) -> None:
    class Padding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.pad(x, pad, mode="circular")

    try:
        Padding()(torch.zeros(1, 1, 6))  # of two channels PyTorch does not see that it reads what it has not written
    except RuntimeError:
        with pytest.raises(UnsupportedError, match="more elements than are left"):
            assert_same(Padding(), (2, 6))
    else:
        assert_same(Padding(), (2, 6))
