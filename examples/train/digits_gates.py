"""Trains a network of logic gates on scikit-learn's bundled 8x8 images, and makes a circuit of it.

Run `python examples/train/digits_gates.py`; it takes about two minutes. Each gate has two inputs, drawn at random, and learns
which of the 16 functions of two bits it is: a mixture of all while it is trained, and the likeliest afterwards. Classes count the
bits of their share of the last gates. The idea is that of difflogic (Petersen et al., NeurIPS 2022).
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import bitsmith

TEST, CLASSES = 360, 10
LEVELS = (2.5, 7.5, 12.5)
GATES = (1000, 1000)
EPOCHS, BATCH, RATE, TEMPERATURE = 100, 100, 0.02, 8.0

FUNCTIONS = torch.tensor([[number >> place & 1 for place in range(4)] for number in range(16)], dtype=torch.float32)
"""The 16 functions of two bits, by their values for 00, 10, 01 and 11."""


class Thermometer(nn.Module):
    """Bits of comparisons of pixels with levels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, :, None] > torch.tensor(LEVELS)).to(x.dtype).flatten(1)


class Gates(nn.Module):
    """Gates of two inputs, each of which is some function of two bits."""

    def __init__(self, inputs: int, gates: int) -> None:
        super().__init__()
        order = torch.cat([torch.randperm(inputs) for _ in range(-(-2 * gates // inputs))])[: 2 * gates]
        self.a, self.b = order[:gates], order[gates:]
        start = torch.randn(gates, 16)
        start[:, 0b1010] += 5.0  # the first input, so that gradients reach the layers in front
        self.logits = nn.Parameter(start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares = torch.softmax(self.logits, -1) if self.training else self.chosen()
        zero, a, b, both = (shares @ FUNCTIONS).unbind(-1)
        x, y = x[:, self.a], x[:, self.b]
        return zero + (a - zero) * x + (b - zero) * y + (both - a - b + zero) * x * y

    def chosen(self) -> torch.Tensor:
        """1 for the likeliest function of each gate."""
        return nn.functional.one_hot(self.logits.argmax(-1), 16).to(self.logits.dtype)


class Counts(nn.Module):
    """Bits of each class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(x), CLASSES, -1).sum(-1)


def trained(x: torch.Tensor, y: torch.Tensor, epochs: int) -> nn.Module:
    """A network, trained on images ``x`` of the classes ``y``."""
    torch.manual_seed(0)
    sizes = (x.shape[1] * len(LEVELS), *GATES)
    network = nn.Sequential(Thermometer(), *(Gates(*pair) for pair in pairwise(sizes)), Counts())
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[batch]) / TEMPERATURE, y[batch]).backward()
            optimizer.step()
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="digits_gates", help="folder of the project")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--part", default="xcvu9p-flgb2104-2-i")
    parser.add_argument("--synth", action="store_true", help="count look-up tables with Yosys")
    given = parser.parse_args()
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images.astype(np.float32), labels, test_size=TEST, random_state=0)
    x, test, y, truth = parts
    network = trained(torch.tensor(x), torch.tensor(y), given.epochs)
    with torch.no_grad():
        scores = network(torch.tensor(test)).numpy()
    model = bitsmith.convert(network, given.out, calibration=x, part=given.part)
    print(f"{np.mean(scores.argmax(-1) == truth):.2%} of {TEST} test images")
    print(f"{int(np.sum(model.predict(test) != scores))} scores differ from PyTorch's")
    print(model.build(inputs=test, cosim=True, synth=True) if given.synth else model.estimate())


if __name__ == "__main__":
    main()
