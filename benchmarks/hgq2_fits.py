"""The networks of `fits.py` in layers of HGQ2, and their training: many replicas at once with JAX, for which a GPU is quick.

    python benchmarks/hgq2_fits.py lstm --replicas 32 --seconds 380 --into FOLDER

HGQ2 has no LSTM: here it is of quantized products, sums and tables, which all steps share. It has no layer normalization either:
batches are normalized in its place, which costs less. Replicas begin from four seeds, or from ``--seeds 2``. The price of bits
rises from 1e-8 to each replica's own, from 3e-7 to 1e-4. Of each replica the cheapest state is kept that loses no more on others
than `fit`, and the cheapest that is 0.1 % better, for `fit_table.py --trained FOLDER`, which converts them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import numpy.typing as npt

BATCH, KEPT, MARGINS = 200, 6, (0.0, 0.001)
PRICES, START, RATE = (3e-7, 1e-4), 1e-8, 3e-3
NEVER = 1e9
"""The price of a network that keeps no accuracy."""
PASSES = 5
"""Passes between two looks at the samples that choose."""

Arrays = Sequence[npt.NDArray[Any]]


def dense(*widths: int) -> list[Any]:
    """Dense layers with ReLU between them."""
    from hgq.layers import QDense

    return [QDense(width, activation="relu") for width in widths[:-1]] + [QDense(widths[-1])]


def _chain(shape: tuple[int, ...], layers: Callable[[], list[Any]]) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *layers()])


def _image() -> list[Any]:
    from hgq.layers import QConv2D
    from keras.layers import Flatten, MaxPooling2D

    return [QConv2D(6, 3, activation="relu"), MaxPooling2D(2), Flatten(), *dense(10)]


def _signal() -> list[Any]:
    from hgq.layers import QAveragePooling1D, QConv1D
    from keras.layers import Flatten

    layers = [QConv1D(6, 5, strides=2, activation="relu"), QConv1D(8, 5, strides=2, activation="relu")]
    return [*layers, QAveragePooling1D(13), Flatten(), *dense(4)]


def _lstm() -> Any:
    import keras
    from hgq.layers import QAdd, QDense, QMultiply, QUnaryFunctionLUT
    from keras.layers import Concatenate

    x, size = keras.Input((8, 4)), 8
    functions = {"input": "sigmoid", "forget": "sigmoid", "new": "tanh", "output": "sigmoid"}
    products = {
        gate: QDense(size, bias_initializer="ones" if gate == "forget" else "zeros", name=f"{gate}_products")
        for gate in functions
    }
    tables = {gate: QUnaryFunctionLUT(function, name=f"{gate}_gate") for gate, function in functions.items()}
    kept, written, shown = (QMultiply(name=name) for name in ("kept", "written", "shown"))
    total, shape, joined = QAdd(name="cell"), QUnaryFunctionLUT("tanh", name="shape"), Concatenate(name="joined")
    hidden = cell = keras.ops.concatenate([keras.ops.zeros_like(x[:, 0, :1])] * size, axis=-1)
    for step in range(8):
        now = joined([x[:, step], hidden])
        gates = {gate: tables[gate](products[gate](now)) for gate in functions}
        cell = total([kept([gates["forget"], cell]), written([gates["input"], gates["new"]])])
        hidden = shown([gates["output"], shape(cell)])
    return keras.Model(x, QDense(3, name="read")(hidden))


def _transformer(steps: int) -> Any:
    import keras
    from hgq.layers import QAdd, QBatchNormalization, QDense, QMeanPow2, QMultiHeadAttention

    x = keras.Input((steps, 4))
    tokens = QDense(8)(x)
    tokens = QBatchNormalization()(QAdd()([tokens, QMultiHeadAttention(2, 4)(tokens, tokens)]))
    forward = QDense(8)(QDense(16, activation="relu")(tokens))
    tokens = QBatchNormalization()(QAdd()([tokens, forward]))
    return keras.Model(x, QDense(3)(QMeanPow2(axes=1)(tokens)))


NETWORKS: Mapping[str, Callable[[], Any]] = {
    "tagger": partial(_chain, (16,), partial(dense, 64, 32, 32, 5)),
    "digits": partial(_chain, (64,), partial(dense, 24, 16, 10)),
    "cnn": partial(_chain, (8, 8, 1), _image),
    "vibrations": partial(_chain, (64, 1), _signal),
    "lstm": _lstm,
    "transformer": partial(_transformer, 8),
    "lookups": partial(_transformer, 6),
}
"""By the names of ``CASES``."""


def network(name: str, seed: int = 0, price: float = START) -> Any:
    """A network whose bits cost."""
    import keras
    from hgq.config import LayerConfigScope

    keras.utils.set_random_seed(seed)
    with LayerConfigScope(enable_ebops=True, beta0=price):
        return NETWORKS[name]()


@dataclass(frozen=True)
class Samples:
    """Those to train on, those that choose, and the accuracy to keep on the latter."""

    seen: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
    others: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
    least: float


class Replicas:
    """The states of all replicas, each an array with one row for each, and the steps that change them."""

    def __init__(self, name: str, samples: Samples, count: int, seeds: int) -> None:
        import jax
        import keras

        models = [network(name, seed) for seed in range(min(seeds, count))]
        self.net, self.samples, self.count = models[0], samples, count
        self.rate = keras.optimizers.Adam(RATE, clipnorm=5.0)
        self.rate.build(self.net.trainable_variables)

        def stacked(variables: Callable[[Any], Arrays]) -> list[Any]:
            read = [[np.asarray(each) for each in variables(model)] for model in models]
            return [
                jax.numpy.asarray(np.stack([read[at % len(models)][place] for at in range(count)]))
                for place in range(len(read[0]))
            ]

        self.states = (
            stacked(lambda model: model.trainable_variables),
            stacked(lambda model: model.non_trainable_variables),
            stacked(lambda _: self.rate.variables),
        )
        endless = jax.numpy.full(count, NEVER)
        self.best = [(endless, *self.states[:2]) for _ in MARGINS]
        steps = max(count // seeds, 1)
        self._ends = np.geomspace(*PRICES, steps)[np.arange(count) // seeds % steps]
        ranges = _ranges(self.net, set())
        variables = self.net.non_trainable_variables
        self._priced, self._cost = ([each.name == name for each in variables] for name in ("beta", "ebops"))
        self._begun = [(-1e9 if each.name == "i" else 0.0) if id(each) in ranges else None for each in variables]
        self._learning = next(at for at, each in enumerate(self.rate.variables) if each.name == "learning_rate")
        self._round = jax.jit(self._looked_at)
        self._key = jax.random.key(0)

    def run(self, progress: float) -> None:
        """Some passes at the prices and the learning rate of this part of the training, and a look at what it has reached."""
        import jax

        risen = np.clip((progress - 0.1) / 0.6, 0.0, 1.0)
        prices = (START * (self._ends / START) ** risen).astype(np.float32)
        late = max(progress - 0.6, 0.0) / 0.4
        rate = np.float32(RATE * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * late))))
        self._key, key = jax.random.split(self._key)
        self.states, self.best = self._round(self.states, self.best, prices, np.full(self.count, rate), key)
        jax.block_until_ready(self.best)

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """The cheapest states, by names of arrays that `states_of` reads."""
        found: dict[str, npt.NDArray[Any]] = {}
        for margin, (costs, *parts) in enumerate(self.best):
            order = np.argsort(np.asarray(costs))[:KEPT]
            found[f"e{margin}"] = np.asarray(costs)[order]
            for mark, arrays in zip("tn", parts, strict=True):
                found |= {f"{mark}{margin}_{at}": np.asarray(each)[order] for at, each in enumerate(arrays)}
        return found

    def _looked_at(self, states: Any, best: Any, prices: Any, rates: Any, key: Any) -> Any:
        import jax
        import jax.numpy as jnp

        x, labels = map(jnp.asarray, self.samples.seen)

        def one(states: Any, key: Any) -> Any:
            rows = jax.random.permutation(key, len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH)
            passed = jax.vmap(self._epoch, in_axes=(0, 0, 0, None, None))
            return passed(states, prices, rates, x[rows], labels[rows]), None

        states, _ = jax.lax.scan(one, states, jax.random.split(key, PASSES))
        reached, costs, traced = jax.vmap(self._evaluated)(*states[:2])
        chosen = []
        for margin, (least, trained, others) in zip(MARGINS, best, strict=True):
            better = (reached >= self.samples.least + margin) & (costs < least)
            pick = partial(_picked, better)
            chosen.append((pick(costs, least), [*map(pick, states[0], trained)], [*map(pick, traced, others)]))
        return states, chosen

    def _epoch(self, states: Any, price: Any, rate: Any, x: Any, labels: Any) -> Any:
        import jax
        import jax.numpy as jnp

        def loss(trained: Any, others: Any, x: Any, labels: Any) -> Any:
            outputs, others, prices = self.net.stateless_call(trained, others, x, training=True, return_losses=True)
            likely = jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1)
            return sum(prices) - jnp.mean(likely), others

        def step(states: Any, batch: Any) -> Any:
            trained, others, rates = states
            (_, others), slopes = jax.value_and_grad(loss, has_aux=True)(trained, others, *batch)
            trained, rates = self.rate.stateless_apply(rates, slopes, trained)
            return (list(trained), list(others), list(rates)), None

        trained, others, rates = states
        others = [
            jnp.asarray(price, each.dtype) if priced else each
            for each, priced in zip(others, self._priced, strict=True)
        ]
        rates = [rate if at == self._learning else each for at, each in enumerate(rates)]
        return jax.lax.scan(step, (trained, others, rates), (x, labels))[0]

    def _evaluated(self, trained: Any, others: Any) -> Any:
        """The accuracy on the others, HGQ2's price, and the state with the ranges of what it was trained on."""
        import jax
        import jax.numpy as jnp
        from hgq.utils.minmax_trace import TrainingFlagWrapper

        x = _in_parts(self.samples.seen[0], 1000)
        chosen, labels = (_in_parts(each, 4000) for each in self.samples.others)
        others = [
            each if begun is None else jnp.full(each.shape, begun, each.dtype)
            for each, begun in zip(others, self._begun, strict=True)
        ]

        def traced(others: Any, x: Any) -> Any:
            return list(self.net.stateless_call(trained, others, x, training=TrainingFlagWrapper("tracing"))[1]), None

        others, _ = jax.lax.scan(traced, others, x)

        def right(total: Any, batch: Any) -> Any:
            outputs, _ = self.net.stateless_call(trained, others, batch[0], training=False)
            return total + jnp.sum(outputs.argmax(1) == batch[1]), None

        total, _ = jax.lax.scan(right, 0, (chosen, labels))
        cost = sum(each.astype(jnp.float32) for each, counted in zip(others, self._cost, strict=True) if counted)
        return total / labels.size, cost, others


