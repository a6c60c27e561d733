"""Seven float networks with their samples, as `fit_table.py` and others train them, and the smallest uniform format of each.

Half of the samples that no training saw are for choosing: of uniform formats the smallest is taken that loses at most half a
percent on all of them, by labels, and as `fit` expects it of others with a standard error. Fresh samples tell what is lost on
others, or the other half where there are none.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from fit_loop import Absent
from sklearn.datasets import load_digits

import bitsmith
from bitsmith.errors import BitsmithError
from bitsmith.fidelity.scores import Measure, Yardstick
from bitsmith.model import Model

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "train"))

PART, LOSS = "xcvu13p-flga2577-2-e", 0.005
BITS, INTEGERS, MODES = range(5, 13), range(2, 8), ("", ",RND,SAT")
MORE = 54_000

Batch = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """A network, its samples, how many are trained on, and as many and further ones, of which no float network saw the latter.

    ``channels``: the axis of samples that is the last one in Keras. ``rounded``: bits of weights and results of linear layers,
    with which a loop trains; None: not rounded. ``passes`` over its samples it makes in a round. ``steps``: samples are
    sequences of any length.
    """

    name: str
    network: Callable[[], torch.nn.Module]
    samples: Callable[[], tuple[Batch, Labels]]
    trained_on: int
    channels: int
    more: Callable[[], tuple[Batch, Labels]] | None = None
    rounded: tuple[int, int] | None = None
    passes: int = 30
    steps: bool = False


def jets(count: int = 14_000) -> tuple[Batch, Labels]:
    """The samples of the network that ships with the package."""
    from three_layer import generate

    x, labels = generate(count)
    return x.astype(np.float32), labels.astype(np.int64)


def digits() -> tuple[Batch, Labels]:
    """Images of 8 by 8 pixels from 0 to 1, in random order."""
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order] / 16).astype(np.float32), labels[order].astype(np.int64)


def images() -> tuple[Batch, Labels]:
    """The same images, with their channel."""
    x, labels = digits()
    return x.reshape(-1, 1, 8, 8), labels


def vibrations(count: int = 10_000) -> tuple[Batch, Labels]:
    """Signals of 64 samples of a machine: sound, out of balance, with a loose part, or with a worn bearing; and noise."""
    rng = np.random.default_rng(5)
    labels, time = rng.integers(0, 4, count), np.arange(64)
    speed, phase = rng.uniform(0.08, 0.12, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    turns = 2 * np.pi * speed * time + phase
    size = rng.uniform(0.6, 1.0, (count, 1))
    knocks = (np.sin(3.3 * turns) > 0.93) * np.sin(2.2 * time)
    faults = np.stack(
        [0 * turns, np.sin(turns), 0.6 * np.abs(np.sin(turns)) * np.sign(np.sin(2 * turns)), 1.5 * knocks]
    )
    x = 0.3 * np.sin(turns) + size * faults[labels, np.arange(count)] + 0.25 * rng.standard_normal((count, 64))
    return x[:, None].astype(np.float32), labels


def sequences(count: int = 10_000) -> tuple[Batch, Labels]:
    """Eight steps of four quantities; the class is that of a slow sum of products, of three equally many."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((count, 8, 4))
    sums = np.zeros(count)
    for step in range(8):
        sums = 0.8 * sums + x[:, step, 0] * x[:, step, 1] + 0.7 * x[:, step, 2]
    sums += 0.2 * rng.standard_normal(count)
    return x.astype(np.float32), np.digitize(sums, np.quantile(sums, [1 / 3, 2 / 3]))


