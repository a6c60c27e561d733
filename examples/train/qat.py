"""Quantization-aware training of small dense networks, and their exact fixed-point arithmetic.

Enters: a description of the layers and their fixed-point formats, and labeled data. Leaves: weights that are exact multiples
of a power of two, most of them zero. Nothing here needs bitsmith: the integer arithmetic below is a second, independent
statement of what the generated circuit computes, `cast(relu(x @ W + b))` with rounding half up and saturation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Params = list[tuple[jax.Array, jax.Array]]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed-point format in the usual notation: `width` bits, of which `integer` (sign included) are before the point."""

    width: int
    integer: int
    signed: bool = True

    @property
    def frac(self) -> int:
        return self.width - self.integer

    @property
    def low(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.width - self.signed)) - 1

    def spec(self, *, modes: str = "") -> str:
        """The format's name in a configuration, `modes` being for instance `RND,SAT`."""
        prefix = "" if self.signed else "u"
        return f"{prefix}fixed<{self.width},{self.integer}{',' + modes if modes else ''}>"


@dataclass(frozen=True, slots=True)
class Dense:
    """A dense layer's name, size and formats; `density` is the share of its weights that pruning leaves."""

    name: str
    units: int
    weight: Fixed
    bias: Fixed
    result: Fixed
    density: float
    relu: bool = True


@dataclass(frozen=True, slots=True)
class Network:
    """Dense layers in order, behind an input that is cast to `input_format`."""

    input_name: str
    inputs: int
    input_format: Fixed
    layers: tuple[Dense, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how to train: the pruning ramp takes the first half of `epochs`, then the zeros are kept.

    `digit_price` is what a non-zero signed digit of a weight costs, in squared steps of the weight's format, when the
    nearest value is chosen: 0 is plain rounding, more prefers weights that need fewer additions.
    """

    epochs: int
    batch: int = 256
    rate: float = 2e-3
    digit_price: float = 0.0
    softening: float = 0.0
    seed: int = 0


def signed_digits(values: npt.ArrayLike) -> Ints:
    """How many non-zero digits each integer has in canonical signed-digit form: the non-zero bits of v XOR 3v."""
    magnitude = np.abs(np.asarray(values, dtype=np.int64)).astype(np.uint64)
    return np.bitwise_count(magnitude ^ (magnitude * np.uint64(3))).astype(np.int64)


def straight_through(value: jax.Array, replacement: jax.Array) -> jax.Array:
    """`replacement` going forward, the gradient of `value` going back."""
    return value + jax.lax.stop_gradient(replacement - value)


def cast(x: jax.Array, to: Fixed) -> jax.Array:
    """Round half up and saturate; the gradient passes inside the range only."""
    scale = 2.0**to.frac
    clipped = jnp.clip(x, to.low / scale, to.high / scale)
    return straight_through(clipped, jnp.clip(jnp.floor(x * scale + 0.5), to.low, to.high) / scale)


def quantize(weight: jax.Array, to: Fixed, digit_price: float) -> jax.Array:
    """The value of the format that is nearest, once its non-zero signed digits are paid for."""
    scale = 2.0**to.frac
    values = np.arange(to.low, to.high + 1)
    clipped = jnp.clip(weight, to.low / scale, to.high / scale)
    distance = (clipped[..., None] * scale - values) ** 2 + digit_price * signed_digits(values)
    return straight_through(clipped, jnp.asarray(values / scale, jnp.float32)[jnp.argmin(distance, axis=-1)])


def float_logits(params: Params, x: jax.Array) -> jax.Array:
    """The plain network in floating point, up to the logits."""
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


def quantised_params(network: Network, params: Params, masks: Sequence[jax.Array], digit_price: float) -> Params:
    """The weights and biases as they will be stored; pruned weights are zero but keep their gradient."""
    stored = []
    for layer, (weight, bias), mask in zip(network.layers, params, masks, strict=True):
        value = quantize(weight, layer.weight, digit_price)
        stored.append((straight_through(value, value * mask), cast(bias, layer.bias)))
    return stored


def fixed_logits(network: Network, stored: Params, x: jax.Array) -> jax.Array:
    """The logits in fixed point, on float32 values that are small enough for every sum to be exact."""
    x = cast(x, network.input_format)
    for layer, (weight, bias) in zip(network.layers, stored, strict=True):
        x = cast(x @ weight + bias, layer.result)
    return x


def initial_params(network: Network, seed: int) -> Params:
    """Normal weights with He's scale and zero biases."""
    rng = np.random.default_rng(seed)
    params, inputs = [], network.inputs
    for layer in network.layers:
        weight = rng.normal(size=(inputs, layer.units)) * np.sqrt(2.0 / inputs)
        params.append((jnp.asarray(weight, jnp.float32), jnp.zeros(layer.units, jnp.float32)))
        inputs = layer.units
    return params


def masks_for(network: Network, params: Params, progress: float) -> list[jax.Array]:
    """Keeps each layer's largest weights; `progress` from 0 to 1 lowers the share kept from all to the layer's density."""
    masks = []
    for layer, (weight, _) in zip(network.layers, params, strict=True):
        share = layer.density + (1.0 - layer.density) * (1.0 - progress) ** 3
        magnitude = np.abs(np.asarray(weight)).ravel()
        kept = np.zeros(magnitude.size, np.float32)
        kept[np.argsort(-magnitude, kind="stable")[: round(share * magnitude.size)]] = 1.0
        masks.append(jnp.asarray(kept.reshape(weight.shape)))
    return masks


@partial(jax.jit, static_argnames=("network", "digit_price", "softening"))
def _epoch(
    network: Network | None,
    params: Params,
    moments: tuple[Params, Params],
    masks: list[jax.Array],
    batches: tuple[jax.Array, jax.Array],
    rates: jax.Array,
    first_step: jax.Array,
    digit_price: float,
    softening: float,
) -> tuple[Params, tuple[Params, Params]]:
    """One pass over the batches with Adam; without a network the arithmetic is floating point."""

    def loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
        if network is None:
            logits = float_logits(params, x)
        else:
            logits = fixed_logits(network, quantised_params(network, params, masks, digit_price), x)
        target = jax.nn.one_hot(y, logits.shape[-1]) * (1.0 - softening) + softening / logits.shape[-1]
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(logits), axis=-1))

    def step(
        state: tuple[Params, tuple[Params, Params], jax.Array], batch: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[Params, tuple[Params, Params], jax.Array], None]:
        params, (mean, square), count = state
        x, y, rate = batch
        gradient = jax.grad(loss)(params, x, y)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)
        rate = rate * jnp.sqrt(1.0 - 0.999**count) / (1.0 - 0.9**count)
        params = jax.tree.map(lambda p, m, s: p - rate * m / (jnp.sqrt(s) + 1e-8), params, mean, square)
        return (params, (mean, square), count + 1.0), None

    (params, moments, _), _ = jax.lax.scan(step, (params, moments, first_step), (*batches, rates))
    return params, moments