def _picked(better: Any, new: Any, old: Any) -> Any:
    import jax.numpy as jnp

    return jnp.where(better.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)


def _in_parts(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    size = min(size, len(values))
    return values[: len(values) // size * size].reshape(-1, size, *values.shape[1:])


def _ranges(layer: Any, found: set[int]) -> set[int]:
    """The variables of quantizers that wrap, which `trace_minmax` of HGQ2 finds, by their identities."""
    if hasattr(layer, "_i_decay_speed") and layer.trainable:
        found |= {id(layer._i), id(layer._k)}
    for part in layer._layers:
        _ranges(part, found)
    return found


def states_of(path: Path) -> list[list[npt.NDArray[Any]]]:
    """The kept states of a file, each a list of the values of all variables, the trained ones first; the cheapest first."""
    read = np.load(path)
    found: dict[float, list[npt.NDArray[Any]]] = {}
    for margin in range(len(MARGINS)):
        names = [
            f"{mark}{margin}_{at}"
            for mark in "tn"
            for at in range(sum(name.startswith(f"{mark}{margin}_") for name in read.files))
        ]
        arrays = [read[name] for name in names]
        for row, cost in enumerate(read[f"e{margin}"]):
            if cost < NEVER:
                found[float(cost)] = [each[row] for each in arrays]
    return [found[cost] for cost in sorted(found)]


def main() -> None:
    """Train a network."""
    from fit_table import samples_of

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*NETWORKS])
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=4, help="seeds from which replicas begin")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--into", type=Path, required=True)
    given = parser.parse_args()
    replicas = Replicas(given.name, samples_of(given.name), given.replicas, given.seeds)
    begun: float | None = None
    while begun is None or time.monotonic() - begun < given.seconds:
        replicas.run(0.0 if begun is None else (time.monotonic() - begun) / given.seconds)
        begun = begun or time.monotonic()
        print([float(np.asarray(costs).min()) for costs, *_ in replicas.best], flush=True)
    np.savez_compressed(given.into / f"{given.name}.npz", **replicas.kept())


if __name__ == "__main__":
    main()
