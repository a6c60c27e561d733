"""The certificate of each conversion: what it measures, what it warns of, and what it says to do about it."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bitsmith import FidelityWarning, Model, convert
from bitsmith.errors import FidelityError
from bitsmith.fidelity.deviation import deviation, signal_to_noise, spans
from bitsmith.layers.layer import Floats
from bitsmith.report import Report
from bitsmith.report.html import page
from tests.fidelity.functions import Function

MODELS = Path(__file__).parents[2] / "src" / "bitsmith" / "data" / "models"
DIGITS = MODELS / "digits.keras"
WRAPPING = {"Model": {"Precision": "fixed<8,3>"}}


def images() -> Floats:
    """Data of the digits classifier."""
    with np.load(MODELS / "digits_test.npz", allow_pickle=False) as data:
        return np.asarray(data["inputs"], dtype=np.float64)


def linear(kernel: Floats) -> nn.Module:
    """A dense layer."""
    made = nn.Linear(kernel.shape[0], kernel.shape[1], bias=False)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(kernel.T.copy()))
    return nn.Sequential(made)


def test_auto_is_faithful() -> None:
    fidelity = convert(DIGITS, calibration=images(), strict=True).fidelity
    assert not fidelity.problems and fidelity.calibrated and fidelity.samples == 64
    assert [row.layer for row in fidelity.rows][:2] == ["pixels", "fc1"]
    assert all((row.error or 0.0) < 1e-3 and not row.wrapped and not row.saturated for row in fidelity.rows)
    assert "64 calibration samples" in fidelity.summary


def test_wraps_are_told_with_formats_that_do() -> None:
    with pytest.warns(FidelityWarning) as told:
        model = convert(DIGITS, config=WRAPPING, calibration=images())
    (warning,) = told
    assert "layer 'fc1'" in str(warning.message) and "accum and result: fixed<10,5>" in str(warning.message)
    convert(DIGITS, config={**WRAPPING, "LayerName": formats_that_do(model)}, calibration=images(), strict=True)


def test_small_errors_that_become_large_are_told() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (40, 2, 3, 4)) * np.array([100.0, 2.0**-9]).reshape(2, 1, 1)
    model = Function(lambda x: torch.nn.functional.normalize(x, dim=2)).eval()
    with pytest.warns(FidelityWarning, match=r"layer 'div': small errors of what it reads become large in it"):
        convert(model, calibration=x, input_shape=(2, 3, 4))


def test_single_values_that_are_far_off_are_told() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (60, 3, 4)) * np.array([10.0, 2.0**-4, 800.0]).reshape(3, 1)
    model = Function(lambda x: torch.layer_norm((x.abs() + 0.34) ** -0.5, (4,), eps=1.0)).eval()
    with pytest.warns(FidelityWarning, match=r"differs .* by 0\.\d+ % of its range, at worst by [2-9]"):
        convert(model, calibration=x, input_shape=(3, 4))


def test_what_cancels_has_no_range_of_its_own() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2, 3))
    model = Function(lambda x: torch.log_softmax(torch.log_softmax(x, -1), -1)).eval()
    convert(model, calibration=x, input_shape=(2, 3), strict=True)


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({"Skip": True}, "left out, as Skip asks"), ({"Implementation": "argmax"}, "as Implementation: argmax asks")],
)
def test_what_settings_ask_for_is_no_lack_of_bits(settings: dict[str, object], asked: str) -> None:
    model = nn.Sequential(nn.Linear(8, 5), nn.Softmax(-1)).eval()
    x = np.random.default_rng(0).normal(size=(64, 8))
    with pytest.warns(FidelityWarning, match=f"{asked}; compare classes, not probabilities"):
        convert(model, config={"LayerName": {"1": settings}}, calibration=x, input_shape=(8,))


def test_strict_raises() -> None:
    with pytest.raises(FidelityError, match=r"fc1.*wrap in fixed<8,3>"):
        convert(DIGITS, config=WRAPPING, strict=True)


def test_network_of_zeros_is_told() -> None:
    kernel = np.full((4, 3), 0.1) * [[1], [-2], [1.5], [0.5]]
    config = {"Model": {"Precision": "auto"}, "LayerName": {"0": {"Precision": {"weight": "fixed<4,3>"}}}}
    with pytest.warns(
        FidelityWarning, match=r"layer '0': 12 of 12 weights are rounded to 0 in fixed<4,3>.*weight: fixed<"
    ):
        model = convert(linear(kernel), config=config, input_shape=(4,))
    row = model.fidelity.rows[-1]
    assert (row.stuck, row.zeroed) == (3, 12)


@pytest.mark.parametrize(("samples", "stuck"), [([[1.0]], 0), ([[1.0], [3.0]], 1)])
def test_two_samples_show_what_never_changes(samples: list[list[float]], stuck: int) -> None:
    config = {"Model": {"Precision": "auto"}, "LayerName": {"0": {"Precision": {"weight": "fixed<4,3>"}}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert(linear(np.array([[0.1, 1.0]])), config=config, calibration=np.array(samples), input_shape=(1,))
    assert model.fidelity.rows[-1].stuck == stuck


def test_coarse_steps_are_told() -> None:
    config = {"Model": {"Precision": "auto"}, "LayerName": {"0": {"Precision": {"result": "fixed<4,4>"}}}}
    with pytest.warns(FidelityWarning, match=r"steps of fixed<4,4> are too large for a range of .*result: fixed<"):
        convert(linear(np.full((4, 3), 0.1)), config=config, input_shape=(4,))


def test_coarse_formats_that_work_are_not_told() -> None:
    convert(DIGITS, config=MODELS / "digits.config.json", calibration=images(), strict=True)


def heads(scales: Sequence[float], *after: nn.Module) -> tuple[nn.Module, Floats]:
    """Two layers with outputs of these scales, and data for them."""
    torch.manual_seed(0)
    last = nn.Linear(16, len(scales))
    with torch.no_grad():
        last.weight *= torch.tensor(scales)[:, None]
        last.bias *= torch.tensor(scales)
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), last, *after)
    return module.eval(), np.random.default_rng(0).normal(size=(200, 8))


def formats_that_do(model: Model) -> dict[str, dict[str, dict[str, str]]]:
    """The remedies of a model's certificate, as a configuration by layers."""
    return {
        problem.layer: {
            "Precision": {
                name: fmt
                for names, fmt in re.findall(
                    r"([a-z ]+): (u?fixed<\d+,-?\d+>)", problem.remedy.removeprefix("give it ")
                )
                for name in names.strip().split(" and ")
            }
        }
        for problem in model.fidelity.problems
    }


