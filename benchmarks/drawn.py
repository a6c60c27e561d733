"""Random networks of many kinds for all families that Yosys counts, to hold estimates against: see `random_estimates.py`."""

from __future__ import annotations

import json
import os
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any, TypeAlias

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.svm import SVC
from torch import nn

import bitsmith

PARTS = {
    "ecp5": "LFE5U-85F-6BG381C",
    "ice40": "iCE40HX8K-CT256",
    "ice40up": "iCE40UP5K-SG48",
    "nexus": "LIFCL-40-9BG400C",
    "xc7": "xc7z020clg400-1",
    "xcu": "xcku040-ffva1156-2-e",
    "xcup": "xcku5p-ffvb676-2-e",
    "cyclonev": "5CSEMA5F31C6",
}
"""A part of each family that Yosys has a mapping for."""


@dataclass(frozen=True)
class Drawn:
    """A network: its kind, the family, what there is to say of it, and how it is converted in a folder."""

    kind: str
    family: str
    words: str
    convert: Callable[[Path], bitsmith.Model]


class Recurrent(nn.Module):
    """A recurrent layer and a dense one on its last state."""

    def __init__(self, layer: nn.Module, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of a batch of sequences."""
        return self.head(self.layer(x)[0][:, -1])


class Attention(nn.Module):
    """Attention of a sequence to itself, added to it, and a mean."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(features, heads, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The mean over the sequence."""
        return (x + self.attention(x, x, x, need_weights=False)[0]).mean(dim=1)


class Block(nn.Module):
    """A block of a transformer: attention and two dense layers, each normalized and added, and a mean."""

    def __init__(self, features: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(features, heads, batch_first=True)
        self.norms = nn.ModuleList([nn.LayerNorm(features), nn.LayerNorm(features)])
        self.dense = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The mean over the sequence."""
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return (x + self.dense(self.norms[1](x))).mean(dim=1)


class Separable(nn.Module):
    """Filters of each channel, dense layers of each position, added to what came, and the greatest of all positions."""

    def __init__(self, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.wide = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
        self.head = nn.Sequential(nn.MaxPool2d(4), nn.Flatten(), nn.Linear(4 * channels, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of a batch of images."""
        return self.head(x + self.wide(self.deep(x)))


def dense(sizes: list[int], act: Callable[[], nn.Module]) -> nn.Module:
    """Dense layers with an activation between."""
    return nn.Sequential(*[layer for n, m in pairwise(sizes) for layer in (nn.Linear(n, m), act())][:-1])


def conv(rng: random.Random, channels: list[int], side: int) -> nn.Module:
    """Convolutions with rectifiers and poolings of an image, and a dense layer."""
    layers: list[nn.Module] = []
    for n, m in pairwise(channels):
        pool = rng.choice((nn.MaxPool2d, nn.AvgPool2d))
        layers += [nn.Conv2d(n, m, 3, padding=1), nn.ReLU(), pool(2)]
        side //= 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side * side, rng.randint(2, 4)))


def conv1d(channels: list[int], length: int) -> nn.Module:
    """Convolutions of a sequence, and the mean of it."""
    layers = [layer for n, m in pairwise(channels) for layer in (nn.Conv1d(n, m, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.AvgPool1d(length), nn.Flatten())


def _torch(rng: random.Random, kind: str) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    """A module of PyTorch, and the shape of a sample."""
    sizes = [rng.randint(4, 14) for _ in range(rng.randint(3, 4))]
    few = [rng.randint(1, 2), *(rng.randint(2, 5) for _ in range(rng.randint(1, 2)))]
    cell, length = rng.choice((nn.LSTM, nn.GRU, nn.RNN)), rng.choice((4, 8))
    inputs, hidden, outputs, draw = rng.randint(2, 4), rng.randint(2, 4), rng.randint(2, 4), rng.random()
    plain, curved = (
        rng.choice(acts) for acts in ((nn.ReLU, nn.ReLU, nn.LeakyReLU, nn.Hardtanh), (nn.Tanh, nn.Sigmoid))
    )
    return {
        "dense": (lambda: dense(sizes, plain), (sizes[0],)),
        "curved": (lambda: dense(sizes, curved), (sizes[0],)),
        "conv": (lambda: conv(random.Random(draw), few, 8), (few[0], 8, 8)),
        "conv1d": (lambda: conv1d(few, length), (few[0], length)),
        "recurrent": (lambda: Recurrent(cell(inputs, hidden, batch_first=True), hidden, outputs), (length, inputs)),
        "attention": (lambda: Attention(4, 2), (length, 4)),
        "shared": (lambda: dense(sizes, nn.ReLU), (sizes[0],)),
        "sharedconv": (lambda: conv(random.Random(draw), few, 8), (few[0], 8, 8)),
    }[kind]


def layers(rng: random.Random, kind: str, part: str) -> tuple[str, Callable[[Path], bitsmith.Model]]:
    """A network of PyTorch's layers: with formats by key, or by bits alone; unrolled, folded, in tokens, in turn."""
    make, shape = _torch(rng, kind)
    bits, weight_bits, seed = rng.randint(4, 10), rng.randint(3, 8), rng.randrange(1 << 30)
    reuse, zeros, auto = rng.choice((1, 1, 1, 4, 9, 16)), rng.choice((0.0, 0.0, 0.5, 0.8)), rng.random() < 0.4
    shares = kind.startswith("shared")
    stream = rng.random() < 0.5 or kind == "conv" or shares  # as one circuit, images take minutes of synthesis
    strategy, reuse = ("Shared", 100 + 25 * reuse) if shares else ("Latency", reuse)

    def convert(folder: Path) -> bitsmith.Model:
        torch.manual_seed(seed)
        module = make().eval()
        with torch.no_grad():
            for weights in module.parameters():
                if weights.dim() > 1:
                    weights *= torch.rand(weights.shape) >= zeros
        precision = {"default": f"fixed<{bits},3>", "weight": f"fixed<{weight_bits},1>"}
        chosen: dict[str, Any] = {"ReuseFactor": reuse, "Strategy": strategy}
        told: dict[str, Any] = {"input_shape": shape}
        if auto:
            told = {"calibration": np.random.default_rng(seed).normal(0, 1, (64, *shape)), "bits": bits}
        else:
            chosen["Precision"] = precision
        io_type = "io_stream" if stream else "io_parallel"
        return bitsmith.convert(module, folder, {"Model": chosen}, part=part, io_type=io_type, check=False, **told)

    formats = f"{bits} bits" if auto else f"fixed<{bits},3>, weights fixed<{weight_bits},1>"
    laid = f"reuse {reuse}, {'tokens' if stream else 'whole'}, {strategy}, {zeros:.0%} zeros"
    return f"{formats}, {laid}", convert


def _later(rng: random.Random, kind: str) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    """A module of PyTorch of the kinds that were drawn later, and the shape of a sample."""
    n, m, outputs, length = rng.randint(3, 8), rng.randint(3, 8), rng.randint(2, 4), rng.choice((4, 6, 8))
    norm, act = (
        rng.choice((nn.LayerNorm, nn.LayerNorm, nn.RMSNorm)),
        rng.choice((nn.GELU, nn.SiLU, nn.Softplus, nn.ELU)),
    )
    cell, heads, channels, few = rng.choice((nn.LSTM, nn.GRU)), rng.choice((1, 2)), rng.randint(1, 3), rng.randint(2, 3)
    return {
        "norm": (lambda: nn.Sequential(nn.Linear(n, m), norm(m), nn.ReLU(), nn.Linear(m, outputs)), (n,)),
        "normtokens": (lambda: nn.Sequential(nn.Linear(n, m), norm(m), nn.Linear(m, few)), (length, n)),
        "transformer": (lambda: Block(4, heads, m), (length, 4)),
        "engine": (lambda: Block(4, heads, m), (length, 4)),
        "smooth": (lambda: nn.Sequential(*dense([n, m, few], act), nn.Softmax(dim=-1)), (n,)),
        "packed": (lambda: conv1d([few, m, outputs], 8), (few, 8)),
        "packedconv": (lambda: conv(random.Random(n), [channels, few], 8), (channels, 8, 8)),
        "separable": (lambda: Separable(few, m, outputs), (few, 8, 8)),
        "stacked": (lambda: Recurrent(cell(few, 2, num_layers=2, batch_first=True), 2, outputs), (4, few)),
    }[kind]


def later(rng: random.Random, kind: str, part: str) -> tuple[str, Callable[[Path], bitsmith.Model]]:
    """Normalizations, transformers, engines of these, several positions at once: whole or in tokens."""
    make, shape = _later(rng, kind)
    bits, seed, reuse = rng.randint(4, 9), rng.randrange(1 << 30), rng.choice((1, 1, 4, 8))
    stream, at_once = rng.random() < 0.5 or kind in {"packed", "packedconv", "separable", "engine"}, rng.choice((2, 4))
    strategy, reuse = ("Shared", 100 * reuse) if kind == "engine" else ("Latency", reuse)
    at_once = at_once if kind.startswith("packed") else 1

    def convert(folder: Path) -> bitsmith.Model:
        torch.manual_seed(seed)
        chosen = {"ReuseFactor": reuse, "Strategy": strategy, "ParallelizationFactor": at_once}
        told: dict[str, Any] = {"calibration": np.random.default_rng(seed).normal(0, 1, (64, *shape)), "bits": bits}
        io_type = "io_stream" if stream else "io_parallel"
        return bitsmith.convert(
            make().eval(), folder, {"Model": chosen}, part=part, io_type=io_type, check=False, **told
        )

    laid = f"{'tokens' if stream else 'whole'}, {strategy}, {at_once} at once"
    return f"{bits} bits, {shape}, reuse {reuse}, {laid}", convert


def gates(rng: random.Random, kind: str, part: str) -> tuple[str, Callable[[Path], bitsmith.Model]]:
    """The state of a differentiable weightless network: thresholds, layers of tables, counts."""
    seed, features, levels, bits = rng.randrange(1 << 30), rng.randint(3, 12), rng.randint(2, 8), rng.randint(2, 6)
    tables = [rng.randint(20, 120) for _ in range(rng.randint(1, 2))]

    def convert(folder: Path) -> bitsmith.Model:
        draw = np.random.default_rng(seed)
        x = draw.normal(size=(200, features)).astype(np.float32)
        state: dict[str, Any] = {"classes": 4, "thresholds": torch.tensor(np.sort(draw.choice(x, levels).T, axis=1))}
        size = features * levels
        for number, count in enumerate(tables):
            state[f"{number}.luts"] = torch.tensor(draw.uniform(-1, 1, (count, 1 << bits)).astype(np.float32))
            state[f"{number}.mapping"] = torch.tensor(draw.integers(0, size, (count, bits)), dtype=torch.int32)
            size = count
        return bitsmith.convert(state, folder, part=part, calibration=x, check=False)

    return f"{features} features, {levels} levels, {tables} tables of {bits} bits", convert


def edges(rng: random.Random, kind: str, part: str) -> tuple[str, Callable[[Path], bitsmith.Model]]:
    """A Kolmogorov-Arnold network as truth tables: waves, or random words."""
    seed, kept, smooth = rng.randrange(1 << 30), rng.choice((0.4, 1.0)), rng.random() < 0.7
    sizes = [rng.randint(2, 8) for _ in range(rng.randint(2, 3))]
    bits = [rng.randint(3, 7) for _ in sizes]

    def convert(folder: Path) -> bitsmith.Model:
        draw, tables = np.random.default_rng(seed), {}
        for layer, (n, m) in enumerate(pairwise(sizes)):
            for source, target in product(range(n), range(m)):
                most, used = 1 << bits[layer + 1] - 1, bool(draw.random() < kept)
                places = np.arange(1 << bits[layer]) / (1 << bits[layer])
                wave = np.rint(most * draw.uniform(0.2, 1) * np.sin(draw.uniform(1, 9) * places + draw.uniform(0, 6)))
                words = wave.clip(-most, most - 1) if smooth else draw.integers(-most, most, len(places))
                values = (words * used).astype(int).tolist()
                tables[f"{layer}_{source}_{target}"] = {"acive": int(used), "values_int": values}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"layers_bitwidth": bits}))
        path = folder / "truth_tables.json"
        path.write_text(json.dumps(tables))
        return bitsmith.convert(path, folder / "out", part=part, check=False)

    return f"{sizes} of {bits} bits, {'waves' if smooth else 'random words'}, {kept:.0%} kept", convert


def classical(rng: random.Random, kind: str, part: str) -> tuple[str, Callable[[Path], bitsmith.Model]]:
    """A forest, boosted trees, a forest in turns, or a support vector machine, of clouds of points."""
    seed, features, classes = rng.randrange(1 << 30), rng.randint(3, 10), rng.randint(2, 4)
    depth, trees = rng.randint(2, 6), rng.choice((3, 5, 10, 16, 30))
    reuse = {"forest": 1, "turns": trees}.get(kind, 1)
    sort = rng.choice((RandomForestClassifier, GradientBoostingClassifier))

    def convert(folder: Path) -> bitsmith.Model:
        draw = np.random.default_rng(seed)
        samples = 12 if kind == "vectors" else 400  # of which most become support vectors
        labels = draw.permutation(np.arange(samples) % classes)
        x = draw.normal(0, 2, (classes, features))[labels] + draw.normal(0, 1, (samples, features))
        model = (
            SVC(kernel="linear") if kind == "vectors" else sort(n_estimators=trees, max_depth=depth, random_state=seed)
        )
        model.fit(x, labels)
        chosen = {"Model": {"ReuseFactor": reuse}}
        return bitsmith.convert(model, folder, chosen, part=part, calibration=x, check=False)

    name = "SVC" if kind == "vectors" else f"{sort.__name__}, {trees} trees of depth {depth}"
    return f"{name}, {features} features, {classes} classes, reuse {reuse}", convert


def trained_widths(rng: random.Random, kind: str, part: str) -> tuple[str, Callable[[Path], bitsmith.Model]]:
    """A network of HGQ2 with a width of each weight and value of its own: dense, or with a table for each."""
    seed, sizes = rng.randrange(1 << 30), [rng.randint(4, 10) for _ in range(rng.randint(3, 4))]

    def convert(folder: Path) -> bitsmith.Model:
        import keras
        from hgq.config import LayerConfigScope, QuantizerConfigScope
        from hgq.layers import QDense, QDenseT

        keras.utils.set_random_seed(seed)
        draw = np.random.default_rng(seed)
        with (
            QuantizerConfigScope(default_q_type="kbi", overflow_mode="SAT_SYM", b0=5, i0=2),
            LayerConfigScope(enable_ebops=False, beta0=0),
        ):
            x = y = keras.Input((sizes[0],))
            for number, size in enumerate(sizes[1:]):
                last = number == len(sizes) - 2
                if kind == "learned":
                    y = QDenseT(size, n_hl=1, d_hl=4)(y)
                else:
                    y = QDense(size, activation=None if last else "relu")(y)
            model = keras.Model(x, y)
        for weight in model.weights:
            if weight.name in {"b", "f"}:
                weight.assign(np.clip(weight + draw.integers(-2, 2, weight.shape), 0, None))
            elif kind == "learned" and "kernel" in weight.name:
                weight.assign(2 * weight)
        data = draw.normal(size=(200, sizes[0]))
        model(data)
        return bitsmith.convert(model, folder, part=part, check=False)

    return f"{sizes}", convert


Kind: TypeAlias = Callable[[random.Random, str, str], tuple[str, Callable[[Path], bitsmith.Model]]]
"""Draws a network: what there is to say of it, and how it is converted in a folder."""

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("dense", "curved", "conv", "conv1d", "recurrent", "attention", "shared", "sharedconv"), layers),
    "gates": gates,
    "edges": edges,
    **dict.fromkeys(("forest", "turns", "vectors"), classical),
    **dict.fromkeys(("widths", "learned"), trained_widths),
}

LATER: Mapping[str, Kind] = dict.fromkeys(
    ("norm", "normtokens", "transformer", "engine", "smooth", "packed", "packedconv", "separable", "stacked"), later
)
"""Kinds that were added later: seeds 9812 and 9912 are of these, all others of `KINDS`."""


def drawn(number: int, seed: int, kinds_of: Mapping[str, Kind] = KINDS) -> Mapping[str, Drawn]:
    """Random networks by name: kinds in turn, as are families, with all else drawn."""
    rng, found = random.Random(seed), dict[str, Drawn]()
    kinds, families = [*kinds_of], [*PARTS]
    rng.shuffle(kinds)
    for count in range(number):
        if count % len(families) == 0:
            rng.shuffle(families)
        kind, family = kinds[count % len(kinds)], families[count % len(families)]
        words, convert = kinds_of[kind](random.Random(rng.randrange(1 << 30)), kind, PARTS[family])
        found[f"{kind}-{seed}.{count}"] = Drawn(kind, family, words, quiet(convert))
    return found


def quiet(convert: Callable[[Path], bitsmith.Model]) -> Callable[[Path], bitsmith.Model]:
    """The same without warnings."""

    def quietly(folder: Path) -> bitsmith.Model:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert(folder)

    return quietly
