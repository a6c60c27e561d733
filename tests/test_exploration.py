"""Explorations: what is shown of a circuit is what its conversion computes, and how large it is estimated there."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import operator
import re
import shlex
import time
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from onnx import TensorProto, helper
from typer.testing import CliRunner

import bitsmith
from bitsmith.cli.commands import app
from bitsmith.conversion.exploration import Exploration, explore
from bitsmith.errors import CapacityError, ConfigError, InputDataError
from bitsmith.layers.settings import Bits
from bitsmith.model.points import Point, size_of
from tests.logged import logged
from tests.properties import JUDGED

_MODELS = Path(str(resources.files("bitsmith"))) / "data" / "models"
_HERE = Path(__file__).parent
_QUANTIZED = _HERE / "quantized" / "qonnx" / "models" / "residual.onnx"
_NETWORKS = {
    "digits": (_MODELS / "digits.keras", None, "LFE5U-85F"),
    "perceptron": (_MODELS / "bitsmith_3layer.json", _MODELS / "bitsmith_3layer_weights.h5", "LFE5U-25F"),
    "convolution": (_HERE / "config" / "familiar" / "keras_conv1d.keras", None, "xc7z020clg400-1"),
    "shared": (_MODELS / "bitsmith_3layer.json", _MODELS / "bitsmith_3layer_weights.h5", "iCE40UP5K-SG48"),
}
Floats = npt.NDArray[np.float64]


_PLAIN = ("digits", "perceptron", "convolution")
"""Networks that fit unrolled."""


def _data(name: str) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Test inputs, and labels: those of our models, or the float model's own choice."""
    model, weights, _ = _NETWORKS[name]
    if name != "convolution":
        with np.load(_MODELS / f"{model.stem}_test.npz") as data:
            return data["inputs"].astype(np.float64), data["labels"].astype(np.int64)
    network = bitsmith.convert(model, weights=weights, check=False).network
    (shape,) = network.input_shapes().values()
    x = np.random.default_rng(0).integers(0, 16, (200, *shape)) / 16
    return x, network.evaluate([x])[network.outputs[0]].argmax(axis=-1)


def _explored(name: str, weights: tuple[int, ...], results: tuple[int, ...]) -> tuple[Exploration, float]:
    x, y = _data(name)
    model, file, part = _NETWORKS[name]
    bits = {"weight_bits": weights, "result_bits": results}
    started = time.process_time()
    found = explore(model, {"Model": {"Strategy": "Latency"}}, x, (x, y), file, part, check=False, **bits)
    return found, time.process_time() - started


def _assert_is_as_shown(name: str, found: Exploration, point: Point, folder: Path, part: str = "") -> bitsmith.Model:
    """The circuit of a point, converted with the configuration that is copied."""
    x, y = _data(name)
    model, file, own = _NETWORKS[name]
    made = bitsmith.convert(
        model, folder, found.config(point), x, part=part or own, weights=file, check=False, io_type=point.io_type.value
    )
    assert float(np.mean(np.asarray(made.predict(x)).argmax(axis=-1) == y)) == point.score
    assert size_of(made.program, made.directives, made.target) == point.size
    return made


@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")  # few bits are far off where labels forgive it
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "digits" else JUDGED) for name in _PLAIN])
def test_a_circuit_is_what_is_shown(name: str, tmp_path: Path) -> None:
    found, _ = _explored(name, (4, 8), (6, 10))
    for point in found.points:
        _assert_is_as_shown(name, found, point, tmp_path)
        assert sum(point.size.layers.values()) == pytest.approx(point.size.lut, rel=0.01)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")  # few bits are far off where labels forgive it
@pytest.mark.parametrize("name", _NETWORKS)
def test_25_circuits_take_seconds_and_the_best_is_built(name: str, tmp_path: Path) -> None:
    found, seconds = _explored(name, (3, 4, 6, 8, 10), (6, 7, 8, 10, 12))
    assert seconds < (45 if name == "shared" else 30)  # networks of processes are scheduled, too
    model = _assert_is_as_shown(name, found, found.best(), tmp_path)
    report = model.build(inputs=_data(name)[0][:20], synth=name in _PLAIN)
    assert report["Verification"]["Mismatches"] == 0
    assert report["Latency"]["II"] == found.best().size.interval
    assert found.best().size.interval == 1 or name not in _PLAIN
    if name in _PLAIN:
        assert report["Resources"]["LUT"] == pytest.approx(found.best().size.lut, rel=0.2)