def test_a_small_output_that_is_lost_is_told_with_formats_that_do() -> None:
    module, x = heads([1.0, 1.0, 1e-4, 1.0])
    config = {"Model": {"Precision": "fixed<16,6>"}}
    with pytest.warns(
        FidelityWarning, match=r"channel 2 of output '2'.*\n  layer '2': its steps are too large"
    ) as told:
        model = convert(module, calibration=x, config=config, input_shape=(8,))
    assert "accum and result: fixed<" in str(told[0].message)
    row = model.fidelity.rows[-1]
    assert row.channel == 2 and (row.channel_error or 0.0) > 0.2 and (row.error or 1.0) < 2e-3
    assert "(2)" in str(model.fidelity) and "channel 2" in page(Report((model.fidelity.section,)))
    convert(
        module, calibration=x, config={**config, "LayerName": formats_that_do(model)}, input_shape=(8,), strict=True
    )


def unlike_outputs() -> tuple[nn.Module, Floats]:
    """Two outputs whose scales are 1e4 apart."""
    return heads([1.0, 1e-4])


def far_from_0(norm: nn.Module) -> tuple[nn.Module, Floats]:
    """Features that vary little beside their mean, in front of a normalization that takes the mean away."""
    torch.manual_seed(0)
    x = 1000.0 + np.random.default_rng(0).uniform(-0.05, 0.05, (300, 8))
    if isinstance(norm, nn.BatchNorm1d):
        norm(torch.from_numpy(x).float())
    return nn.Sequential(norm, nn.Linear(8, 3)).eval(), x


def unlike_neurons() -> tuple[nn.Module, Floats]:
    """Neurons of unlike scale, which the next weights make up for."""
    module, x = heads([1.0, 1.0])
    scale = torch.exp2(torch.arange(-12.0, 4.0))
    with torch.no_grad():
        module[0].weight *= scale[:, None]
        module[0].bias *= scale
        module[2].weight /= scale
    return module, x


UNLIKE = {
    "outputs": unlike_outputs,
    "neurons": unlike_neurons,
    "far from 0, of a batch": lambda: far_from_0(nn.BatchNorm1d(8, momentum=1.0)),
    "far from 0, of a layer": lambda: far_from_0(nn.LayerNorm(8)),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_numbers_of_unlike_scale_are_right_in_auto_and_told_of_elsewhere(name: str) -> None:
    module, x = UNLIKE[name]()
    model = convert(module, calibration=x, input_shape=(8,), strict=True)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x).float()).double().numpy()
    errors = np.sqrt(np.mean((np.asarray(model.predict(x)) - wanted) ** 2, axis=0)) / np.ptp(wanted, axis=0)
    assert errors.max() < 5e-3
    with pytest.warns(FidelityWarning, match=r"differs? from the float model's"):
        convert(module, calibration=x, input_shape=(8,), config={"Model": {"Precision": "fixed<16,6>"}})


