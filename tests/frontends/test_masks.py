"""Attention masks of the frameworks, as constants and as inputs, against the frameworks' own outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from bitsmith import convert
from bitsmith.layers.layer import Floats

SAMPLES, STEPS, CHANNELS = 12, 5, 8
RNG = np.random.default_rng(9)
CAUSAL = torch.ones(STEPS, STEPS).triu(1).bool()
CAUSAL_FLOAT = torch.full((STEPS, STEPS), -torch.inf).triu(1)


def numbers(*shape: int) -> Floats:
    return RNG.normal(size=(SAMPLES, *shape)).astype(np.float32)


def left_out(*shape: int, every: int = 0) -> np.ndarray:
    """True where a mask leaves out; in the first samples ``every`` element."""
    found = RNG.random((SAMPLES, *shape)) < 0.4
    found[..., 0] = False
    found[:every] = True
    return found


class Function(nn.Module):
    """A function of modules and inputs."""

    def __init__(self, function: Callable[..., object], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*self.parts, *inputs)


@dataclass(frozen=True)
class Case:
    """A function of a module, if there is one, and the inputs."""

    function: Callable[..., object]
    inputs: Sequence[np.ndarray]
    part: Callable[[], nn.Module] | None = None


def heads() -> nn.Module:
    return nn.MultiheadAttention(CHANNELS, 2, batch_first=True)


def encoder_layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(CHANNELS, 2, 12, batch_first=True)


def encoder() -> nn.Module:
    return nn.TransformerEncoder(encoder_layer(), 1, enable_nested_tensor=False)


def decoder() -> nn.Module:
    return nn.TransformerDecoderLayer(CHANNELS, 2, 12, batch_first=True)


X, KEYS, MEMORY = numbers(STEPS, CHANNELS), left_out(STEPS), numbers(3, CHANNELS)
PARTS = numbers(2, STEPS, 4)


def scores(x: Tensor) -> Tensor:
    return x @ x.transpose(1, 2)


CASES = {
    "constant truths": Case(lambda m, x: m(x, x, x, attn_mask=CAUSAL), [X], heads),
    "constant numbers, heads": Case(
        lambda m, x: m(x, x, x, attn_mask=CAUSAL_FLOAT, average_attn_weights=False), [X], heads
    ),
    "keys": Case(lambda m, x, k: m(x, x, x, key_padding_mask=k, need_weights=False)[0], [X, KEYS], heads),
    "keys and a constant": Case(
        lambda m, x, k: m(x, x, x, key_padding_mask=k, attn_mask=CAUSAL_FLOAT)[0], [X, KEYS], heads
    ),
    "keys as numbers": Case(lambda m, x, k: m(x, x, x, key_padding_mask=k)[0], [X, KEYS * np.float32(-1e9)], heads),
    "truths": Case(
        lambda x, k: scaled_dot_product_attention(x, x, x, attn_mask=k), [PARTS, ~left_out(2, STEPS, STEPS)]
    ),
    "numbers": Case(lambda x, k: scaled_dot_product_attention(x, x, x, attn_mask=k), [PARTS, numbers(2, STEPS, STEPS)]),
    "nothing left": Case(
        lambda x, k: scaled_dot_product_attention(x, x, x, attn_mask=k), [PARTS, ~left_out(1, 1, STEPS, every=4)]
    ),
    "encoder": Case(lambda m, x, k: m(x, mask=CAUSAL_FLOAT, src_key_padding_mask=k), [X, KEYS], encoder),
    "encoder layer": Case(lambda m, x: m(x, src_mask=CAUSAL, is_causal=True), [X], encoder_layer),
    "decoder": Case(
        lambda m, x, y, k, other: m(x, y, tgt_mask=CAUSAL, tgt_key_padding_mask=k, memory_key_padding_mask=other),
        [X, MEMORY, KEYS, left_out(3)],
        decoder,
    ),
    "chosen": Case(lambda x, k: torch.softmax(torch.where(k[:, None] > 0, scores(x), -1e9), -1), [X, numbers(STEPS)]),
    "filled, nothing left": Case(
        lambda x, k: torch.softmax(scores(x).masked_fill(k[:, None], -1e9), -1), [X, left_out(STEPS, every=4)]
    ),
    "multiplied": Case(
        lambda x, k: torch.softmax(scores(x) + (1.0 - k[:, None]) * torch.finfo(torch.float32).min, -1),
        [X, (~KEYS).astype(np.float32)],
    ),
    "multiplied truths": Case(
        lambda x, k: torch.softmax(scores(x) + k[:, None].float() * -1e4, -1), [X, left_out(STEPS, every=4)]
    ),
}
SLOW = {"encoder", "encoder layer", "decoder", "keys and a constant", "keys as numbers"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES])
def test_as_torch(name: str) -> None:
    torch.manual_seed(1)
    case = CASES[name]
    module = Function(case.function, *([] if case.part is None else [case.part()])).eval()
    tensors = [torch.from_numpy(x) for x in case.inputs]
    with torch.no_grad():
        result = module(*tensors)
    wanted = [result] if isinstance(result, Tensor) else list(result)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = convert(module, example=tensors, calibration=[np.asarray(x, np.float64) for x in case.inputs])
    found = model.predict([np.asarray(x, np.float64) for x in case.inputs])
    for one, want in zip(found if isinstance(found, list) else [found], wanted, strict=True):
        assert np.abs(one - want.numpy()).max() < 1e-3 * max(float(want.abs().max()), 1.0)
