"""Images of other models are taken where a circuit computes these, and refused by the layer's name where it does not."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import bitsmith
from bitsmith.errors import UnsupportedError

X = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def converted(limit: float, folder: Path) -> bitsmith.Model:
    keras.utils.set_random_seed(1)
    parts = [keras.layers.Dense(8, name="a"), keras.layers.ReLU(limit, name="b"), keras.layers.Dense(4, name="c")]
    model = keras.Sequential([keras.Input((8,), name="x"), *parts], name="small")
    return bitsmith.convert(
        model,
        folder,
        calibration=X,
        io_type="io_stream",
        strategy="shared",
        reuse_factor=128,
        part="xc7z020clg400-1",
        weight_memory="32 bits, 533 MHz, 200 ns, 75 %",
    )


def test_limits_of_the_other_model_are_not_left_out_unsaid(tmp_path: Path) -> None:
    model = converted(6.0, tmp_path / "first")
    same = bitsmith.write_image(model, converted(6.0, tmp_path / "same"), tmp_path / "image")
    np.testing.assert_array_equal(same.predict(X), model.predict(X))
    with pytest.raises(UnsupportedError, match="layer 'b': another ReLU"):
        bitsmith.write_image(model, converted(5.0, tmp_path / "other"), tmp_path / "none")
    assert not (tmp_path / "none").exists()
