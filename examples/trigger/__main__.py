"""Trains, converts, builds and measures the circuit that tags jets and scores how unusual they are."""

from __future__ import annotations

from examples.scenario import Limits, Settings, built, circuit_figures, main  # isort: skip

import keras
import matplotlib.pyplot as plt
import numpy as np
from examples.figures import EMULATOR, Figure, Floats
from examples.scenario import squared_error
from examples.trigger.data import CLASSES, FEATURES, jets
from sklearn.metrics import roc_auc_score, roc_curve

import bitsmith

PERIOD_NS = 12.5
LIMITS = Limits(latency_ns=1000, interval_ns=25)
BITS = {
    **dict.fromkeys(("jet", "tag1", "tag1_relu", "tag2", "tag2_relu", "again"), 7),
    "difference": 8,
    "square": 10,
    "error": 12,
    "scores": 10,
}
"""Of layers that need more than the six of the others, for results in steps that are fine enough."""
ECP5 = {"LUT": 83_640, "FF": 83_640, "DSP": 156}


def trained(x: Floats, y: np.ndarray, epochs: int) -> keras.Model:
    """A network of two results: scores of the classes, and the error of an autoencoder that has seen jets of QCD only."""
    keras.utils.set_random_seed(0)
    jet = keras.Input((FEATURES,), name="jet")
    hidden = keras.layers.Dense(12, activation="relu", name="tag1")(jet)
    hidden = keras.layers.Dense(8, activation="relu", name="tag2")(hidden)
    tagger = keras.Model(jet, keras.layers.Dense(len(CLASSES), name="scores")(hidden))
    tagger.compile(keras.optimizers.Adam(5e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    tagger.fit(x, y, epochs=epochs, batch_size=256, verbose=0)
    code = keras.layers.Dense(6, activation="relu", name="encoder")(jet)
    code = keras.layers.Dense(3, activation="relu", name="code")(code)
    code = keras.layers.Dense(6, activation="relu", name="decoder")(code)
    autoencoder = keras.Model(jet, keras.layers.Dense(FEATURES, name="again")(code))
    autoencoder.compile(keras.optimizers.Adam(5e-3), "mse")
    usual = x[y == 0]
    autoencoder.fit(usual, usual, epochs=2 * epochs, batch_size=256, verbose=0)
    return keras.Model(jet, [tagger.output, squared_error(jet, autoencoder.output)])


def areas(y: np.ndarray, error: Floats) -> dict[str, float]:
    """For each class that the autoencoder has not seen: the area under its curve against QCD."""
    found = {}
    for kind in (1, 2):
        among = (y == 0) | (y == kind)
        found[CLASSES[kind]] = float(roc_auc_score(y[among] == kind, error[among]))
    return found


def draw(y: np.ndarray, scores: Floats, errors: dict[str, Floats], settings: Settings) -> None:
    """What the tagger says of each class, and the curves of the anomaly score."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
    for kind, name in enumerate(CLASSES):
        left.hist(
            scores[y == kind, 2] - scores[y == kind, 0], bins=40, histtype="step", density=True, label=f"{name} jets"
        )
    left.set(xlabel="score of top - score of QCD, by the circuit", ylabel="density")
    left.legend()
    for name, error in errors.items():
        for kind in (1, 2):
            among = (y == 0) | (y == kind)
            wrong, right_ones, _ = roc_curve(y[among] == kind, error[among])
            right.plot(wrong, right_ones, "-" if name == "circuit" else "--", label=f"{CLASSES[kind]}, {name}")
    right.set(xlabel="QCD jets kept", ylabel="unusual jets kept", xscale="log", xlim=(1e-3, 1))
    right.legend()
    figure.tight_layout()
    figure.savefig(settings.pictures / "scores.png", dpi=100)


def run(settings: Settings) -> list[Figure]:
    """The whole scenario."""
    count, epochs = (1000, 1) if settings.quick else (20_000, 12)
    (x, y), (x_test, y_test) = jets(count, seed=1), jets(max(count // 4, 500), seed=2)
    network = trained(x, y, epochs)
    model = bitsmith.convert(
        network,
        settings.folder / "ecp5",
        {"LayerName": {name: {"Bits": bits} for name, bits in BITS.items()}},
        calibration=x[:5000],
        clock_period=PERIOD_NS,
        bits=6,
        check=False,
    )
    print(model)
    float_scores, float_error = (np.asarray(one) for one in network.predict(x_test, verbose=0))
    scores, error = model.predict(x_test)
    draw(y_test, scores, {"circuit": error.ravel(), "float": float_error.ravel()}, settings)
    wanted, found = areas(y_test, float_error.ravel()), areas(y_test, error.ravel())
    right = [100 * float(np.mean(one.argmax(axis=1) == y_test)) for one in (float_scores, scores)]
    figures = [
        Figure("tagging: accuracy of the float network", right[0], "%", "Keras"),
        Figure("tagging: accuracy", right[1], "%", EMULATOR, round(right[0] - 1, 2), at_least=True),
    ]
    for name in found:
        figures += [
            Figure(f"anomalies: area under the curve, {name}, float network", wanted[name], "", "Keras"),
            Figure(
                f"anomalies: area under the curve, {name}",
                found[name],
                "",
                EMULATOR,
                round(wanted[name] - 0.01, 4),
                at_least=True,
            ),
        ]
    report = built(model, x_test[:200], settings)
    return figures + circuit_figures(report, PERIOD_NS, LIMITS, ECP5)


if __name__ == "__main__":
    main("trigger", run)
