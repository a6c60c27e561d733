"""One call makes a circuit of an ordinary float classifier, as the first pages promise; their own code runs in ``tests/docs``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import run

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bitsmith
from bitsmith.report.sections import Resources, Verification

TRAINING = """
import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

keras.utils.set_random_seed(0)
digits = load_digits()
x, _, labels, _ = train_test_split(digits.data / 16, digits.target, test_size=0.25, random_state=0)
layers = [keras.layers.Dense(32, "relu"), keras.layers.Dense(16, "relu"), keras.layers.Dense(10, "softmax")]
model = keras.Sequential([keras.Input((64,)), *layers])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, labels, epochs=30, verbose=0)
keras.Model(model.inputs, model.outputs).save("classifier.keras")  # without the optimizer
"""
"""In a process of its own: Keras trains with jax, not with numpy."""


@pytest.mark.slow
@pytest.mark.tools
def test_one_call_on_an_ordinary_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A float perceptron on scikit-learn's digits, which does not fit the default part with the default bits."""
    monkeypatch.chdir(tmp_path)
    run([sys.executable, "-c", TRAINING], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    digits = load_digits()
    x_train, x, _, labels = train_test_split(digits.data / 16, digits.target, test_size=0.25, random_state=0)
    model = bitsmith.convert("classifier.keras", calibration=x_train[:1000])
    outputs, report = model.predict(x), model.build(fit=True)
    floating = np.asarray(keras.saving.load_model("classifier.keras")(x)).argmax(1)
    assert np.mean(outputs.argmax(1) == floating) > 0.97 and np.mean(outputs.argmax(1) == labels) > 0.93
    verified, counted = report.find(Verification), report.find(Resources)
    assert verified is not None and verified.mismatches == 0
    assert counted is not None and counted.lut is not None and counted.lut < 40_000