_SMALL = "iCE40HX8K-CT256"


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")
def test_what_does_not_fit_unrolled_is_shown_with_the_reuse_factors_of_fit(tmp_path: Path) -> None:
    x, y = _data("digits")
    digits = _NETWORKS["digits"][0]
    config = {"layer_name": {"fc1": {"reuse_factor": 1}}}
    found = explore(digits, config, x, (x, y), part=_SMALL, check=False, weight_bits=(8,), result_bits=(8,))
    unrolled, shared = found.points
    assert (unrolled.fits, shared.fits) == (False, True) and unrolled.size.interval == 1 < shared.size.interval
    assert unrolled.score == shared.score and found.best() is shared
    model = _assert_is_as_shown("digits", found, shared, tmp_path, _SMALL)
    chosen = bitsmith.convert(digits, tmp_path, {"Model": {"Bits": 8}}, x, part=_SMALL, fit=True)
    assert {node.name: node.settings.reuse_factor for node in model.network.nodes} == {
        node.name: node.settings.reuse_factor for node in chosen.network.nodes
    }


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")
def test_explain_and_fit_propose_circuits_that_are_points(tmp_path: Path) -> None:
    """Fewer bits fit, and so do reuse factors with all bits, as the products of the softmax are of few."""
    x, _ = _data("digits")
    model, config = _NETWORKS["digits"][0], {"LayerName": {"output_softmax": {"Bits": {"result": 4}}}}
    proposed = bitsmith.explain(model, config=config, calibration=x, part=_SMALL, check=False).choices
    fitted = bitsmith.convert(model, tmp_path, config, x, part=_SMALL, fit=True, check=False)
    results = tuple(16 if choice.bits is None else choice.bits.result for choice in proposed)
    found = explore(model, config, x, part=_SMALL, check=False, weight_bits=(16,), result_bits=results)
    circuits = {(point.size.lut, point.size.interval) for point in found.points}
    assert {(choice.size.lut, choice.size.interval) for choice in proposed} <= circuits and len(proposed) > 1
    size = size_of(fitted.program, fitted.directives, fitted.target)
    assert (size.lut, size.interval) in circuits


@pytest.mark.slow
@pytest.mark.ci
def test_reuse_factors_are_tried(tmp_path: Path) -> None:
    x, y = _data("digits")
    bits = {"weight_bits": (4,), "result_bits": (6, 8)}
    folded = {"Model": {"reuse_factor": 2, "Strategy": "Resource"}}
    found = explore(_NETWORKS["digits"][0], folded, x, (x, y), check=False, reuse_factors=(16, 1, 4), **bits)
    assert [point.configuration["Model"]["ReuseFactor"] for point in found.points] == [1, 4, 16] * 2  # type: ignore[index]
    for six, eight in zip(found.points[:3], found.points[3:], strict=True):
        assert six.size.interval == eight.size.interval and six.size.lut < eight.size.lut
    assert [point.size.interval for point in found.points[:3]] == [1, 4, 16]
    point = found.points[2]
    assert found.config(point) == {"Model": {**folded["Model"], "reuse_factor": 16, "Bits": {"weight": 4, "result": 6}}}
    _assert_is_as_shown("digits", found, point, tmp_path, "LFE5U-85F")
    for wrong in ((0,), (4, -1)):
        with pytest.raises(ConfigError, match="1 or more"):
            explore(_NETWORKS["digits"][0], reuse_factors=wrong)


@pytest.fixture
def two_outputs(tmp_path: Path) -> Path:
    """Classes and a value of the same inputs."""
    rng = np.random.default_rng(8)
    shapes = (("a", (6, 3)), ("b", (6, 1)))
    weights = [helper.make_tensor(n, TensorProto.FLOAT, s, rng.standard_normal(s).astype("f4")) for n, s in shapes]
    ports = [helper.make_tensor_value_info(*p) for p in (("x", 1, ["N", 6]), ("y", 1, ["N", 3]), ("z", 1, ["N", 1]))]
    nodes = [helper.make_node("MatMul", ["x", "a"], ["y"]), helper.make_node("MatMul", ["x", "b"], ["z"])]
    graph = helper.make_graph(nodes, "two", ports[:1], ports[1:], weights)
    path = tmp_path / "two.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return path


