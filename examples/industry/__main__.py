"""Trains, converts, builds and measures two circuits: one inspects surfaces, the other one listens to bearings."""

from __future__ import annotations

from examples.scenario import Limits, Settings, built, circuit_figures, main  # isort: skip

import keras
import matplotlib.pyplot as plt
import numpy as np
from examples.figures import EMULATOR, Figure, Floats
from examples.industry.data import BANDS, DEFECTS, SIZE, WEAR, surfaces, vibrations
from examples.scenario import squared_error
from sklearn.metrics import roc_auc_score

import bitsmith

PART, PERIOD_NS = "LFE5U-25F-6BG256C", 20.0
ECP5 = {"LUT": 24_288, "FF": 24_288, "DSP": 28, "BRAM": 56}


def inspector(x: Floats, y: np.ndarray, epochs: int) -> keras.Model:
    """A convolutional network from a patch of a surface to scores of the defects."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1), name="patch"),
            keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="conv1"),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2"),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv3"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(len(DEFECTS), name="scores"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(4e-3), loss)
    network.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    return network


def listener(x: Floats, epochs: int) -> keras.Model:
    """An autoencoder that has heard sound bearings only, and its error as the result."""
    keras.utils.set_random_seed(0)
    levels = keras.Input((BANDS,), name="levels")
    code = keras.layers.Dense(12, activation="relu", name="encoder")(levels)
    code = keras.layers.Dense(4, activation="relu", name="code")(code)
    code = keras.layers.Dense(12, activation="relu", name="decoder")(code)
    autoencoder = keras.Model(levels, keras.layers.Dense(BANDS, name="again")(code))
    autoencoder.compile(keras.optimizers.Adam(5e-3), "mse")
    autoencoder.fit(x, x, epochs=epochs, batch_size=64, verbose=0)
    return keras.Model(levels, squared_error(levels, autoencoder.output))


def inspect(settings: Settings) -> list[Figure]:
    """The figures of the inspection."""
    count, epochs = (200, 1) if settings.quick else (6000, 20)
    (x, y), (x_test, y_test) = surfaces(count, seed=1), surfaces(max(count // 4, 100), seed=2)
    network = inspector(x, y, epochs)
    reuse = {"conv1": 54, "conv2": 216, "conv3": 576, "scores": 288}
    layers = {name: {"ReuseFactor": factor} for name, factor in reuse.items()}
    config = {"Model": {"Strategy": "Resource"}, "LayerName": layers}
    model = bitsmith.convert(
        network,
        settings.folder / "surface",
        config,
        calibration=x[:2000],
        part=PART,
        clock_period=PERIOD_NS,
        io_type="io_stream",
        bits=7,
        check=False,
    )
    print(model)
    found = model.predict(x_test).argmax(axis=1)
    wanted = np.asarray(network.predict(x_test, verbose=0)).argmax(axis=1)
    _draw_surfaces(x_test, y_test, found, settings)
    report = built(model, x_test[: 1 if settings.quick else 10], settings)
    right = [100 * float(np.mean((one > 0) == (y_test > 0))) for one in (wanted, found)]
    return [
        Figure("surface: good and bad told apart, float network", right[0], "%", "Keras"),
        Figure("surface: good and bad told apart", right[1], "%", EMULATOR, 95, at_least=True),
        Figure("surface: defects named rightly", 100 * float(np.mean(found == y_test)), "%", EMULATOR),
        *circuit_figures(report, PERIOD_NS, Limits(1e6, 4e5), ECP5, "surface"),
    ]


def listen(settings: Settings) -> list[Figure]:
    """The figures of the bearings."""
    count, epochs = (200, 1) if settings.quick else (4000, 40)
    x, _ = vibrations(count, seed=1)
    x_test, wear = vibrations(max(count // 4, 200), seed=2, kinds=(0, 1, 2, 3))
    worn, _ = vibrations(500, seed=3, kinds=(0, 1, 2, 3))
    network = listener(x, epochs)
    config = {"Model": {"ReuseFactor": 288, "Strategy": "Resource"}}
    model = bitsmith.convert(
        network,
        settings.folder / "bearing",
        config,
        calibration=np.concatenate([x[:1000], worn]),
        part=PART,
        clock_period=PERIOD_NS,
        bits=8,
        check=False,
    )
    print(model)
    error, wanted = model.predict(x_test).ravel(), np.asarray(network.predict(x_test, verbose=0)).ravel()
    _draw_bearings(wear, error, settings)
    report = built(model, x_test[: 5 if settings.quick else 50], settings)
    return [
        Figure("bearing: area under the curve, float network", float(roc_auc_score(wear > 0, wanted)), "", "Keras"),
        Figure("bearing: area under the curve", float(roc_auc_score(wear > 0, error)), "", EMULATOR, 0.95, True),
        *circuit_figures(report, PERIOD_NS, Limits(1e6, 8.5e7), ECP5, "bearing"),
    ]


def _draw_surfaces(x: Floats, y: np.ndarray, found: np.ndarray, settings: Settings) -> None:
    figure, axes = plt.subplots(2, 2 * len(DEFECTS), figsize=(8, 2.6))
    for kind in range(len(DEFECTS)):
        for each, one in zip(axes[:, 2 * kind : 2 * kind + 2].flat, np.flatnonzero(y == kind)[:4], strict=True):
            each.imshow(x[one, :, :, 0], cmap="gray", vmin=0, vmax=1)
            each.set_title(DEFECTS[found[one]], fontsize=8, color="green" if found[one] == kind else "red")
            each.axis("off")
    figure.tight_layout()
    figure.savefig(settings.pictures / "surfaces.png", dpi=90)


def _draw_bearings(wear: np.ndarray, error: Floats, settings: Settings) -> None:
    figure, axes = plt.subplots(figsize=(6, 3))
    bins = np.geomspace(max(error.min(), 1e-2), error.max(), 40)
    for kind, name in enumerate(WEAR):
        axes.hist(error[wear == kind], bins=bins, alpha=0.6, label=name)
    axes.set(xscale="log", xlabel="error of the autoencoder, by the circuit", ylabel="windows")
    axes.legend()
    figure.tight_layout()
    figure.savefig(settings.pictures / "bearings.png", dpi=90)


def run(settings: Settings) -> list[Figure]:
    """The whole scenario."""
    return inspect(settings) + listen(settings)


if __name__ == "__main__":
    main("industry", run)
