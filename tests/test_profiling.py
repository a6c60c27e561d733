"""Figures of weights and activations show what the model holds and computes; float results are Keras's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bitsmith
from bitsmith import profiling
from bitsmith.errors import ConfigError, InputDataError, ToolMissingError, UnsupportedError
from bitsmith.model.profiling import _shares
from tests.any_models import expected, samples
from tests.properties import few
from tests.system.examples import MODELS, digits


@pytest.fixture(scope="module")
def live() -> object:
    """A live model with what Keras has no tensor of: inner activations, a separable convolution, attention, a shared layer."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(2)
    layers = keras.layers
    x = layers.Input((4, 6), name="x")
    y = layers.SeparableConv1D(6, 3, padding="same", activation="relu", name="sep")(x)
    y = layers.MultiHeadAttention(2, 3, name="attend")(y, y)
    twice = layers.Dense(6, activation="tanh", name="twice")
    y = layers.Dense(3, use_bias=False, name="plain")(twice(twice(y)))
    y = layers.BatchNormalization(name="normal")(y)
    return keras.Model(x, layers.Flatten(name="last")(y))


@pytest.fixture(scope="module")
def converted(live: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[bitsmith.Model, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((40, 4, 6)).astype(np.float32)
    return bitsmith.convert(live, tmp_path_factory.mktemp("project"), calibration=x), x  # type: ignore[arg-type]


def _labels(figure: object) -> list[str]:
    (axes,) = figure.axes  # type: ignore[attr-defined]
    return [text.get_text() for text in axes.get_yticklabels()]


def test_open_sizes_are_those_of_the_data() -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((None, 3), name="x"), keras.layers.Dense(2, name="only")])
    figures = profiling.numerical(model, X=np.ones((4, 5, 3), np.float32))
    assert figures.results is not None
    assert "only" in _labels(figures.results)
    with pytest.raises(UnsupportedError, match="leaves sizes open"):
        profiling.numerical(model)