@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")
def test_each_of_several_outputs_has_its_score(two_outputs: Path) -> None:
    rng = np.random.default_rng(9)
    x = rng.uniform(-1.0, 1.0, (100, 6))
    classes, values = (np.asarray(output) for output in bitsmith.convert(two_outputs, calibration=x).predict(x))
    labels = rng.integers(0, 3, 100), values[:, 0] + rng.normal(0.0, 0.5, 100)
    found = explore(two_outputs, calibration=x, test=(x, labels), **_BITS)
    assert len(found.points) == 4 and classes.shape == (100, 3)
    for point, (first, second) in zip(found.points, _outputs(two_outputs, found, x), strict=True):
        right = np.mean(np.asarray(first).argmax(axis=-1) == labels[0])
        error = np.sqrt(np.mean((np.asarray(second)[:, 0] - labels[1]) ** 2)) / np.std(labels[1])
        assert point.scores == (pytest.approx(right), pytest.approx(error))
        references = [measure.reference for measure in found.yardstick.measures]
        assert point.score == point.loss == pytest.approx(max(references[0] - right, error - references[1]))
    flat = explore(two_outputs, calibration=x, test=(x, *labels), **_BITS)
    assert [point.scores for point in flat.points] == [point.scores for point in found.points]
    assert "correct, root mean square error" in found.verdict and found.write(two_outputs.parent / "page").is_file()
    with logged(logging.INFO) as records:
        alone = explore(two_outputs, calibration=x, test=x, **_BITS)
    told = [line for line in (record.getMessage() for record in records) if line.startswith("explore: ")]
    assert [line.split(": ")[1] for line in told] == [str(point.bits) for point in alone.points]
    assert told[-1].endswith(": 4 circuits; 4 pairs of bits to try")
    assert ["(the float model" in each.verdict for each in (found, alone)] == [True, False]
    with pytest.raises(InputDataError, match="labels for 1 outputs"):
        explore(two_outputs, test=(x, labels[0]), **_BITS)