def lookups(count: int = 10_000) -> tuple[Batch, Labels]:
    """Six tokens in random order: five have a direction and a value, the sixth asks for a direction.

    The class is that of the value in the nearest direction. Nothing that a token has alone tells which of the five is asked for.
    """
    rng, keys = np.random.default_rng(7), 5
    classes, rows = rng.integers(0, 3, (count, keys)), np.arange(count)
    turns = rng.permuted(np.tile(np.arange(keys), (count, 1)), axis=1) / keys + rng.uniform(0, 1, (count, 1))
    angles = 2 * np.pi * turns + rng.uniform(-0.35, 0.35, (count, keys))
    asked = angles[rows, rng.integers(0, keys, count)] + rng.uniform(-0.35, 0.35, count)
    x = np.zeros((count, keys + 1, 4))
    x[:, :keys, 0], x[:, :keys, 1] = np.cos(angles), np.sin(angles)
    x[:, :keys, 2] = classes - 1 + 0.2 * rng.standard_normal((count, keys))
    x[:, keys, 0], x[:, keys, 1], x[:, keys, 3] = np.cos(asked), np.sin(asked), 1
    places = rng.permuted(np.tile(np.arange(keys + 1), (count, 1)), axis=1)
    nearest = np.cos(angles - asked[:, None]).argmax(axis=1)
    return np.take_along_axis(x, places[:, :, None], 1).astype(np.float32), classes[rows, nearest]


class Recurrent(torch.nn.Module):
    """An LSTM whose last state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.read = torch.nn.LSTM(4, 8, batch_first=True), torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three logits."""
        states, _ = self.cells(x)
        read: torch.Tensor = self.read(states[:, -1])
        return read


class Mean(torch.nn.Module):
    """The mean of tokens; with a ``divisor`` their sum, divided by that."""

    def __init__(self) -> None:
        super().__init__()
        self.divisor: int | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The mean of each element."""
        return x.mean(dim=1) if self.divisor is None else x.sum(dim=1) / self.divisor


class Transformer(torch.nn.Module):
    """One block of attention with two heads, and the mean of its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.read = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)
        self.block, self.mean = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), Mean()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three logits."""
        read: torch.Tensor = self.read(self.mean(self.block(self.embed(x))))
        return read

    @classmethod
    def without_attention(cls, hidden: int) -> torch.nn.Module:
        """One that attends to nothing, with so many hidden units for a token: logits are sums of functions of tokens."""
        net = cls()
        net.block = torch.nn.TransformerEncoderLayer(8, 2, hidden, dropout=0.0, batch_first=True)
        net.block.self_attn = Absent()
        return net

    def merged(self) -> torch.nn.Module:
        """The same without attention and normalizations, where linear layers follow each other and commute with the mean."""
        if any(isinstance(each, torch.nn.MultiheadAttention | torch.nn.LayerNorm) for each in self.modules()):
            return self
        return Tokenwise(self).eval()


class Tokenwise(torch.nn.Module):
    """A transformer of one block without attention and normalizations: one hidden layer for each token, and their mean."""

    def __init__(self, whole: Transformer) -> None:
        super().__init__()
        embed, first, second, last = whole.embed, whole.block.linear1, whole.block.linear2, whole.read
        self.hidden, self.read, self.skip = (
            torch.nn.Linear(4, 16),
            torch.nn.Linear(16, 3),
            torch.nn.Linear(4, 3, bias=False),
        )
        self.mean = whole.mean
        with torch.no_grad():
            self.hidden.weight.copy_(first.weight @ embed.weight)
            self.hidden.bias.copy_(first.weight @ embed.bias + first.bias)
            self.read.weight.copy_(last.weight @ second.weight)
            self.read.bias.copy_(last.bias + last.weight @ (second.bias + embed.bias))
            self.skip.weight.copy_(last.weight @ embed.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three logits; those of a sum of fewer tokens but for their constant."""
        tokens = self.mean(torch.relu(self.hidden(x)))
        read: torch.Tensor = self.read(tokens) + self.skip(self.mean(x))
        return read