@few("plot", profiling.Plot, fast=1, judged=True)
def test_four_figures_name_all_tensors(plot: profiling.Plot, tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    figures = profiling.numerical(MODELS / "digits.keras", model, x[:50], plot=plot.value)
    names = [f"{layer}/{variable}" for layer in ("fc1", "fc2", "output") for variable in ("weight", "bias")]
    traced = list(model.trace(x[:1])[1])
    assert [_labels(figure) for figure in figures] == [names, names, traced, traced]
    for number, figure in enumerate(figures):
        assert figure is not None
        figure.savefig(tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.ci
def test_grey_boxes_are_the_types(tmp_path: Path) -> None:
    from matplotlib.colors import to_rgba

    model, x = digits(tmp_path)
    weights, _, _, traced = profiling.numerical(hls_model=model, X=x[:50])

    def grey(figure: object) -> list[tuple[float, float]]:
        patches = figure.axes[0].patches  # type: ignore[attr-defined]
        boxes = [p for p in patches if p.get_facecolor() == to_rgba("#d9d9d9")]
        return [(box.get_x(), box.get_x() + box.get_width()) for box in boxes]

    # fixed<4,2> and fixed<7,3> in turn; pixels are ufixed<5,1>.
    assert grey(weights) == [(-2.0, 1.0), (-4.0, 2.0)] * 3
    assert grey(traced)[0] == (-4.0, 1.0)


def test_the_weights_of_a_module_need_no_shape() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LSTM(2, 2))
    weights, *others = profiling.numerical(module)
    assert weights is not None and others == [None] * 3
    assert {"0/weight", "1/weight_hh_l0"} <= {label.get_text() for label in weights.axes[0].get_yticklabels()}


def test_without_data_or_without_a_model_there_is_less(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    for shown in (profiling.numerical(hls_model=model), profiling.numerical(model)):  # which is taken as converted
        assert [figure is None for figure in shown] == [False, False, True, True]
    shown = profiling.numerical(MODELS / "digits.keras", X=x[:9])
    assert re.findall('<img alt="(.*?)"', shown._repr_html_()) == [
        "Distributions of weights",
        "Distributions of results",
    ]
    assert [figure is None for figure in shown] == [False, True, False, True]


def test_float_results_have_the_names_of_traces_and_are_keras_s_own(
    live: object, converted: tuple[bitsmith.Model, np.ndarray]
) -> None:
    model, x = converted
    floats = profiling.get_ymodel_keras(live, x)  # type: ignore[arg-type]
    _, traced = model.trace(x)
    assert set(traced) < set(floats) and set(floats) - set(traced) == {"plain"}
    assert {"sep_depthwise", "sep", "sep_relu", "attend_query", "attend_softmax", "attend", "twice_1_tanh"} <= set(
        traced
    )
    expected = np.asarray(live(x), dtype=np.float64)  # type: ignore[operator]
    np.testing.assert_allclose(floats["last"], expected, rtol=1e-4, atol=1e-6)
    # Keras computes in 32 bits; the references do not.
    assert np.all(floats["sep_relu"] == floats["sep_relu"].astype(np.float32))
    assert np.any(floats["sep"] != floats["sep"].astype(np.float32))
    for name, values in traced.items():
        np.testing.assert_allclose(values, floats[name], atol=0.02, err_msg=name)


def test_results_of_modules_are_torch_s_own() -> None:
    """Convolution and pooling, a module called twice (whose results have two names), one with two results, indices in."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Reader(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.table, self.conv, self.twice = nn.Embedding(9, 6), nn.Conv1d(6, 4, 3, padding=1), nn.Linear(4, 4)
            self.lstm, self.last = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            y = self.conv(self.table(x).transpose(1, 2)).relu().transpose(1, 2)
            return self.last(self.lstm(self.twice(self.twice(y)))[0])

    torch.manual_seed(3)
    module = Reader().eval()
    x = np.random.default_rng(0).integers(0, 9, (6, 5))
    floats = profiling.get_ymodel(module, x)
    with torch.no_grad():
        inner = module.conv(module.table(torch.from_numpy(x)).transpose(1, 2)).numpy()
        outer = module(torch.from_numpy(x)).numpy()
    assert np.array_equal(floats["conv"], inner) and np.array_equal(floats["last"], outer)
    assert {"twice", "twice_1", "lstm"} < set(floats)
    assert not module._forward_hooks and not module.conv._forward_hooks


def test_comparison_shows_every_layer(live: object, converted: tuple[bitsmith.Model, np.ndarray]) -> None:
    model, x = converted
    assert _labels(profiling.compare(live, model, x)) == list(model.trace(x)[1])  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.ci
def test_models_of_all_frameworks_are_drawn_and_compared(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (30, 4))
    for kind, sample in samples(tmp_path).items():
        source, dense, last = sample.names
        model = bitsmith.convert(sample.model, tmp_path / "out", input_shape=sample.input_shape, calibration=x)
        floats = profiling.get_ymodel(sample.model, x)
        assert tuple(floats) == sample.names, kind
        np.testing.assert_allclose(floats[last], expected(x), rtol=1e-5, atol=1e-6, err_msg=kind)
        shown = profiling.numerical(sample.model, model, x)
        assert [_labels(figure) for figure in shown] == [[f"{dense}/weight", f"{dense}/bias"]] * 2 + [
            [*sample.names]
        ] * 2
        assert _labels(profiling.compare(sample.model, model, x)) == [source, dense, last]
        alone = profiling.numerical(sample.model, input_shape=sample.input_shape)
        assert _labels(alone[0]) == [f"{dense}/weight", f"{dense}/bias"]


def test_norms_are_of_the_differences(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    figure = profiling.compare(None, model, x[:20], plot_type="norm_diff")
    _, traced = model.trace(x[:20])
    floats = model.network.evaluate([x[:20].astype(np.float64)])
    expected = [np.linalg.norm(traced[name] - floats[name]) for name in traced]
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx(expected)
    assert max(expected) > 0


def test_differences_are_shares_of_the_float_values_and_1_at_most() -> None:
    floats = np.array([[2.0, -4.0, 0.0], [0.0, 1.0, -0.5]])
    fixed = np.array([[2.5, -4.0, 0.0], [0.25, -3.0, -0.75]])
    assert _shares(fixed, floats).tolist() == [0.25, 0.0, 0.0, 1.0, 1.0, 0.5]


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    with pytest.raises(ConfigError, match=r"plot='FacetGrid'[\s\S]*boxplot, violinplot, histogram"):
        profiling.numerical(hls_model=model, plot="FacetGrid")
    with pytest.raises(ConfigError, match="dist_diff, norm_diff"):
        profiling.compare(None, model, x, plot_type="")
    with pytest.raises(ConfigError, match="no model"):
        profiling.numerical(X=x)
    with pytest.raises(InputDataError, match=r"accepted: \(samples, 64\)"):
        profiling.numerical(hls_model=model, X=x[:, :5])


def test_a_missing_matplotlib_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = digits(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ToolMissingError, match=r"pip install 'bitsmith\[report\]'"):
        profiling.numerical(hls_model=model)


@pytest.mark.slow
@pytest.mark.ci
def test_pyplot_is_not_touched() -> None:
    code = (
        "import sys; from bitsmith.report.figures.plots import *; import numpy as np;"
        "distributions([Row('$x^$\\n', np.ones(3))], 't', Plot.BOXPLOT).savefig(sys.argv[1]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, os.devnull], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_the_familiar_path() -> None:
    assert bitsmith.model.profiling.numerical is profiling.numerical
    assert bitsmith.model.Model is bitsmith.Model
