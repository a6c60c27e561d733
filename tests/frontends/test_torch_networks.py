"""Whole PyTorch models: recurrence, attention, residuals, sharing, names, and bit-exact results."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from tests.properties import few
from torch import Tensor, nn
from torch.nn import functional
from torch_samples import assert_fixed_point, assert_same, exact, fixed_point, inputs_of, outputs_of, randomised

from bitsmith.config.resolving import resolve
from bitsmith.errors import ModelFileError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.layer import Shape


class Recurrences(nn.Module):
    """Recurrent layers with all results, in all spellings; the input is (batch, time, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.deep = nn.LSTM(3, 2, 2, bidirectional=True)
        self.gru = nn.GRU(3, 4, 2, batch_first=True, bias=False)
        self.turned = nn.GRU(3, 3, bidirectional=True, batch_first=True)
        self.rnn = nn.RNN(3, 4, batch_first=True)
        self.rectified = nn.RNN(3, 2, nonlinearity="relu")
        self.first = nn.Parameter(torch.ones(1, 1, 4))

    def forward(self, x: Tensor) -> list[Tensor]:
        y, (h, c) = self.lstm(x)
        deep, (hidden, cell) = self.deep(x.transpose(0, 1))
        gru, last = self.gru(x)
        turned, ends = self.turned(x)
        rnn, _ = self.rnn(x, self.first.expand(1, x.shape[0], 4) * 0.5)
        begun, _ = self.rnn(x, x[:, 0, :1].expand(-1, 4).unsqueeze(0).contiguous())
        _, state = self.rectified(x.transpose(0, 1) * 0.25)
        joined = torch.cat([hidden[-1], cell[0], hidden[1]], 1)
        return [
            y,
            h[-1],
            c.squeeze(0),
            deep.transpose(0, 1),
            joined,
            gru[:, -1],
            last.transpose(0, 1),
            turned,
            ends.permute(1, 0, 2).flatten(1),
            rnn,
            begun,
            state[0],
        ]


class Attentions(nn.Module):
    """Attention in all spellings; the input is (batch, 5, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.MultiheadAttention(8, 2, batch_first=True)
        self.weighed = nn.MultiheadAttention(8, 4)
        self.other = nn.MultiheadAttention(8, 2, batch_first=True, bias=False, kdim=6, vdim=7)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
        self.decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
        self.register_buffer("mask", torch.triu(torch.full((5, 5), -math.inf), 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        plain, _ = self.plain(x, x, x, need_weights=False)
        masked, _ = self.plain(x, x, x, attn_mask=self.mask, need_weights=False)
        turned = x.transpose(0, 1)
        weighed, weights = self.weighed(turned, turned, turned)
        other, _ = self.other(x[:, :2], x[:, :, :6], x[:, :, 1:])
        encoded = self.encoder(x)
        return [plain, masked, weighed.transpose(0, 1), weights, other, encoded, self.decoder(x, encoded)]


class Token(nn.Module):
    """A learned first position, as vision transformers have it; the input is (batch, 3, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.places = nn.Parameter(torch.ones(1, 1, 4)), nn.Parameter(torch.ones(1, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return torch.stack([x[:, 0], self.token.squeeze(1).repeat(x.shape[0], 1)], 1)


class ByHand(nn.Module):
    """Causal attention as it is written by hand, with learned positions; the input is token numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(4, 8), nn.Embedding(6, 8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 3)
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        b, t = x.shape
        h = self.tokens(x) + self.places(torch.arange(t))
        q, k, v = (part.view(b, t, 2, 4).transpose(1, 2) for part in self.qkv(h).split(8, dim=2))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = functional.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(b, t, 8))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.conv(x))
        out += x
        return self.relu(out)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), Block(4), nn.MaxPool2d(2))
        self.block = Block(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.block(self.features(x)))
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Squeezed(nn.Module):
    """Squeeze and excitation, and two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(4, 2), nn.Linear(2, 4)
        self.side = nn.Linear(3, 4)

    def forward(self, image: Tensor, side: Tensor) -> Tensor:
        weight = torch.sigmoid(self.up(torch.relu(self.down(image.mean((2, 3)) + self.side(side)))))
        return (image * weight[:, :, None, None]).sum((-2, -1))


class Frames(nn.Module):
    """Convolutions of each frame by merging time with the batch, then a recurrence; the input is (batch, time, 1, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.slopes, self.groups = nn.PReLU(4), nn.GroupNorm(2, 4)
        self.lstm = nn.LSTM(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        b, t, *image = x.shape
        y = self.slopes(self.norm(self.conv(x.view(b * t, *image))))
        y = functional.max_pool2d(self.groups(y), 2)
        return self.lstm(y.view(b, t, -1))[0][:, -1]


class Turned(nn.Module):
    """A matrix that is turned and changed in place, and a transformer's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 2, enable_nested_tensor=False
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x + 1.0
        functional.relu(y, inplace=True)
        y.mul_(0.5)
        return self.layers(y).permute(0, 2, 1).reshape(x.size(0), -1)


MODELS: dict[str, tuple[nn.Module, tuple[Shape, ...]]] = {
    "recurrences": (Recurrences(), ((4, 3),)),
    "attentions": (Attentions(), ((5, 8),)),
    "frames": (Frames(), ((3, 1, 4, 4),)),
    "token": (Token(), ((3, 4),)),
    "turned": (Turned(), ((3, 4),)),
    "residual": (Residual(), ((1, 8, 8),)),
    "two inputs": (Squeezed(), ((4, 3, 3), (3,))),
    "spectral norm": (nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)), ((3,),)),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), ((3,),)),
    "weight norm along the last axis": (nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 2, 2), dim=2), ((3, 4),)),
    "weight norm of all": (nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 2, 2), dim=None), ((3, 4),)),
}