@pytest.fixture(scope="module")
def regression() -> bytes:
    """A dense layer with a sigmoid for one value; an ONNX model, serialized."""
    rng = np.random.default_rng(3)
    kernel = helper.make_tensor("w", TensorProto.FLOAT, (6, 1), rng.standard_normal(6).astype(np.float32))
    ports = [helper.make_tensor_value_info(*port) for port in (("x", 1, ["N", 6]), ("y", 1, ["N", 1]))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Sigmoid", ["s"], ["y"])]
    graph = helper.make_graph(nodes, "<b>value</b>", ports[:1], ports[1:], [kernel])
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    return content


_BITS = {"weight_bits": (3, 6), "result_bits": (6, 10)}


@pytest.fixture
def model(regression: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "value.onnx"
    path.write_bytes(regression)
    return path


def _outputs(model: Path, found: Exploration, x: Floats) -> list[Any]:
    """The results of all circuits by conversions of their own."""
    circuits = (bitsmith.convert(model, model.parent / "out", found.config(point), x) for point in found.points)
    return [circuit.predict(x) for circuit in circuits]


def test_scores_are_those_of_the_kind_of_labels(model: Path) -> None:
    x = np.random.default_rng(4).uniform(-1.0, 1.0, (64, 6))
    wanted = bitsmith.convert(model).network.evaluate([x])
    (floats,) = (values for values in wanted.values() if values.shape == (64, 1) and values.min() > 0)
    labels = {
        "values": floats[:, 0] + np.random.default_rng(5).normal(0.0, 0.1, 64),
        "decisions": (floats[:, 0] > 0.45).astype(np.int64),
    }
    values = explore(model, calibration=x, test=(x, labels["values"]), **_BITS)
    for point, found in zip(values.points, _outputs(model, values, x), strict=True):
        error = np.sqrt(np.mean((found[:, 0] - labels["values"]) ** 2)) / np.std(labels["values"])
        assert point.score == pytest.approx(error) and point.loss == pytest.approx(error - values.yardstick.reference)
    decisions = explore(model, calibration=x, test=(x, labels["decisions"]), **_BITS)
    for point, found in zip(decisions.points, _outputs(model, decisions, x), strict=True):
        assert point.score == pytest.approx(np.mean((found[:, 0] > 0.5) == labels["decisions"]))
    alone = explore(model, calibration=x, **_BITS)
    for point, found in zip(alone.points, _outputs(model, alone, x), strict=True):
        assert point.score == pytest.approx(np.mean(np.abs(found - floats)) / np.ptp(floats), rel=1e-6)
        assert point.loss == point.score


def test_one_hot_rows_are_classes() -> None:
    x, y = _data("digits")
    digits = _NETWORKS["digits"][0]
    bits = {"weight_bits": (4,), "result_bits": (6,)}
    scores = [explore(digits, calibration=x, test=(x, labels), **bits).points for labels in (y, np.eye(10)[y])]
    assert scores[0][0].score == scores[1][0].score


@pytest.mark.parametrize("labels", [np.arange(360), np.zeros((360, 3)), np.zeros(7)])
def test_labels_of_another_model_are_rejected(labels: npt.NDArray[np.generic]) -> None:
    x, _ = _data("digits")
    with pytest.raises(InputDataError, match="labels"):
        explore(_NETWORKS["digits"][0], test=(x, labels), **_BITS)


@pytest.mark.slow
@pytest.mark.ci
def test_the_front_and_the_best_are_by_definition(model: Path) -> None:
    x = np.random.default_rng(4).uniform(-1.0, 1.0, (64, 6))
    bits = {"weight_bits": (3, 4, 6, 8), "result_bits": (6, 8, 10)}
    found = explore(model, {"Model": {"Strategy": "Resource"}}, x, reuse_factors=(1, 2, 3), **bits)
    assert {point.size.interval for point in found.points} == {1, 2, 3}
    axes = [(found.area(point), point.loss, point.size.interval) for point in found.points]

    def is_beaten(own: tuple[float, ...]) -> bool:
        return any(axis != own and all(map(operator.le, axis, own)) for axis in axes)

    front = {(found.area(point), point.loss, point.size.interval) for point in found.front}
    assert front == {own for own in axes if not is_beaten(own)}
    for loss in (0.002, 0.01, 0.1):
        best, good = found.best(loss), [p for p in found.points if p.fits and p.loss <= loss]
        least = min(((p.size.interval, found.area(p)) for p in good), default=(best.size.interval, found.area(best)))
        assert best.fits and (best.size.interval, found.area(best)) == least


@pytest.mark.slow
@pytest.mark.ci
def test_where_nothing_fits_that_is_said(tmp_path: Path) -> None:
    x, y = _data("digits")
    found = explore(
        _NETWORKS["digits"][0], calibration=x, test=(x, y), part="iCE40LP384-SG32", weight_bits=(4,), result_bits=(6,)
    )
    assert "none of" in found.verdict and not any(point.fits for point in found.points)
    with pytest.raises(CapacityError, match="fits"):
        found.best()
    assert found.write(tmp_path).is_file()


def test_equal_circuits_are_shown_once() -> None:
    """The weights of the digits classifier have four bits."""
    found, _ = _explored("digits", (4, 5, 16), (8,))
    assert [point.bits for point in found.points] == [Bits(4, 8)]


@pytest.mark.slow
@pytest.mark.ci
def test_quantized_models_have_nothing_to_explore() -> None:
    found = explore(_QUANTIZED, check=False, **_BITS)
    assert len(found.points) == 1 and "no bits to choose" in str(found)


@pytest.mark.parametrize("config", [{"Model": {"Bits": 8}}, {"Model": {"Bits": {"weight": 6}}}])
def test_bits_that_are_chosen_are_not_explored(model: Path, config: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="to be found"):
        explore(model, config, **_BITS)


def test_data_in_the_place_of_a_configuration_get_their_names(model: Path) -> None:
    x = np.zeros((4, 6))
    with pytest.raises(ConfigError, match=r"a tuple where a dictionary[\s\S]*explore test=\(x, labels\)"):
        explore(model, (x, np.zeros(4)))  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [(), (1,), (99,)])
def test_bits_that_there_are_not_are_rejected(model: Path, bits: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="from 2 to 24"):
        explore(model, weight_bits=bits)


def test_bits_of_single_layers_stay(model: Path) -> None:
    config = {"LayerName": {"s": {"Bits": {"weight": 5}}}}
    found = explore(model, config, np.random.default_rng(0).uniform(-1, 1, (64, 6)), **_BITS)
    assert [point.bits for point in found.points] == [Bits(3, 6), Bits(3, 10)]
    assert found.config(found.points[0]) == {**config, "Model": {"Bits": {"weight": 3, "result": 6}}}


@pytest.mark.slow
@pytest.mark.ci
def test_the_command_shows_a_page_and_a_command_that_makes_the_circuit(tmp_path: Path) -> None:
    x, y = _data("digits")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y y.npy", y)
    own = [str(_NETWORKS["digits"][0]), "--calibration", str(tmp_path / "x.npy"), "--set", "Model.ReuseFactor=1"]
    bits = ["--weight-bits", "3,4", "--result-bits", "6", "-o", str(tmp_path / "found")]
    asked = ["explore", *own, "--test", str(tmp_path / "x.npy"), str(tmp_path / "y y.npy"), *bits]
    result = CliRunner().invoke(app, [*asked, "--json"])
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    best = next(p for p in document["points"] if p["Bits"] == {"weight": 4, "result": 6})
    shown = CliRunner().invoke(app, asked)
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("The best: "))
    program, *words = shlex.split(line.removeprefix("The best: "))
    assert program == "bitsmith"
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "made")])
    assert done.exit_code == 0, done.stderr
    made = bitsmith.Model.load(tmp_path / "made" / "model.json")
    assert float(np.mean(np.asarray(made.predict(x)).argmax(axis=-1) == y)) == best["Score"]
    text = (tmp_path / "found" / "exploration.html").read_text(encoding="utf-8")
    (project,) = set(re.findall(r"<code[^>]*>(KerasModel: [^<]*weight: 4\s+result: 6\s*)</code>", text))
    (tmp_path / "copied.yml").write_text(project, encoding="utf-8")
    assert yaml.safe_load(project)["HLSConfig"]["Model"] == {"ReuseFactor": 1, "Bits": {"weight": 4, "result": 6}}


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("part", "tried"),
    [(_SMALL, ["--weight-bits", "8"]), ("LFE5U-85F", ["--weight-bits", "4", "--reuse-factors", "256"])],
)
def test_the_command_of_a_circuit_with_reuse_factors_makes_it(tmp_path: Path, part: str, tried: list[str]) -> None:
    digits = str(_NETWORKS["digits"][0])
    asked = ["explore", digits, "--part", part, "--result-bits", "8", *tried, "-o", str(tmp_path / "found")]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.stderr
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("The best: "))
    done = CliRunner().invoke(app, [*shlex.split(line)[3:], "-o", str(tmp_path / "made")])
    assert done.exit_code == 0, done.stderr
    made = bitsmith.Model.load(tmp_path / "made" / "model.json")
    size = size_of(made.program, made.directives, made.target)
    result = CliRunner().invoke(app, [*asked, "--json"])
    best = next(p for p in json.loads(result.stdout)["points"] if p["II"] > 1)
    assert best["Fits"] and (best["II"], best["Estimate"]) == (size.interval, size.section())