def perceptron(*widths: int) -> torch.nn.Module:
    """Dense layers with ReLU between them."""
    layers: list[torch.nn.Module] = []
    for size, following in itertools.pairwise(widths):
        layers += [torch.nn.Linear(size, following), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def cnn() -> torch.nn.Module:
    """A convolution, a pooling and a dense layer."""
    conv, pool = torch.nn.Conv2d(1, 6, 3), torch.nn.MaxPool2d(2)
    return torch.nn.Sequential(conv, torch.nn.ReLU(), pool, torch.nn.Flatten(), torch.nn.Linear(54, 10))


def cnn_1d() -> torch.nn.Module:
    """Two convolutions with strides, and a dense layer."""
    layers = [torch.nn.Conv1d(1, 6, 5, 2), torch.nn.ReLU(), torch.nn.Conv1d(6, 8, 5, 2), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.AvgPool1d(13), torch.nn.Flatten(), torch.nn.Linear(8, 4))


CASES = {
    "tagger": Case(
        "tagger of jets, 16-64-32-32-5", partial(perceptron, 16, 64, 32, 32, 5), jets, 6_000, -1, partial(jets, MORE)
    ),
    "digits": Case("digits, 64-24-16-10", partial(perceptron, 64, 24, 16, 10), digits, 1_000, -1, None, (4, 6)),
    "cnn": Case("digits, convolution", cnn, images, 1_000, 1),
    "vibrations": Case("vibrations, two 1-D convolutions", cnn_1d, vibrations, 4_000, 1, partial(vibrations, MORE)),
    "lstm": Case("sequences, LSTM of 8", Recurrent, sequences, 4_000, -1, partial(sequences, MORE), steps=True),
    "transformer": Case(
        "sequences, transformer of 8", Transformer, sequences, 4_000, -1, partial(sequences, MORE), (4, 8), 100, True
    ),
    "lookups": Case("lookups, transformer of 8", Transformer, lookups, 4_000, -1, partial(lookups, MORE), (6, 8)),
}


def trained(case: Case, x: Batch, labels: Labels) -> torch.nn.Module:
    """The network after 60 passes over the samples."""
    torch.manual_seed(0)
    net = case.network()
    rate = torch.optim.Adam(net.parameters(), lr=3e-3)
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(labels)
    for _ in range(60):
        for rows in torch.randperm(len(x)).split(100):
            rate.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs[rows]), wanted[rows]).backward()
            rate.step()
    return net.eval()


def accuracy(outputs: npt.NDArray[np.generic], labels: Labels) -> float:
    """The share of samples whose greatest output is that of the label."""
    return float(np.mean(np.asarray(outputs, np.float64).argmax(axis=1) == labels))


def uniform(net: torch.nn.Module, x: Batch, labels: Labels, least: float, folder: Path) -> tuple[str, Model]:
    """The format, and the model, with the fewest look-up tables by estimate that reaches an accuracy and passes the test of fits.

    Of the fewest bits that do and one more: areas grow with bits.
    """
    with torch.no_grad():
        plain = net(torch.from_numpy(x)).numpy().astype(np.float64)
    yardstick = Yardstick([x], [plain], (Measure.of(labels, plain),))
    found: list[tuple[int, str, Model]] = []
    enough: int | None = None
    for bits, integers, modes in itertools.product(BITS, INTEGERS, MODES):
        text = f"fixed<{bits},{integers}{modes}>"
        if integers >= bits or (enough is not None and bits > enough + 1):
            continue
        try:
            model = bitsmith.convert(
                net, folder, {"Model": {"Precision": text}}, example=x[:1], part=PART, calibration=x, check=False
            )
        except BitsmithError:
            continue
        outputs = [np.asarray(model.predict(x), np.float64)]
        lost = yardstick.loss(yardstick.expected(outputs)) + yardstick.spread(outputs, Yardstick.expected)
        if accuracy(outputs[0], labels) >= least and lost <= LOSS:
            found.append((model.estimate().size.lut, text, model))
            enough = enough or bits
    _, text, model = min(found, key=lambda each: each[0])
    return text, model


def main() -> None:
    """Print what float networks decide rightly of samples that no training saw, that of lookups without attention among them."""
    cases = [*CASES.values()]
    for hidden in (16, 256):
        alone = f"lookups, {hidden} hidden units and no attention"
        cases.append(replace(CASES["lookups"], name=alone, network=partial(Transformer.without_attention, hidden)))
    torch.backends.mha.set_fastpath_enabled(False)  # which reads weights of attention
    for case in cases:
        x, labels = case.samples()
        net = trained(case, x[: case.trained_on], labels[: case.trained_on])
        others, wanted = (each[case.trained_on :] for each in (case.more or case.samples)())
        with torch.no_grad():
            print(f"{case.name}: {accuracy(net(torch.from_numpy(others)).numpy(), wanted):.2%}", flush=True)


if __name__ == "__main__":
    main()