@pytest.mark.parametrize("largest", [1e2, 1e3, 1e4])
def test_an_outlier_costs_other_samples_nothing(largest: float) -> None:
    module, x = heads([1.0, 1.0])
    model = convert(module, calibration=np.concatenate([x, largest * x[:1]]), input_shape=(8,), strict=True)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x).float()).double().numpy()
    assert np.abs(np.asarray(model.predict(x)) - wanted).max() < 5e-3 * np.ptp(wanted)


def test_data_that_are_no_integers_are_told() -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).uniform(0, 6, (50, 4))
    with pytest.warns(FidelityWarning, match="the model declares integers"):
        convert(nn.Embedding(7, 3), calibration=x, example=torch.zeros(2, 4, dtype=torch.int64))


@pytest.mark.parametrize("after", [nn.Softmax(-1), nn.Sigmoid(), nn.Sequential(nn.Tanh(), nn.Unflatten(1, (2, 2)))])
def test_bounded_outputs_may_be_small(after: nn.Module) -> None:
    module, x = heads([1.0, 1.0, 1e-4, 1.0], after)
    with torch.no_grad():
        module[2].bias[2] -= 15 * (not isinstance(after, nn.Sequential))
    convert(module, calibration=x, input_shape=(8,), strict=True)
    convert(module, calibration=x, config={"Model": {"Precision": "fixed<18,8>"}}, input_shape=(8,), strict=True)


@pytest.mark.parametrize("precision", ["auto", "fixed<16,6>"])
def test_channels_that_are_constant_or_nearly_dead_are_not_told(precision: str) -> None:
    module, x = heads([1.0, 1.0, 0.0, 1.0])
    with torch.no_grad():
        module[0].weight[:4] *= 1e-4
        module[0].bias[:4] = torch.tensor([-1.0, 0.0, 1e-5, 0.5])
        module[2].bias[2] = 3e-6
    convert(module, calibration=x, config={"Model": {"Precision": precision}}, input_shape=(8,), strict=True)


def test_a_jump_in_a_channel_that_rarely_changes_is_not_told() -> None:
    x = np.stack([np.full(61, 0.125), np.random.default_rng(0).uniform(-8, 8, 61)], 1)
    x[:2, 0] = 0.5 - 1e-7, 0.75
    convert(Function(lambda x: torch.floor(2 * x)), calibration=x, input_shape=(2,), strict=True)


