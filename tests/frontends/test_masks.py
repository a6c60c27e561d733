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


def heads(**options: bool) -> nn.Module:
    return nn.MultiheadAttention(CHANNELS, 2, batch_first=True, **options)


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
    "keys and a padded key": Case(
        lambda m, x, k: m(x, x, x, key_padding_mask=k, need_weights=False)[0],
        [X, left_out(STEPS, every=4)],
        lambda: heads(add_bias_kv=True),
    ),
    "padded keys and a constant": Case(
        lambda m, x, k: m(x, x, x, key_padding_mask=k, attn_mask=CAUSAL_FLOAT)[0],
        [X, KEYS],
        lambda: heads(add_zero_attn=True, add_bias_kv=True),
    ),
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
SLOW = {"encoder", "encoder layer", "decoder", "keys and a constant", "padded keys and a constant", "keys as numbers"}


@pytest.mark.filterwarnings("ignore:Support for mismatched")
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


def keras_cases() -> dict[str, tuple[Callable[[], object], Sequence[np.ndarray]]]:
    """Models of Keras, and inputs."""
    import keras
    from keras import layers

    def given(queries: np.ndarray, dtype: str, **options: object) -> object:
        x, mask = keras.Input((STEPS, CHANNELS)), keras.Input(queries.shape[1:], dtype=dtype)
        return keras.Model([x, mask], layers.MultiHeadAttention(2, 3)(x, x, attention_mask=mask, **options))

    def embedded() -> object:
        tokens = keras.Input((STEPS,), dtype="int32")
        x = layers.Embedding(7, 6, mask_zero=True)(tokens)
        for _ in range(2):
            x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)]))
        return keras.Model(tokens, layers.Dense(2)(x))

    def masked() -> object:
        x, y = keras.Input((STEPS, CHANNELS)), keras.Input((3, CHANNELS))
        query, value = layers.Dense(4)(layers.Masking()(x)), layers.Dense(4)(layers.Masking()(y))
        return keras.Model([x, y], layers.Attention()([query, value], use_causal_mask=True))

    def chosen() -> object:
        x, mask = keras.Input((STEPS, CHANNELS)), keras.Input((STEPS, 1), dtype="bool")
        return keras.Model([x, mask], layers.Softmax(axis=1)(x, mask=mask))

    def recurrent() -> object:
        given = keras.Input((STEPS, CHANNELS))
        x = layers.Masking()(given)
        y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
        y = layers.LayerNormalization()(y)
        cells = layers.RNN([layers.SimpleRNNCell(3), layers.LSTMCell(3)], go_backwards=True)
        return keras.Model(given, [*layers.GRU(3, return_state=True)(y), cells(y)])

    few, each = ~left_out(STEPS, STEPS, every=4), ~left_out(2, STEPS, STEPS)
    return {
        "given": (lambda: given(few, "bool", use_causal_mask=True), [X, few]),
        "given for each head": (lambda: given(each, "float32", return_attention_scores=True), [X, each]),
        "embedded": (embedded, [RNG.integers(0, 7, size=(SAMPLES, STEPS)).astype(np.int32)]),
        "masked": (masked, [X * KEYS[..., None], MEMORY * left_out(3)[..., None]]),
        "recurrent": (recurrent, [X * left_out(STEPS, every=2)[..., None]]),
        "chosen": (chosen, [X, left_out(STEPS, 1, every=3)]),
    }


@pytest.mark.parametrize(
    "name",
    ["given", pytest.param("given for each head", marks=pytest.mark.slow), "embedded", "masked", "recurrent", "chosen"],
)
def test_as_keras(name: str) -> None:
    make, inputs = keras_cases()[name]
    model = make()
    data = [np.asarray(x, np.float64) for x in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        wanted = model([*inputs] if len(inputs) > 1 else inputs[0])  # type: ignore[operator]
        converted = convert(model, calibration=data, check=False)  # type: ignore[arg-type]
    found = converted.predict(data if len(data) > 1 else data[0])
    results = wanted if isinstance(wanted, list | tuple) else [wanted]
    for one, want in zip(found if isinstance(found, list) else [found], results, strict=True):
        assert np.abs(one - np.asarray(want)).max() < 1e-3 * max(float(np.abs(want).max()), 1.0)
