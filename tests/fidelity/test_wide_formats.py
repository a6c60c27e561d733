"""Formats of the user's of 24 bits and more are held against the float model as those of auto; narrower ones are a choice."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from bitsmith import FidelityWarning, Model, convert
from bitsmith.layers.layer import Floats

CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "transposed": lambda: nn.ConvTranspose2d(2, 2, 4, padding=2),
    "convolution": lambda: nn.Conv2d(2, 2, 4, padding=2),
}


def _net(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(CONVOLUTIONS[kind](), nn.Tanh()).eval()


def _inputs() -> Floats:
    return np.random.default_rng(0).uniform(0, 255, (64, 2, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_steep_functions_of_coarse_weights_in_wide_formats_are_told(kind: str, calibrated: bool) -> None:
    """Of 28 bits 16 are for magnitudes that no weight has."""
    net, x = _net(kind), _inputs()
    more = {"calibration": x} if calibrated else {}
    model = convert(net, input_shape=(2, 4, 4), config={"Model": {"Precision": "fixed<28,16>"}}, check=False, **more)
    with pytest.warns(FidelityWarning, match=r"The steps of weight of layer '0' \(fixed<28,16>\) are coarse for"):
        found = model.predict(x)
    wanted = net(torch.tensor(x)).detach().numpy()
    assert np.abs(found - wanted).max() > 0.01 * np.ptp(wanted)


@pytest.mark.parametrize("precision", ["fixed<28,12>", "fixed<18,10>"])
def test_right_results_and_narrow_formats_are_not(precision: str) -> None:
    net, x = _net("transposed"), _inputs()
    model = convert(net, input_shape=(2, 4, 4), config={"Model": {"Precision": precision}}, check=False, calibration=x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(x)


def test_saturation_in_a_format_of_the_user_that_no_output_shows_is_not() -> None:
    """A tangent is 1 from far below the limit on; without it the same values are wrong."""
    torch.manual_seed(0)
    linear = nn.Linear(4, 3)
    x = np.random.default_rng(0).uniform(-25, 25, (64, 4)).astype(np.float32)
    keys = {"LayerName": {"0": {"Precision": {"result": "fixed<20,4,RND,SAT>"}}}}

    def model(after: nn.Module, calibration: Floats) -> Model:
        net = nn.Sequential(linear, after).eval()
        return convert(net, input_shape=(4,), config=keys, check=False, calibration=calibration)

    hidden = model(nn.Tanh(), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hidden.predict(x)
    assert any(loss.share > 0.1 for loss in hidden.losses(x))
    with pytest.warns(FidelityWarning, match="saturate in"):
        shown = model(nn.Identity(), x)
    with pytest.warns(FidelityWarning, match="values leave their formats inside the circuit"):
        shown.predict(x)
