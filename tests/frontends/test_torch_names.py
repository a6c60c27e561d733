"""Which of the layers that a module of PyTorch becomes has the module's name: the one that gives its result."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_samples import assert_same, inputs_of, randomised

from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.recurrent import GRU


class Applied(nn.Module):
    """Twice what a module gives for operands that are made of one tensor."""

    def __init__(self, own: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.own, self.call = own, call

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.call(self.own, x)


MOVING: dict[str, nn.Module] = {
    "shuffle": nn.PixelShuffle(2),
    "unshuffle": nn.PixelUnshuffle(2),
    "channels": nn.ChannelShuffle(4),
    "pad": nn.ZeroPad2d((1, 2, 0, 1)),
    "nearest": nn.UpsamplingNearest2d(scale_factor=2),
    "unflatten": nn.Unflatten(1, (2, 4)),
    "flatten": nn.Flatten(),
}


@pytest.mark.parametrize("name", MOVING)
def test_results_of_modules_that_only_move_have_their_names(name: str) -> None:
    module = nn.Sequential(OrderedDict({"conv": nn.Conv2d(3, 8, 3), name: MOVING[name], "relu": nn.ReLU()}))
    network = assert_same(randomised(module), (3, 6, 8))
    assert not network.node(name).inner
    (x,) = inputs_of(network)
    with torch.no_grad():
        wanted = module[:2](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.evaluate([x.astype(np.float64)])[name], wanted, rtol=1e-5, atol=1e-5)


COMPOSED: dict[str, nn.Module] = {
    "distance": Applied(nn.PairwiseDistance(), lambda own, x: own(x, x.flip(2))),
    "similarity": Applied(nn.CosineSimilarity(1), lambda own, x: own(x, x.flip(2))),
    "circular": Applied(nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular"), lambda own, x: own(x)),
    "response": Applied(nn.LocalResponseNorm(2), lambda own, x: own(x)),
    "gated": Applied(nn.GLU(2), lambda own, x: own(x)),
    "pooled": Applied(nn.LPPool1d(2, 2), lambda own, x: own(x)),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_results_of_modules_that_are_several_layers_have_their_names(name: str) -> None:
    module = randomised(COMPOSED[name])
    network = assert_same(module, (3, 6))
    (x,) = inputs_of(network)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy() / 2
    np.testing.assert_allclose(network.evaluate([x.astype(np.float64)])["own"], wanted, rtol=1e-4, atol=1e-5)


class Gated(nn.Module):
    """The last states of one cell, and sequence and last states of two."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.GRU(2, 3, batch_first=True)
        self.two = nn.GRU(2, 3, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> list[Tensor]:
        both, states = self.two(x)
        return [self.one(x)[1].transpose(0, 1), both, states.transpose(0, 1)]


def test_what_moves_and_stacks_results_does_not_have_the_name() -> None:
    """The cell has it, and of two cells what joins their sequences."""
    network = read_torch(randomised(Gated()), ReadOptions(input_shape=(4, 2)))
    assert (type(network.node("one").layer), type(network.node("two").layer)) == (GRU, Concatenate)