def fit(
    network: Network, params: Params, x: Floats, y: npt.NDArray[np.int32], schedule: Schedule, *, quantized: bool
) -> Params:
    """Trains and returns the parameters: quantized and pruned ones as they are to be stored, or plain float ones."""
    rng = np.random.default_rng(schedule.seed)
    steps = len(x) // schedule.batch
    zeros = jax.tree.map(jnp.zeros_like, params)
    moments = (zeros, zeros)
    masks = [jnp.ones_like(weight) for weight, _ in params]
    price = 0.0
    for epoch in range(schedule.epochs):
        progress = min(1.0, 2.0 * epoch / schedule.epochs)
        if quantized and (progress < 1.0 or price == 0.0):
            masks = masks_for(network, params, progress)
            price = schedule.digit_price if progress >= 1.0 else 0.0
        order = rng.permutation(len(x))[: steps * schedule.batch].reshape(steps, schedule.batch)
        position = (epoch + np.arange(steps) / steps) / schedule.epochs
        rates = jnp.asarray(schedule.rate * (0.5 + 0.5 * np.cos(np.pi * position)), jnp.float32)
        batches = (jnp.asarray(x[order]), jnp.asarray(y[order]))
        first = jnp.float32(epoch * steps + 1)
        arithmetic = network if quantized else None
        params, moments = _epoch(arithmetic, params, moments, masks, batches, rates, first, price, schedule.softening)
    return quantised_params(network, params, masks, price) if quantized else params


def to_raw(x: npt.ArrayLike, form: Fixed) -> Ints:
    """Real values as integers of a format's steps, rounded half up and saturated."""
    scaled = np.floor(np.asarray(x, np.float64) * 2.0**form.frac + 0.5)
    return np.clip(scaled, form.low, form.high).astype(np.int64)


