"""Trains, converts, builds and measures the decision circuit."""

from __future__ import annotations

from examples.scenario import Limits, Settings, built, circuit_figures, main  # isort: skip

import keras
import matplotlib.pyplot as plt
import numpy as np
from examples.figures import EMULATOR, Figure, Floats
from examples.finance.data import CLASSES, FEATURES, LEVELS, ticks

import bitsmith

PERIOD_NS = 10.0
FAST_PART, FAST_PERIOD_NS = "xcvu13p-flga2577-2-e", 3.0
LIMITS = Limits(latency_ns=100, interval_ns=24)
CONFIG = {"LayerName": {"decision": {"Implementation": "argmax"}}}


def trained(x: Floats, y: np.ndarray, epochs: int) -> keras.Model:
    """A network from the features of a tick to a decision."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((FEATURES,), name="tick"),
            keras.layers.Dense(20, activation="relu", name="fc1"),
            keras.layers.Dense(len(CLASSES), name="scores"),
            keras.layers.Softmax(name="decision"),
        ]
    )
    network.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    network.fit(x, y, epochs=epochs, batch_size=256, verbose=0)
    return network


def rule(x: Floats) -> np.ndarray:
    """What the network must beat: the side with more orders at the best level wins, if it is twice as many."""
    imbalance = x[:, 0] - x[:, LEVELS]
    return np.where(imbalance > 1, 2, np.where(imbalance < -1, 0, 1))


def balanced(decided: np.ndarray, y: np.ndarray) -> float:
    """The mean over the classes of the share that is decided rightly, in percent."""
    return 100 * float(np.mean([np.mean(decided[y == one] == one) for one in np.unique(y)]))


def draw(shares: dict[str, np.ndarray], settings: Settings) -> None:
    """How often each decision is made, for each thing that happened."""
    figure, axes = plt.subplots(1, len(shares), figsize=(7, 3.2), sharey=True)
    for each, (title, share) in zip(axes, shares.items(), strict=True):
        each.imshow(share, cmap="Blues", vmin=0, vmax=1)
        each.set(title=title, xlabel="decided", xticks=range(3), yticks=range(3))
        each.set_xticklabels(CLASSES), each.set_yticklabels(CLASSES)
        for (row, column), value in np.ndenumerate(share):
            each.text(column, row, f"{value:.0%}", ha="center", va="center", color="white" if value > 0.5 else "black")
    axes[0].set_ylabel("happened")
    figure.tight_layout()
    figure.savefig(settings.pictures / "decisions.png", dpi=100)


def run(settings: Settings) -> list[Figure]:
    """The whole scenario."""
    count, epochs = (2000, 1) if settings.quick else (60_000, 20)
    (x, y), (x_test, y_test) = ticks(count, seed=1), ticks(count // 4, seed=2)
    network = trained(x, y, epochs)
    model = bitsmith.convert(
        network, settings.folder / "ecp5", CONFIG, calibration=x[:5000], clock_period=PERIOD_NS, bits=6, check=False
    )
    print(model)
    decided = model.predict(x_test).argmax(axis=1)
    expected = np.asarray(network.predict(x_test, verbose=0)).argmax(axis=1)
    happened = {"rule": rule(x_test), "float network": expected, "circuit": decided}
    scores = {name: balanced(found, y_test) for name, found in happened.items()}
    draw({name: _confusion(found, y_test) for name, found in happened.items()}, settings)
    figures = [
        Figure("balanced accuracy of the rule", scores["rule"], "%", EMULATOR),
        Figure("balanced accuracy of the float network", scores["float network"], "%", "Keras"),
        Figure(
            "balanced accuracy", scores["circuit"], "%", EMULATOR, round(scores["float network"] - 1, 2), at_least=True
        ),
    ]
    report = built(model, x_test[:200], settings)
    figures += circuit_figures(report, PERIOD_NS, LIMITS, {"LUT": 83_640, "FF": 83_640, "DSP": 156})
    fast = bitsmith.convert(
        network,
        settings.folder / "vu13p",
        CONFIG,
        calibration=x[:5000],
        part=FAST_PART,
        clock_period=FAST_PERIOD_NS,
        bits=6,
        check=False,
    )
    report = built(fast, x_test[:200], settings, pnr=False)
    return figures + circuit_figures(report, FAST_PERIOD_NS, Limits(), {"LUT": 1_728_000}, "UltraScale+")


def _confusion(decided: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([[np.mean(decided[y == row] == column) for column in range(3)] for row in range(3)])


if __name__ == "__main__":
    main("finance", run)