def test_losses_are_counted() -> None:
    kernel = np.array([[1.0, 0.875], [1.0, 0.25]])
    config = {"Model": {"Precision": "auto"}, "LayerName": {"0": {"Precision": {"result": "fixed<5,3>"}}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert(linear(kernel), config=config, input_shape=(2,))
    x = np.random.default_rng(0).integers(-8, 9, (3000, 2)) / 2.0
    rounded = np.floor(x @ kernel * 4) / 4
    (loss,) = model.losses(x)
    assert (loss.layer, loss.variable, str(loss.format)) == ("0", "result", "fixed<5,3>")
    assert (loss.count, loss.total) == (np.count_nonzero((rounded < -4) | (rounded > 3.75)), 6000)
    assert (loss.lo, loss.hi) == ((x @ kernel).min(), (x @ kernel).max())
    assert str(model.losses(np.zeros((2, 2)))) == "no value leaves its format"


def test_losses_within_a_recurrence_are_counted() -> None:
    torch.manual_seed(0)
    module = nn.RNN(2, 3, batch_first=True, nonlinearity="relu")
    config = {"LayerName": {"inner": {"Precision": {"accum": "fixed<8,1>"}}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert(Rnn(module), config=config, input_shape=(4, 2))
    assert sum(loss.count for loss in model.losses(4 * np.random.default_rng(0).normal(size=(50, 4, 2)))) > 0


class Rnn(nn.Module):
    """A recurrent layer without its states."""

    def __init__(self, inner: nn.RNNBase) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


def test_predict_warns_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert(DIGITS, config=WRAPPING)
    with pytest.warns(FidelityWarning, match=r"values leave their formats .*\n  layer 'fc1'") as told:
        model.predict(images())
        model.predict(images())
    assert len(told) == 1


@pytest.mark.parametrize("width", [8, 24, 80])
def test_predict_sees_a_single_value_that_wraps(width: int) -> None:
    config = {"Model": {"Precision": "auto"}, "LayerName": {"0": {"Precision": {"result": f"fixed<{width},3>"}}}}
    model = convert(linear(np.full((1, 1), 1.1)), config=config, input_shape=(1,), strict=True)
    x = np.linspace(-1, 1, 1000)[:, None]
    model.predict(x)
    x[617] = 3.9  # the input's format holds it, that of the result does not
    with pytest.warns(FidelityWarning, match=rf"1 of 1,000 values .* wrap in fixed<{width},3>"):
        model.predict(x)


def test_predict_sees_a_single_value_that_wraps_in_a_recurrence() -> None:
    torch.manual_seed(0)
    config = {"LayerName": {"inner": {"Precision": {"accum": "fixed<20,3>"}}}}
    x = np.random.default_rng(0).normal(size=(500, 4, 2)).clip(-2, 2)
    module = nn.RNN(2, 3, batch_first=True)
    with torch.no_grad():
        module.weight_ih_l0[0] = 0.5
    model = convert(Rnn(module), config=config, input_shape=(4, 2), strict=True)
    assert not model.losses(x)
    model.predict(x)
    x[123, 2] = 7.5
    with pytest.warns(FidelityWarning, match=r"layer 'inner': \d of 6,000 values .* wrap in fixed<20,3>"):
        model.predict(x)


def test_predict_tells_of_values_beyond_the_calibration_data() -> None:
    x = np.random.default_rng(0).normal(size=(100, 4))
    model = convert(
        linear(np.array([[1.1, 0.3, 0.2]] * 4)),
        config={"LayerName": {"input": {"Precision": {"result": "fixed<16,8>"}}}},
        calibration=x,
        input_shape=(4,),
    )
    model.predict(x)
    with pytest.warns(FidelityWarning, match=r"saturate in the range of auto"):
        for _ in range(40):
            model.predict(20 * x)


def test_why_a_normalization_is_not_folded() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    given = {"LayerName": {"0": {"Precision": {"result": "fixed<16,6>"}}}}
    assert not any("Not folded" in note for note in convert(module, input_shape=(4,)).notes)
    notes = convert(module, config=given, input_shape=(4,)).notes
    assert any("Not folded: '1' into '0'" in note for note in notes)


def test_deviation() -> None:
    wanted = np.array([0.0, 1.0, 2.0, np.inf, np.nan])
    found = deviation(wanted, np.array([0.0, 1.0, 2.5, 3.0, 4.0]), 2.0)
    assert (found.error, found.worst) == (pytest.approx(np.sqrt(0.0625 / 3)), 0.25)
    assert deviation(wanted, wanted, 2.0).error == 0.0
    assert signal_to_noise(wanted, 0.0, 2.0) is None and signal_to_noise(wanted, 0.5, 2.0) == pytest.approx(
        -1.76, abs=1e-2
    )


def test_huge_and_tiny_numbers_are_figures() -> None:
    huge, tiny = np.array([-1e308, 1e308]), np.array([0.0, 5e-324])
    for wanted in (huge, tiny):
        for found in (huge, tiny, -wanted):
            figures = deviation(wanted, found, spans(wanted).whole.size)
            ratio = signal_to_noise(wanted, figures.error, spans(wanted).whole.size)
            assert np.isfinite([figures.error, figures.worst, ratio or 0.0]).all()


@pytest.mark.parametrize("offset", [0.0, 10.0])
@pytest.mark.parametrize("spread", [1e-2, 1e-6])
def test_channels_that_two_samples_leave_nearly_constant_are_not_told(offset: float, spread: float) -> None:
    rng = np.random.default_rng(5)
    x = offset + rng.standard_normal((1, 8))
    x = np.concatenate([x, x * (1.0 + spread * rng.standard_normal((1, 8)))])
    torch.manual_seed(5)
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(module, "out", calibration=x, input_shape=(8,), bits=8)


def test_inputs_that_frameworks_take_for_0_are_not_told() -> None:
    module = nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 6, bias=False))
    x = 1e-44 * np.random.default_rng(5).standard_normal((100, 8))
    assert convert(module, "out", calibration=x, input_shape=(8,)).fidelity.agreement.problem is None


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_losses_within_a_recurrence_of_several_formats_add_up(kind: type[nn.RNNBase]) -> None:
    """Over samples, for each of the formats."""
    torch.manual_seed(0)
    config = {"LayerName": {"inner": {"Precision": {"accum": "fixed<8,1>", "result": "fixed<5,0>"}}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert(Rnn(kind(2, 3, batch_first=True)), config=config, input_shape=(4, 2))
    x = 4 * np.random.default_rng(0).normal(size=(6, 4, 2))
    whole, single = Counter[str](), Counter[str]()
    for loss in model.losses(x):
        whole[loss.variable] += loss.count
    for number in range(len(x)):
        for loss in model.losses(x[number : number + 1]):
            single[loss.variable] += loss.count
    assert whole == single and whole