NAMED = {
    "recurrences": {
        "lstm",
        "deep",
        "deep_layer0",
        "deep_layer0_forward",
        "deep_backward",
        "gru_layer0",
        "gru",
        "rnn",
        "rectified",
    },
    "attentions": {
        "plain",
        "plain_linear",
        "plain_scaled_dot_product_attention_softmax",
        "encoder.linear1",
        "encoder.add_1",
    },
}
"""Names of some layers: where a module becomes several, the main one has its path. Of ``rectified`` only the state is used."""

LONG = {"attentions", "turned", "frames", "recurrences"}
"""Models whose fixed-point programs take seconds to make."""


@few("name", MODELS, fast=1, judged=True)
def test_models_are_torch_own(name: str) -> None:
    module, shapes = MODELS[name]
    network = assert_same(randomised(module), *shapes)
    assert NAMED.get(name, set()) <= {node.name for node in network.nodes}
    if name not in LONG:
        assert_fixed_point(network, 2.0**-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("attentions", marks=pytest.mark.ci), "turned", "frames", "recurrences"])
def test_long_models_in_fixed_point(name: str) -> None:
    module, shapes = MODELS[name]
    assert_fixed_point(read_torch(randomised(module), ReadOptions(input_shape=shapes)), 2.0**-8)


@pytest.mark.slow
@pytest.mark.ci
def test_recurrent_results_in_fixed_point() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.gru = nn.LSTM(2, 3, bidirectional=True, batch_first=True), nn.GRU(6, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.gru(self.lstm(x)[0])[1].squeeze(0)

    assert_fixed_point(assert_same(randomised(Last()), (4, 2)), 2.0**-8)


def test_token_numbers_are_inputs() -> None:
    """Only whole numbers fit an embedding, which a shape alone does not say."""
    module = randomised(ByHand())
    network = assert_same(module, (6,))
    assert network.node(network.inputs[0]).layer.integer  # type: ignore[attr-defined]
    again = read_torch(module, ReadOptions(example=torch.zeros((1, 6), dtype=torch.int64)))
    assert [node.name for node in again.nodes] == [node.name for node in network.nodes]


def test_names_are_the_module_paths() -> None:
    network = read_torch(randomised(Residual()), ReadOptions(input_shape=(1, 8, 8)))
    names = [node.name for node in network.nodes if "channels" not in node.name]
    assert names == [
        "x",
        "features.0",
        "features.1",
        "features.2.conv",
        "features.2.norm",
        "features.2.add",
        "features.2.relu",
        "features.3",
        "block.conv",
        "block.norm",
        "block.add",
        "block.relu",
        "block.conv_1",
        "block.norm_1",
        "block.add_1",
        "block.relu_1",
        "adaptive_avg_pool2d",
        "flatten",
        "head",
    ]
    kinds = {node.name: node.source for node in network.nodes}
    assert (kinds["features.0"], kinds["features.3"], kinds["head"]) == ("Conv2d", "MaxPool2d", "Linear")


class Shy(nn.Module):
    """Fails while it is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 2), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            raise RuntimeError("not while exporting")
        return self.layers(x) * 2.0


class Frozen(nn.Module):
    """Without gradients, and with a number of a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("factor", torch.tensor(3.0))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.factor.item()


def test_modules_that_export_only_after_symbolic_tracing() -> None:
    network = assert_same(randomised(Shy()), (3,))
    assert [node.name for node in network.nodes] == ["x", "layers.0", "layers.1", "mul"]
    assert_same(randomised(Frozen()), (3,))


def test_modules_that_fix_the_number_of_samples_of_an_input() -> None:
    class Counting(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return x.reshape(len(x), 6), y * 2.0

    assert_same(Counting(), (2, 3), (4,))


def test_changes_in_place_are_seen_by_later_readers() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU(inplace=True)
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            hidden = x * 2.0
            return self.fc(self.relu(hidden)) + hidden

    network = assert_same(randomised(Residual()), (4,))
    assert [node.name for node in network.nodes] == ["x", "mul", "relu", "fc", "add"]


def test_writes_through_views_change_what_they_show() -> None:
    class Writing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2.0
            first = y[:, 0]
            first.add_(1.0)
            y.transpose(1, 2)[:, 1:3].mul_(x[:, :1, 1:3].mT)
            return y

    assert_same(Writing(), (3, 4))


@pytest.mark.parametrize("zeros", [False, True])
def test_attention_with_keys_and_values_of_its_own(zeros: bool) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True, add_zero_attn=zeros)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x)[0]

    assert_same(randomised(Attending()), (3, 4))