def integer_logits(network: Network, stored: Params, x: Floats) -> Ints:
    """The raw logits, by integer arithmetic only: exact sums, then one rounding and saturating cast per layer."""
    values, frac = to_raw(x, network.input_format), network.input_format.frac
    for layer, (weight, bias) in zip(network.layers, stored, strict=True):
        # All sums share the finest step of the products and the bias, so that adding is exact.
        total = max(frac + layer.weight.frac, layer.bias.frac)
        raw_weight = to_raw(weight, layer.weight) << (total - frac - layer.weight.frac)
        sums = values @ raw_weight + (to_raw(bias, layer.bias) << (total - layer.bias.frac))
        if layer.relu:
            sums = np.maximum(sums, 0)
        drop = total - layer.result.frac
        rounded = (sums + (1 << (drop - 1))) >> drop if drop > 0 else sums << -drop
        values, frac = np.clip(rounded, layer.result.low, layer.result.high), layer.result.frac
    return values


@dataclass(frozen=True, slots=True)
class Figures:
    """What a trained network is worth and costs.

    `fixed_shipped` is the accuracy on the samples that ship; `adders` sums per neuron its digits and its bias, less one.
    """

    float_trained: float
    float_stored: float
    fixed: float
    fixed_shipped: float
    weights: int
    nonzero: int
    digits: int
    adders: int

    def table_row(self, name: str) -> str:
        """One row of the Markdown table in the README beside the models."""
        shares = (self.float_trained, self.float_stored, self.fixed, self.fixed_shipped)
        accuracies = " | ".join(f"{100 * share:.1f} %" for share in shares)
        return f"| `{name}` | {accuracies} | {self.weights} | {self.nonzero} | {self.digits} | {self.adders} |"


def measure(
    network: Network, baseline: Params, stored: Params, x: Floats, y: npt.NDArray[np.int32], *, shipped: int
) -> Figures:
    """The figures on held-out data, whose first `shipped` samples ship; raises if training's arithmetic was not exact."""
    raw = integer_logits(network, stored, x)
    simulated = (
        np.asarray(fixed_logits(network, stored, jnp.asarray(x)), np.float64) * 2.0 ** network.layers[-1].result.frac
    )
    if not np.array_equal(raw, simulated.astype(np.int64)):
        raise ArithmeticError("the fixed-point simulation in training differs from integer arithmetic")
    nonzero = digits = adders = 0
    for layer, (weight, bias) in zip(network.layers, stored, strict=True):
        per_weight = signed_digits(to_raw(weight, layer.weight))
        terms = per_weight.sum(axis=0) + (to_raw(bias, layer.bias) != 0)
        nonzero += int(np.count_nonzero(per_weight))
        digits += int(per_weight.sum())
        adders += int(np.maximum(terms - 1, 0).sum())
    return Figures(
        float_trained=_accuracy(float_logits(baseline, jnp.asarray(x)), y),
        float_stored=_accuracy(float_logits(stored, jnp.asarray(x)), y),
        fixed=_accuracy(raw, y),
        fixed_shipped=_accuracy(raw[:shipped], y[:shipped]),
        weights=sum(int(weight.size) for weight, _ in stored),
        nonzero=nonzero,
        digits=digits,
        adders=adders,
    )


def _accuracy(logits: npt.ArrayLike, labels: npt.NDArray[np.int32]) -> float:
    return float(np.mean(np.argmax(np.asarray(logits), axis=-1) == labels))


def precision_config(network: Network, *, probabilities: Fixed) -> Mapping[str, object]:
    """The configuration that gives the network the formats it was trained with, by layer name.

    A Dense layer with an inline activation counts as two layers: the sums under its own name, the activation as
    `<name>_<activation>`. Hidden sums stay exact; only the activation's result is cast.
    """
    modes = "RND,SAT"
    layers: dict[str, object] = {network.input_name: {"Precision": {"result": network.input_format.spec(modes=modes)}}}
    for layer in network.layers:
        precision = {"weight": layer.weight.spec(), "bias": layer.bias.spec()}
        if layer.relu:
            layers[layer.name] = {"Precision": precision}
            layers[f"{layer.name}_relu"] = {"Precision": {"result": layer.result.spec(modes=modes)}}
        else:
            layers[layer.name] = {"Precision": {**precision, "result": layer.result.spec(modes=modes)}}
            layers[f"{layer.name}_softmax"] = {"Precision": {"result": probabilities.spec(modes=modes)}}
    model = {"Precision": {"default": "auto"}, "ReuseFactor": 1, "Strategy": "Latency"}
    return {"Model": model, "LayerName": layers}


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Writes indented JSON that ends in a newline."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
