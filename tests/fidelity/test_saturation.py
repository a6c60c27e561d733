"""Single samples whose values leave what calibration data showed: the first that an output shows is told, others are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bitsmith import FidelityWarning, Model, convert, split, streamed
from bitsmith.fidelity import alerts
from bitsmith.layers.layer import Floats
from tests.properties import few

SAID = r"layer '\w+': \d+ of .* saturate in the range of auto"


class Squared(nn.Module):
    """A layer whose results are squared, so that few calibration samples do not show how large they may be."""

    def __init__(self, more: Callable[[torch.Tensor], torch.Tensor], after: int = 16) -> None:
        super().__init__()
        self.first, self.last, self.more = nn.Linear(64, 16), nn.Linear(after, 3), more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.more(self.last(torch.relu(self.first(x)) ** 2))


def _jump(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0.3, x, 0.5 * x)


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return torch.round(4.0 * x) / 4.0


SATURATING = {
    "dense": lambda: nn.Linear(64, 3),
    "squares": lambda: Squared(nn.Identity()),
    "inside": lambda: Squared(nn.Tanh()),
    "a jump": lambda: Squared(_jump),
    "rounding": lambda: Squared(_rounded),
}


def _silently(model: Model, x: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(model.predict(x))


def _drawn(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.uniform(-1, 1, shape).astype(np.float32)


def _along(net: nn.Module) -> Floats:
    """The sample with which the first weights of a layer add up to most."""
    return np.sign(next(iter(net.parameters())).detach().numpy()[0])


@few("at", [0, 399, 211], 2, judged=True)
@pytest.mark.parametrize("name", [*SATURATING, "squares in parts"])
def test_a_single_sample_that_saturates_is_told(name: str, at: int) -> None:
    """All of its values lie within the range of the input; those of other samples of the same kind, too."""
    torch.manual_seed(1)
    net, rng = SATURATING[name.removesuffix(" in parts")]().eval(), np.random.default_rng(0)
    whole = convert(net, input_shape=(64,), calibration=_drawn(rng, 400, 64), check=False)
    model = split(whole, at=["relu"]) if name.endswith("parts") else whole
    x = _drawn(rng, 400, 64)
    for _ in range(8):
        _silently(model, x)
    x[at] = _along(net)
    wanted = net(torch.tensor(x)).detach().numpy()
    with pytest.warns(FidelityWarning, match=SAID):
        found = model.predict(x)
    assert np.abs(found - wanted).max() > 0.01 * np.ptp(wanted)
    _silently(model, x)  # once is enough


def _limited_by_user(mode: str, **options: Any) -> tuple[nn.Module, Model, Floats]:
    """A network whose first layer has formats of the user, and samples of which one leaves them."""
    torch.manual_seed(0)
    net, rng = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)).eval(), np.random.default_rng(0)
    x = _drawn(rng, 400, 16)
    x[211] = 20.0 * _along(net)
    formats = {"accum": f"fixed<24,4,RND,{mode}>", "result": f"fixed<18,4,RND,{mode}>"}
    config = {"LayerName": {"0": {"Precision": formats}}}
    return net, convert(net, input_shape=(16,), config=config, check=False, **options), x


@pytest.mark.parametrize("mode", ["SAT", "SAT_SYM", "SAT_ZERO"])
def test_a_single_sample_that_saturates_in_a_format_of_the_user_is_told(mode: str) -> None:
    """However few of a layer's values do, and with the format that would do."""
    net, model, x = _limited_by_user(mode)
    for _ in range(4):
        _silently(model, x[:200])
    wanted = net(torch.tensor(x)).detach().numpy()
    with pytest.warns(FidelityWarning, match=r"saturate in fixed<24,4.*; give it accum: fixed<27,7"):
        found = model.predict(x)
    assert np.abs(found - wanted)[211].max() > 0.1 * np.ptp(wanted)


def test_calibration_data_of_which_a_sample_saturates_are_told_of() -> None:
    _, _, x = _limited_by_user("SAT")
    with pytest.warns(
        FidelityWarning, match=r"saturate in fixed<24,4.*give it accum: fixed<27,7.*, result: fixed<21,7"
    ):
        _limited_by_user("SAT", calibration=x[200:240])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _limited_by_user("SAT", calibration=x[:200])


