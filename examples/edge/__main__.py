"""Trains, converts, builds and measures the keyword spotter."""

from __future__ import annotations

from examples.scenario import Limits, Settings, built, circuit_figures, main  # isort: skip

import keras
import matplotlib.pyplot as plt
import numpy as np
from examples.edge.data import BANDS, FRAME_MS, FRAMES, WORDS, words
from examples.figures import EMULATOR, Figure, Floats

import bitsmith

PART, PERIOD_NS = "iCE40UP5K-SG48", 1e3 / 12
LIMITS = Limits(latency_ns=FRAME_MS * 1e6, interval_ns=FRAME_MS * 1e6)
CONFIG = {"Model": {"ReuseFactor": 256, "Strategy": "Resource"}}


def trained(x: Floats, y: np.ndarray, epochs: int) -> keras.Model:
    """A network from the frames of an utterance to scores of the words."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((FRAMES, BANDS), name="frames"),
            keras.layers.Conv1D(12, 3, strides=2, activation="relu", name="conv1"),
            keras.layers.Conv1D(16, 3, strides=2, activation="relu", name="conv2"),
            keras.layers.GlobalMaxPooling1D(name="loudest"),
            keras.layers.Dense(len(WORDS), name="scores"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(5e-3), loss)
    network.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    return network


def draw(x: Floats, y: np.ndarray, said: np.ndarray, settings: Settings) -> None:
    """An utterance of each word, and what the circuit says to it."""
    figure, axes = plt.subplots(1, len(WORDS), figsize=(9, 2.3), sharey=True)
    for word, each in enumerate(axes):
        one = int(np.argmax(y == word))
        each.imshow(x[one].T, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=1)
        each.set_title(f"{WORDS[word]}: heard {WORDS[said[one]]}", fontsize=8)
        each.set_xlabel("frame")
    axes[0].set_ylabel("band")
    figure.tight_layout()
    figure.savefig(settings.pictures / "words.png", dpi=90)


def run(settings: Settings) -> list[Figure]:
    """The whole scenario."""
    count, epochs = (300, 1) if settings.quick else (4000, 15)
    (x, y), (x_test, y_test) = words(count, seed=1), words(max(count // 4, 100), seed=2)
    network = trained(x, y, epochs)
    model = bitsmith.convert(
        network,
        settings.folder / "ice40",
        CONFIG,
        calibration=x,
        part=PART,
        clock_period=PERIOD_NS,
        io_type="io_stream",
        bits=6,
        check=False,
    )
    print(model)
    expected = np.asarray(network.predict(x_test, verbose=0)).argmax(axis=1)
    said = model.predict(x_test).argmax(axis=1)
    draw(x_test, y_test, said, settings)
    right = [100 * float(np.mean(one == y_test)) for one in (expected, said)]
    figures = [
        Figure("accuracy of the float network", right[0], "%", "Keras"),
        Figure("accuracy", right[1], "%", EMULATOR, 90, at_least=True),
    ]
    report = built(model, x_test[: 2 if settings.quick else 20], settings)
    return figures + circuit_figures(report, PERIOD_NS, LIMITS, {"LUT": 5_280, "FF": 5_280, "DSP": 8, "BRAM": 30})


if __name__ == "__main__":
    main("edge", run)