def test_a_single_module_has_the_name_of_its_class() -> None:
    network = read_torch(nn.Linear(3, 2).double(), ReadOptions(input_shape=(3,)))
    assert [node.name for node in network.nodes] == ["input", "linear"]


def test_a_module_keeps_its_mode() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Dropout(0.5)).eval(), nn.BatchNorm1d(3))
    read_torch(module, ReadOptions(input_shape=[(3,)]))
    assert [part.training for part in module.modules()] == [True, True, False, False, True]


class Summing(nn.Module):
    """Operations that are exact on few bits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.deep = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 3, 2, groups=3)
        self.up = nn.ConvTranspose2d(3, 2, 2, stride=2)
        self.head = nn.Linear(2 * 4 * 4, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        y = functional.relu(self.conv(x))
        z = self.up(self.deep(y))
        pooled = functional.max_pool2d(y, 2, 1)
        z = torch.cat([z, -z], 1).clamp(-100.0, 100.0)[:, 1:3]
        return [self.head(z.flatten(1)), pooled.sum((2, 3)), z.permute(0, 2, 3, 1).amax(1), z.argmax(1)]


@pytest.mark.parametrize("seed", range(3))
def test_exact_weights_give_torch_bits(seed: int) -> None:
    """With weights and inputs of few bits both torch's single precision and the formats here are exact."""
    module = exact(Summing(), seed)
    network = resolve(read_torch(module, ReadOptions(input_shape=(2, 5, 5))), {"Model": {"Precision": "fixed<40,16>"}})
    rng = np.random.default_rng(seed)
    x = rng.integers(-16, 17, (5, 2, 5, 5)) / 4.0
    for got, wanted in zip(fixed_point(network, [x]), outputs_of(module, [x.astype(np.float32)]), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.slow
@pytest.mark.ci
def test_what_a_program_computes_with_a_fixed_batch() -> None:
    """Programs that are exported for one or for several samples; modules that insist on a number."""
    module = randomised(nn.Sequential(nn.Conv1d(2, 3, 2), nn.Flatten(), nn.Linear(9, 4), nn.LayerNorm(4)))
    for samples in (1, 3):
        program = torch.export.export(module, (torch.zeros(samples, 2, 4),))
        assert_same(module, network=read_torch(program))
    for samples, parts, shape in ((1, Recurrences(), (4, 3)), (1, Attentions(), (5, 8)), (2, Token(), (3, 4))):
        module = randomised(parts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (torch.zeros(samples, *shape),))
        assert_same(module, network=read_torch(program))
    turned = randomised(nn.LSTM(3, 2))  # time comes first, as a dynamic second axis says

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = turned

        def forward(self, x: Tensor) -> Tensor:
            return self.lstm(x)[0][-1]

    with pytest.warns(UserWarning):
        program = torch.export.export(Last(), (torch.zeros(4, 2, 3),), dynamic_shapes=({1: torch.export.Dim("batch")},))
    network = read_torch(program)
    x = inputs_of(network)[0]
    with torch.no_grad():
        wanted = Last()(torch.from_numpy(np.moveaxis(x, 0, 1).copy())).numpy()
    np.testing.assert_allclose(network.evaluate([x.astype(np.float64)])[network.outputs[0]], wanted, atol=1e-5)


def test_weights_must_be_numbers() -> None:
    module = nn.Linear(3, 2)
    with torch.no_grad():
        module.weight[0, 1] = math.nan
    with pytest.raises(ModelFileError, match="1 NaN"):
        read_torch(module, ReadOptions(input_shape=(3,)))
