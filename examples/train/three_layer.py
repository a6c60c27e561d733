"""Trains the example network bitsmith_3layer (16-64-32-32-5) and writes the files that ship with the package.

The data are made here: five classes like those of a jet tagger, seen through sixteen observables. Run
`python examples/train/three_layer.py`; it takes about a minute and the same machine always gives the same files.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from qat import (
    Dense,
    Fixed,
    Floats,
    Network,
    Params,
    Schedule,
    fit,
    initial_params,
    measure,
    precision_config,
    write_json,
)

CLASSES, LATENTS, OBSERVABLES = 5, 5, 16
TRAIN, HELD_OUT, SHIPPED = 20_000, 4_000, 1_000

WEIGHT, BIAS = Fixed(4, 2), Fixed(7, 3)
HIDDEN, LOGITS = Fixed(6, 3, signed=False), Fixed(10, 6)
NETWORK = Network(
    "input_1",
    OBSERVABLES,
    Fixed(8, 4),
    (
        Dense("fc1_relu", 64, WEIGHT, BIAS, HIDDEN, density=0.20),
        Dense("fc2_relu", 32, WEIGHT, BIAS, HIDDEN, density=0.08),
        Dense("fc3_relu", 32, WEIGHT, BIAS, HIDDEN, density=0.10),
        Dense("output_softmax", CLASSES, WEIGHT, BIAS, LOGITS, density=0.40, relu=False),
    ),
)
FLOAT_SCHEDULE = Schedule(epochs=30)
FIXED_SCHEDULE = Schedule(epochs=200, batch=1_000, rate=3e-3, digit_price=1.0)


def generate(count: int) -> tuple[Floats, npt.NDArray[np.int32]]:
    """`count` samples of sixteen observables, standardized by the training share, and their balanced labels.

    Each class is a mixture of two correlated Gaussians over five hidden quantities. An observable mixes two of those and bends
    the result: a logarithm-like energy, a bounded ratio, a plain sum or a magnitude, in turn; then it gets detector noise.
    """
    shape = np.random.default_rng(3)
    centers = 1.3 * shape.normal(size=(CLASSES, 2, LATENTS))
    spreads = 0.25 * shape.normal(size=(CLASSES, 2, LATENTS, LATENTS)) + 0.7 * np.eye(LATENTS)
    mixing = np.zeros((LATENTS, OBSERVABLES))
    for column in range(OBSERVABLES):
        chosen = shape.permutation(LATENTS)[:2]
        mixing[chosen, column] = shape.uniform(0.5, 1.0, 2) * shape.choice([-1.0, 1.0], 2)

    rng = np.random.default_rng(3)
    labels = rng.permutation(np.arange(count) % CLASSES).astype(np.int32)
    part = rng.choice(2, size=count)
    hidden = centers[labels, part] + np.einsum("ni,nij->nj", rng.normal(size=(count, LATENTS)), spreads[labels, part])
    mixed = hidden @ mixing
    kind = np.arange(OBSERVABLES) % 4
    bent = np.select(
        [kind == 0, kind == 1, kind == 2], [np.logaddexp(0.0, 2.0 * mixed), np.tanh(mixed), mixed], np.abs(mixed)
    )
    observed = bent + 0.3 * rng.normal(size=bent.shape)
    seen = observed[:TRAIN]
    return ((observed - seen.mean(axis=0)) / seen.std(axis=0)).astype(np.float32), labels


def keras2_layer(class_name: str, config: Mapping[str, object], source: str | None) -> dict[str, object]:
    """One entry of a Keras 2 functional model, fed by the layer `source` if there is one."""
    nodes = [] if source is None else [[[source, 0, 0, {}]]]
    return {"class_name": class_name, "config": dict(config), "name": config["name"], "inbound_nodes": nodes}


def keras2_architecture(network: Network) -> dict[str, object]:
    """The network as Keras 2 describes it in JSON: an InputLayer and Dense layers with inline activations."""
    source = network.input_name
    dtype = {"dtype": "float32"}
    first = {"name": source, "batch_input_shape": [None, network.inputs], **dtype, "sparse": False}
    layers = [keras2_layer("InputLayer", first, None)]
    for layer in network.layers:
        config = {
            "name": layer.name,
            "trainable": True,
            **dtype,
            "units": layer.units,
            "activation": "relu" if layer.relu else "softmax",
            "use_bias": True,
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
            "bias_initializer": {"class_name": "Zeros", "config": {}},
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        }
        layers.append(keras2_layer("Dense", config, source))
        source = layer.name
    whole: dict[str, object] = {
        "name": "three_layer",
        "layers": layers,
        "input_layers": [[network.input_name, 0, 0]],
        "output_layers": [[source, 0, 0]],
    }
    return {"class_name": "Model", "config": whole, "keras_version": "2.0.0", "backend": "tensorflow"}


def write_keras2_weights(path: Path, network: Network, stored: Params) -> None:
    """Writes a Keras 2 weights-only file: a root group per layer, its attribute `weight_names` naming the data sets."""
    with h5py.File(path, "w") as file:
        names = [network.input_name, *(layer.name for layer in network.layers)]
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = "2.0.0"
        file.create_group(network.input_name).attrs["weight_names"] = np.array([], dtype="S1")
        for layer, arrays in zip(network.layers, stored, strict=True):
            group = file.create_group(layer.name)
            paths = [f"{layer.name}/kernel:0", f"{layer.name}/bias:0"]
            group.attrs["weight_names"] = np.array([name.encode() for name in paths])
            for name, array in zip(paths, arrays, strict=True):
                group.create_dataset(name, data=np.asarray(array, np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = Path(__file__).parents[2] / "src" / "bitsmith" / "data" / "models"
    parser.add_argument("--out", type=Path, default=shipped, help="folder for the files (default: the package's)")
    out: Path = parser.parse_args().out

    x, y = generate(TRAIN + HELD_OUT)
    baseline = fit(NETWORK, initial_params(NETWORK, seed=0), x[:TRAIN], y[:TRAIN], FLOAT_SCHEDULE, quantized=False)
    stored = fit(NETWORK, baseline, x[:TRAIN], y[:TRAIN], FIXED_SCHEDULE, quantized=True)
    print(measure(NETWORK, baseline, stored, x[TRAIN:], y[TRAIN:], shipped=SHIPPED).table_row("bitsmith_3layer"))

    write_json(out / "bitsmith_3layer.json", keras2_architecture(NETWORK))
    write_keras2_weights(out / "bitsmith_3layer_weights.h5", NETWORK, stored)
    write_json(out / "bitsmith_3layer.config.json", precision_config(NETWORK, probabilities=Fixed(10, 0, signed=False)))
    shown = slice(TRAIN, TRAIN + SHIPPED)
    np.savez_compressed(out / "bitsmith_3layer_test.npz", inputs=x[shown], labels=y[shown])


if __name__ == "__main__":
    main()
