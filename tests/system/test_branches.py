"""Networks whose branches meet again, in tokens: residual blocks, dense skip connections, a U-Net.

A branch that does less must hold its tokens until those of the other come: the FIFOs that wait are as deep as that takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from bitsmith.config.values import IOType
from bitsmith.layers.activation import ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.merge import Add, Concatenate
from bitsmith.layers.network import Network
from bitsmith.layers.pooling import MaxPool
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.resample import Resize
from tests.system.test_streams import Growing, assert_built


class Branching(Growing):
    """A network under construction, of images."""

    def __init__(self, side: int) -> None:
        super().__init__(0, plain=True)
        self.image = self.put(Input((side, side, 1)))

    def conv(self, x: str, filters: int, taps: int = 3, stride: int = 1) -> str:
        """A convolution with rectifier that keeps the size, but for the stride."""
        before, after = (taps - 1) // 2, taps // 2
        kernel = self.weights(taps, taps, self.shapes[x][-1], filters)
        convolved = self.put(Conv(kernel, self.weights(filters), (stride,) * 2, (1, 1), ((before, after),) * 2), x)
        return self.put(ReLU(), convolved)

    def network(self, result: str, factors: tuple[int, ...]) -> Network:
        """What has grown; reuse factors in turn."""
        turns = cycle(factors)
        nodes = [replace(node, settings=replace(node.settings, reuse_factor=next(turns))) for node in self.nodes]
        return Network(tuple(nodes), (self.image,), (result,))


def residual(factors: tuple[int, ...]) -> Network:
    """Two blocks of two convolutions with a way around them: bare, and with a stride and a convolution of its own."""
    grown = Branching(8)
    x = grown.conv(grown.image, 3)
    x = grown.put(Add(), grown.conv(grown.conv(x, 3), 3), x)
    x = grown.put(Add(), grown.conv(grown.conv(x, 4, stride=2), 4), grown.conv(x, 4, taps=1, stride=2))
    x = grown.put(Reduce(Reduction.MEAN, (0, 1)), x)
    return grown.network(grown.put(Dense(grown.weights(4, 3), grown.weights(3)), x), factors)


def dense_skips(factors: tuple[int, ...]) -> Network:
    """Each of three convolutions takes all results before it; the image itself skips all of them."""
    grown = Branching(8)
    x = grown.image
    for _ in range(3):
        x = grown.put(Concatenate(), grown.conv(x, 2), x)
    return grown.network(grown.put(Concatenate(), grown.conv(x, 2), grown.image), factors)


def u_net(factors: tuple[int, ...]) -> Network:
    """Down twice and up twice, once by repetition and once by a transposed convolution, joined with what was there before."""
    grown = Branching(12)
    top = grown.conv(grown.image, 2)
    middle = grown.conv(grown.put(MaxPool((2, 2), (2, 2)), top), 3)
    bottom = grown.conv(grown.put(MaxPool((2, 2), (2, 2)), middle), 4)
    x = grown.put(Concatenate(), grown.put(Resize((6, 6)), bottom), middle)
    x = grown.conv(x, 3)
    up = ConvTranspose(grown.weights(2, 2, 3, 2), None, (2, 2), (1, 1), (0, 0), (12, 12))
    x = grown.put(Concatenate(), grown.put(up, x), top)
    return grown.network(grown.conv(grown.conv(x, 2), 1, taps=1), factors)


FACTORS = [(1,), (8,), (36,), (2, 9, 5), (18, 3, 1, 7, 2)]
CASES = [(made, factors) for made in (residual, dense_skips, u_net) for factors in FACTORS]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "factors"), [pytest.param(*case, marks=[pytest.mark.ci] * (case == (u_net, (2, 9, 5)))) for case in CASES]
)
def test_branches_meet_without_lock_up(
    made: Callable[[tuple[int, ...]], Network], factors: tuple[int, ...], tmp_path: Path
) -> None:
    assert_built(made(factors), tmp_path, IOType.STREAM)
