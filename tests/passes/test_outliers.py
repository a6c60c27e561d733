"""Which calibration samples are outliers, what is said of them, and what the user can do about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.config.resolving import resolve
from bitsmith.errors import ConfigError
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.passes.network.outliers import outlying, settle_outliers
from tests.any_models import module

NETWORK = Network(
    (NetworkNode("x", Input((4,))), NetworkNode("fc", Dense(as_weights(np.eye(4))), ("x",))), ("x",), ("fc",)
)


def data(outlier: float = 1000.0, samples: int = 400) -> Floats:
    x = np.random.default_rng(0).uniform(-1.2, 1.2, (samples, 4))
    x[7, 2] = outlier
    return x


def test_one_sample_far_outside_is_an_outlier() -> None:
    found = outlying(data())
    assert found is not None
    assert np.flatnonzero(found.samples).tolist() == [7]
    assert (found.channel, found.reached) == (2, 1000.0) and found.others < 1.2


@pytest.mark.parametrize(
    "x",
    [
        data(20.0),
        data(samples=10),
        np.where(np.random.default_rng(0).random((400, 4)) < 0.05, 1.0, 0.0),  # mostly 0
        np.random.default_rng(0).choice([0.001, 1.0], (400, 4)),  # two scales, each of many samples
        np.zeros((100, 3)),
        data() * [1e4, 1.0, 64.0, 1e-4] + [0.0, 0.0, 5000.0, 0.0],
    ],
    ids=["near", "few samples", "sparse", "two scales", "nothing", "far from 0"],
)
def test_what_is_no_outlier(x: Floats) -> None:
    assert outlying(x) is None


@pytest.mark.parametrize("samples", [40, 400])
def test_outliers_are_few(samples: int) -> None:
    """One of few samples, of more at most one in fifty."""
    x, most = data(1.0, samples), max(samples // 50, 1)
    x[:most, 1] = 1000.0
    found = outlying(x)
    assert found is not None and np.flatnonzero(found.samples).tolist() == list(range(most))
    x[most, 1] = 1000.0
    assert outlying(x) is None


def test_images_are_looked_at_by_channel() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (50, 5, 5, 3))
    x[3, 2, 2, 1] = 500
    found = outlying(x)
    assert found is not None and np.flatnonzero(found.samples).tolist() == [3] and found.channel == 1


def test_the_user_may_let_them_saturate() -> None:
    kept, (said,) = settle_outliers(NETWORK, [data()])
    assert len(kept[0]) == 400
    assert said.startswith(
        "1 of 400 calibration samples of input 'x' reaches 1000 at index 2 of its last axis; the others stay within 1.1"
    )
    for config in ({"Model": {"Outliers": "saturate"}}, {"LayerName": {"x": {"Outliers": "saturate"}}}):
        kept, (said,) = settle_outliers(resolve(NETWORK, config), [data()])
        assert len(kept[0]) == 399 and np.max(kept[0]) < 1.2
        assert said.endswith("Ranges are those of the others: such inputs saturate.")


def test_convert_tells_of_outliers_and_takes_the_choice(tmp_path: Path) -> None:
    x = data().astype(np.float32)
    kept = bitsmith.convert(module(), tmp_path, input_shape=(4,), calibration=x)
    assert "reaches 1000" in kept.notes[0]
    saturating = bitsmith.convert(module(), tmp_path, input_shape=(4,), calibration=x, outliers="saturate")
    assert "saturate" in saturating.notes[0]
    assert saturating.program.input_ops()[0].hi.max() < kept.program.input_ops()[0].hi.max()
    usual = np.delete(x, 7, axis=0)
    with np.errstate(all="ignore"):
        wanted = np.asarray(saturating.network.evaluate([usual.astype(np.float64)])[saturating.network.outputs[0]])
    for model in (kept, saturating):
        assert np.max(np.abs(np.asarray(model.predict(usual)) - wanted)) < 4e-3 * np.ptp(wanted)
    with pytest.raises(ConfigError, match=r"keep"):
        bitsmith.convert(module(), tmp_path, input_shape=(4,), calibration=x, outliers="drop")


def test_what_is_typical_does_not_depend_on_zeros() -> None:
    """Of a channel that is mostly 0, the others say what is large."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((200, 3)) < 0.7, 0.0, rng.uniform(0.5, 1.5, (200, 3)))
    assert outlying(x) is None
    x[11, 1] = 1000.0
    found = outlying(x)
    assert found is not None and np.flatnonzero(found.samples).tolist() == [11] and found.channel == 1