def _accumulating(units: int = 8) -> nn.RNN:
    """A recurrence that adds up, so that unlike signs cancel out."""
    cell = nn.RNN(4, units, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        cell.weight_hh_l0.copy_(torch.eye(units))
        cell.bias_ih_l0.zero_()
        cell.bias_hh_l0.zero_()
        cell.weight_ih_l0.mul_(0.3)
    return cell


class Recurrent(nn.Module):
    """A recurrence, and what is made of its last state, or of all."""

    def __init__(self, cell: nn.Module, more: Callable[[torch.Tensor], torch.Tensor], steps: slice | int = -1) -> None:
        super().__init__()
        self.cell, self.last, self.more, self.steps = cell, nn.Linear(8, 3), more, steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.more(self.last(self.cell(x)[0][:, self.steps]))


@pytest.mark.parametrize("more", [nn.Identity(), _jump])
def test_states_that_saturate_are_told(more: Callable[[torch.Tensor], torch.Tensor]) -> None:
    torch.manual_seed(1)
    net, rng = Recurrent(_accumulating(), more).eval(), np.random.default_rng(0)
    model = convert(net, input_shape=(64, 4), calibration=_drawn(rng, 200, 64, 4), check=False)
    x = _drawn(rng, 50, 64, 4)
    for _ in range(4):
        _silently(model, x)
    x[17] = _along(net)
    with pytest.warns(FidelityWarning, match=r"saturate in the range of auto \(state\)"):
        model.predict(x)


class OverTime(nn.Module):
    """Squares in front of a recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cell, self.last = nn.Linear(64, 16), nn.RNN(16, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.cell(torch.relu(self.first(x)) ** 2)[0])


def _fed(model: Model, x: Floats, at_once: int) -> Floats:
    parts: Sequence[Floats] = [
        np.asarray(model.predict(x[start : start + at_once])) for start in range(0, len(x), at_once)
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize(("frames", "at_once"), [(150, 150), (150, 1), (150, 40), (5000, 50)])
def test_frames_that_saturate_are_told(frames: int, at_once: int) -> None:
    """However long ago the reset was; the states after the frame stay wrong for a while."""
    torch.manual_seed(1)
    net, rng = OverTime().eval(), np.random.default_rng(0)
    model = streamed(convert(net, input_shape=(20, 64), calibration=_drawn(rng, 20, 20, 64), check=False))
    x = _drawn(rng, frames, 1, 64)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _fed(model, x, at_once)
        model.reset_states()
    x[-3] = _along(net)
    wanted = net(torch.tensor(x[:, 0][None])).detach().numpy()[0]
    with pytest.warns(FidelityWarning, match=SAID):
        found = _fed(model, x, at_once).reshape(wanted.shape)
    off = np.abs(found - wanted).max(axis=-1)
    assert off[-3] > 0.01 * np.ptp(wanted) > off[:-3].max()


@pytest.mark.slow
@pytest.mark.ci
def test_a_stream_that_drifts_is_told_frame_by_frame() -> None:
    """The first frames are right, and there are no single ones to look at."""
    torch.manual_seed(1)
    net, rng = Recurrent(_accumulating(), nn.Identity(), slice(None)).eval(), np.random.default_rng(0)
    model = streamed(convert(net, input_shape=(64, 4), calibration=_drawn(rng, 50, 64, 4), check=False))
    _silently(model, _drawn(rng, 60, 1, 4))
    model.reset_states()
    with pytest.warns(FidelityWarning, match="differs from the float model's"):
        _fed(model, np.broadcast_to(_along(net), (600, 1, 4)), 1)


class Stepwise(nn.Module):
    """A step whose state is an input and an output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        following = 0.5 * state + 0.5 * torch.relu(self.first(x)) ** 2
        return self.last(following), following


def test_what_is_behind_tied_states_is_looked_at() -> None:
    torch.manual_seed(1)
    net, rng = Stepwise().eval(), np.random.default_rng(0)
    exported = torch.export.export(net, (torch.zeros(5, 64), torch.zeros(5, 16)))
    shown = [_drawn(rng, 200, 64), np.abs(_drawn(rng, 200, 16))]
    whole = convert(exported, calibration=shown, check=False)
    (outputs, names) = (
        [each.name for each in whole.get_output_variables()],
        [each.name for each in whole.get_input_variables()],
    )
    model = whole.with_states({names[1]: outputs[1]})
    x = _drawn(rng, 300, 64)
    _silently(model, x)
    model.reset_states()
    x[211] = _along(net)
    with pytest.warns(FidelityWarning, match=SAID):
        model.predict(x)


class Limited(nn.Module):
    """Values that saturate in many samples, of which only the greatest count, beside a jump at a threshold."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.first, self.share = nn.Linear(64, 4), share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.share * self.first(x) + (x[:, :4] > 0.3).float()


def _limited(share: float) -> tuple[nn.Module, Model, Floats]:
    """Such a network, converted for samples that are mostly 0, and samples that are not."""
    torch.manual_seed(1)
    net, rng = Limited(share).eval(), np.random.default_rng(0)
    few = _drawn(rng, 400, 64) * (rng.uniform(size=(400, 64)) < 0.15)
    model = convert(net, input_shape=(64,), calibration=few.astype(np.float32), check=False)
    return net, model, _drawn(rng, 3000, 64)


def test_of_many_samples_those_furthest_beyond_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of those that are compared may be."""
    monkeypatch.setattr(alerts, "_LOOKED", 8)
    monkeypatch.setattr(alerts, "_SHARE", 100)
    net, model, x = _limited(0.01)
    assert np.count_nonzero(model.emulator.run_watched([x])[2].beyond) > 50
    _silently(model, x[:1000])
    x[1234] = _along(net)
    with pytest.warns(FidelityWarning, match=SAID):
        model.predict(x)


def test_jumps_next_to_thresholds_are_not_those_of_saturation() -> None:
    """A sample whose values leave a range that no output shows, and which falls to the other side of a threshold."""
    _, model, x = _limited(0.005)
    near = np.zeros((2000, 64), np.float32)
    near[:, 0] = 0.3 + np.linspace(-1e-4, 1e-4, len(near))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _limited(0.005)[1].predict(near)
    flips = np.flatnonzero(np.rint(found[:, 0]) != (near[:, 0] > 0.3))
    assert flips.size
    left = model.emulator.run_watched([x])[2]
    x[(most := left.beyond.argmax()), 0] = near[flips[0], 0]
    assert np.rint(model.emulator.run([x])[0][most, 0]) != (x[most, 0] > 0.3)
    _silently(model, x)