def test_the_page_and_the_picture_are_whole(model: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(4).uniform(-1.0, 1.0, (64, 6))
    found = explore(model, calibration=x, **_BITS)
    text = found.write(tmp_path).read_text(encoding="utf-8")
    assert text.count('type="radio"') == text.count('class="detail"') == len(found.points) == 4
    assert text.count(" checked") == 1 and "<b>value" not in text
    results = re.findall(r'data-label="Result">([^<]*)</td>', text)
    assert sum(map(bool, results)) >= len(found.points), "layers are shown with their formats"
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in text and not re.search(r'(src|href)="', text)
    picture = ET.fromstring((tmp_path / "exploration.svg").read_bytes())
    assert len(picture.findall(".//{*}circle/{*}title")) == len(found.points)


def test_data_that_are_not_given_are_missed_aloud(model: Path) -> None:
    x, bits = np.random.default_rng(0).uniform(-1, 1, (64, 6)), {"weight_bits": (8,), "result_bits": (8,)}
    assert "formats and scores are those of generated inputs" in explore(model, **bits).verdict
    assert "formats are those of generated inputs" in explore(model, test=x, **bits).verdict
    assert "generated" not in explore(model, calibration=x, **bits).verdict
    assert "generated" not in explore("x + y", inputs={"x": (-1, 1), "y": (0, 1)}, **bits).verdict


def test_what_layers_say_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of formulas take seconds."""
    asked: list[object] = []

    def counted(network: object, *_: object) -> tuple[str, ...]:
        asked.append(network)
        return ()

    monkeypatch.setattr("bitsmith.conversion.exploration.bounds", counted)
    found = bitsmith.explore("x + y", inputs={"x": (-1, 1), "y": (0, 1)}, weight_bits=(8,), result_bits=(8, 10))
    texts = [str(found) for _ in range(3)]
    assert texts[0] == texts[2] and len(asked) <= len(found.points)
    count = len(asked)
    assert str(found) == texts[0] and found._repr_html_()
    assert len(asked) == count > 0
