"""Fits: the circuit that meets a goal is what was promised of it, and where none does that is said."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

import bitsmith
from bitsmith import Goal
from bitsmith.cli.commands import app
from bitsmith.compiler import Compiled, Source
from bitsmith.conversion.fitted import Fitted, _rounded
from bitsmith.errors import CapacityError, ConfigError, FewSamplesWarning, InputDataError, ProjectError
from bitsmith.estimate.needs import packed_luts
from bitsmith.ir.text import to_text
from bitsmith.model import descent, results
from bitsmith.model.results import Result, Results
from tests.properties import few
from tests.test_exploration import _QUANTIZED

PART = "LFE5U-25F"
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::bitsmith.errors.FidelityWarning"
    ),  # few bits are far off where labels forgive it
    pytest.mark.filterwarnings("ignore::bitsmith.errors.InputRangeWarning"),
    pytest.mark.filterwarnings("ignore::bitsmith.errors.FewSamplesWarning"),  # half a percent of 300 samples is one
]


def _perceptron(folder: Path, rng: np.random.Generator) -> Path:
    """A float perceptron of 12, 8 and 3 elements."""
    shapes = {"w1": (12, 8), "b1": (8,), "w2": (8, 3)}
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, (rng.standard_normal(shape) / 3).astype("f4"))
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["hidden"], name="hidden"),
        helper.make_node("Relu", ["hidden"], ["relu"], name="relu"),
        helper.make_node("MatMul", ["relu", "w2"], ["scores"], name="scores"),
    ]
    ports = [helper.make_tensor_value_info(*port) for port in (("x", 1, ["N", 12]), ("scores", 1, ["N", 3]))]
    graph = helper.make_graph(nodes, "perceptron", ports[:1], ports[1:], weights)
    path = folder / "perceptron.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _perceptron(tmp_path_factory.mktemp("fit"), np.random.default_rng(0))


@pytest.fixture(scope="module")
def data(model: Path) -> tuple[Floats, Labels]:
    """Inputs, and the classes that the float model says, a tenth of them wrong."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1.0, 1.0, (600, 12))
    network = bitsmith.convert(model, check=False).network
    labels = network.evaluate([x])[network.outputs[0]].argmax(axis=1)
    return x, np.where(rng.random(600) < 0.1, (labels + 1) % 3, labels)


@pytest.fixture(scope="module")
def found(model: Path, data: tuple[Floats, Labels]) -> Fitted:
    return bitsmith.fit(model, data, Goal(loss=0.02, part=PART))


def _accuracy(model: bitsmith.Model, x: Floats, labels: Labels) -> float:
    return float(np.mean(np.asarray(model.predict(x)).argmax(axis=1) == labels))


@pytest.mark.slow
@pytest.mark.ci
def test_the_circuit_is_what_is_said_of_it_and_its_configuration_makes_it(
    found: Fitted, model: Path, data: tuple[Floats, Labels], tmp_path: Path
) -> None:
    x, labels = data
    order = np.random.default_rng(0).permutation(len(x))
    fitting, held = order[:300], order[300:]
    made = bitsmith.convert(model, tmp_path, found.configuration, x[fitting], part=PART)
    assert to_text(made.program) == to_text(found.model.program) == to_text(found.best().compiled.program)
    assert found.model.output_dir == bitsmith.convert(model, check=False).output_dir, "a folder of its own, to build in"
    chosen = found.chosen
    assert chosen is not None and found.samples == (300, 300)
    for scores, part in ((chosen.fitting, fitting), (chosen.scores, held)):
        assert scores == (_accuracy(made, x[part], labels[part]),)
    reference = np.asarray(made.source.network.evaluate([x])["scores"]).argmax(axis=1) == labels  # type: ignore[union-attr]
    right = np.asarray(made.predict(x)).argmax(axis=1) == labels
    lost = reference[held].astype(float) - right[held]
    assert chosen.loss == pytest.approx(lost.mean()) and lost.mean() <= 0.02
    assert 1.96 / 300 <= found.margin < 0.1
    assert found.chosen.figures["lut"] == found.area(found.best()) == packed_luts(made.estimate().size, found.part)


@pytest.mark.slow
@pytest.mark.ci
def test_it_is_smaller_than_with_bits_of_the_whole_model(model: Path) -> None:
    """At the same share of decisions like the float model's, on the same data, with the same standard error to spare."""
    x = np.random.default_rng(5).uniform(-1.0, 1.0, (2000, 12))
    found = bitsmith.fit(model, x, Goal(metric="agreement", loss=0.02, part=PART))
    floats = bitsmith.convert(model, check=False).network.evaluate([x])["scores"].argmax(axis=1)
    fitted, held = np.split(np.random.default_rng(0).permutation(len(x)), 2)
    uniform = bitsmith.explore(model, None, x[fitted], (x[held], floats[held]), part=PART, check=False)
    sure = [p for p in uniform.points if p.fits and p.loss + np.sqrt(p.loss * (1 - p.loss) / len(held)) <= 0.02]
    least = min(map(uniform.area, sure))
    assert found.area(found.best()) < least


@pytest.mark.slow
@pytest.mark.ci
def test_the_same_seed_gives_the_same_circuit(found: Fitted, model: Path, data: tuple[Floats, Labels]) -> None:
    again = bitsmith.fit(model, data, {"loss": 0.02, "part": PART})
    assert again.configuration == found.configuration and again.tried == found.tried
    other = bitsmith.fit(model, data, Goal(loss=0.02, part=PART), seed=1, tries=3)
    assert not np.array_equal(other.calibration[0], found.calibration[0]) and other.tried < 20


@pytest.mark.slow
@pytest.mark.ci
def test_too_few_samples_are_told_with_how_many_would_do(model: Path, data: tuple[Floats, Labels]) -> None:
    """A bound of half a percent cannot be told from 300 samples, one of which is 0.33 %."""
    with pytest.warns(FewSamplesWarning, match="300 held-out samples tell a loss to"):
        few = bitsmith.fit(model, data, Goal(loss=0.005), tries=3)
    assert few.chosen is not None and few.margin > 0.005 and few.too_few[1:] in few.verdict
    needed = 600 * (few.margin / 0.005) ** 2
    (said,) = re.findall(r"about ([\d,]+) samples in all", few.too_few)
    assert needed <= int(said.replace(",", "")) <= 1.2 * needed
    with warnings.catch_warnings():
        warnings.simplefilter("error", FewSamplesWarning)
        for goal in (Goal(loss=0.3), Goal(limit=0.5, metric="accuracy")):
            assert bitsmith.fit(model, data, goal, tries=3).too_few == ""


@pytest.mark.slow
@pytest.mark.ci
def test_what_the_configuration_says_of_layers_stays(model: Path, data: tuple[Floats, Labels]) -> None:
    config = {"LayerName": {"hidden": {"Bits": {"weight": 9}, "DigitPrice": 0}, "relu": {"Precision": "ufixed<9,4>"}}}
    kept = bitsmith.fit(model, data, Goal(loss=0.05), config, tries=30)
    layers = kept.configuration["LayerName"]
    assert isinstance(layers, dict)
    assert layers["hidden"]["Bits"]["weight"] == 9 and layers["hidden"]["DigitPrice"] == 0
    assert layers["relu"]["Precision"] == "ufixed<9,4>"


@pytest.mark.slow
@pytest.mark.ci
def test_a_quantized_model_keeps_its_types() -> None:
    shape = next(iter(bitsmith.convert(_QUANTIZED, check=False).network.input_shapes().values()))
    x = np.random.default_rng(0).uniform(-1, 1, (40, *shape))
    kept = bitsmith.fit(_QUANTIZED, x, Goal(loss=0.5), check=False)
    plain = bitsmith.convert(_QUANTIZED, calibration=kept.calibration[0], check=False)
    assert to_text(kept.best().compiled.program) == to_text(plain.program)
    assert kept.decided


@pytest.mark.slow
@pytest.mark.ci
def test_reuse_factors_follow_where_bounds_of_area_need_them(
    found: Fitted, model: Path, data: tuple[Floats, Labels]
) -> None:
    bound = 900
    shared = bitsmith.fit(model, data, Goal(loss=0.02, lut=bound, part=PART), tries=20)
    assert shared.chosen is not None and shared.chosen.figures["lut"] <= bound < found.area(found.best())
    assert shared.best().size.interval > 1 and shared.model.estimate().size == shared.best().size
    too_slow = bitsmith.fit(model, data, Goal(loss=0.02, lut=bound, interval=1, part=PART), tries=20)
    assert too_slow.chosen is None
    assert "interval=" in too_slow.verdict and "lut=" in too_slow.verdict and "instead of 900" in too_slow.verdict
    for asked in ("best", "model", "configuration"):
        with pytest.raises(CapacityError, match="instead of 900"):
            value = getattr(too_slow, asked)
            value()


def test_a_loss_that_is_out_of_reach_says_what_would_do(model: Path, data: tuple[Floats, Labels]) -> None:
    short = bitsmith.fit(model, data, Goal(limit=0.99, metric="accuracy"))
    assert short.chosen is None and "a limit that is" in short.verdict and "more lenient" in short.verdict
    assert short.tried <= len(descent._LADDER)


@pytest.mark.slow
@pytest.mark.ci
def test_bounds_of_area_and_speed_that_nothing_meets_say_what_each_alone_would_have_to_be(
    model: Path, data: tuple[Floats, Labels]
) -> None:
    none = bitsmith.fit(model, data, Goal(loss=0.3, latency=1, part=PART), tries=1)
    least = f"latency={min(each.figures['latency'] for each in none.points if each.excess <= 0)} cycles instead of 1"
    assert none.chosen is None and f"it takes {least}, with all other bounds" in none.verdict
    with pytest.raises(CapacityError, match="instead of 1"):
        none.best()
    both = bitsmith.fit(model, data, Goal(limit=0.9999, metric="accuracy", latency=1, part=PART), tries=1)
    assert both.chosen is None and "no bound alone is in the way" in both.verdict
    two = bitsmith.fit(model, data, Goal(loss=0.3, latency=1, lut=1, part=PART), tries=1).verdict
    assert re.search(r"the nearest circuit has latency=\d+ cycles instead of 1 and lut=[\d,]+ instead of 1\.", two)


def test_a_bound_of_the_interval_is_used_for_reuse_factors(model: Path, data: tuple[Floats, Labels]) -> None:
    """A result every 64 cycles is as good as one in each cycle, so that multipliers are shared."""
    fast, slow = (bitsmith.fit(model, data, Goal(loss=0.0, interval=cycles, part=PART), tries=1) for cycles in (1, 64))
    assert fast.best().size.interval == 1 < slow.best().size.interval <= 64
    assert slow.area(slow.best()) < fast.area(fast.best())
    assert slow.model.estimate().size == slow.best().size


@pytest.mark.slow
@pytest.mark.ci
def test_networks_that_need_more_cycles_than_are_wanted_are_left_out(model: Path, data: tuple[Floats, Labels]) -> None:
    free = bitsmith.fit(model, data, Goal(loss=0.02, latency=9, part=PART), tries=1).best()
    wanted = free.figures["latency"] - 1
    found = bitsmith.fit(model, data, Goal(loss=0.02, part=PART), tries=1, latency=f"={wanted}")
    assert found.chosen is None and "more lenient" in found.verdict
    assert found.points and all(point.size.lut < free.size.lut for point in found.points)
    with pytest.raises(CapacityError, match="cycles at least"):
        bitsmith.fit(model, data, Goal(loss=0.02, part=PART), tries=1, latency="=1")


@pytest.mark.slow
@pytest.mark.ci
def test_latencies_are_those_of_the_model(model: Path, data: tuple[Floats, Labels]) -> None:
    quick = bitsmith.fit(model, data, Goal(loss=0.05, minimize="latency"), tries=20)
    assert quick.chosen is not None and quick.chosen.figures["latency"] == quick.model.estimate().latency
    bound = quick.chosen.figures["latency"] - 1
    assert bitsmith.fit(model, data, Goal(loss=0.05, latency=bound), tries=20).chosen is None


@few(
    "metric, reference",
    [
        ("agreement", lambda scores, floats, labels: np.mean(scores.argmax(1) == floats.argmax(1))),
        ("rmse", lambda scores, floats, labels: np.sqrt(np.mean((scores - floats) ** 2)) / np.std(floats)),
        ("mse", lambda scores, floats, labels: np.mean((scores - floats) ** 2) / np.var(floats)),
        (lambda scores, labels: -float(np.abs(scores - labels).max()), None),
    ],
    fast=2,
    judged=True,
)
def test_metrics_are_their_definitions(
    model: Path, data: tuple[Floats, Labels], metric: object, reference: Callable[..., float] | None
) -> None:
    x, _ = data
    network = bitsmith.convert(model, check=False).network
    floats = network.evaluate([x])["scores"]
    fitted = bitsmith.fit(model, (x, floats), Goal(metric=metric, loss=0.1), tries=4)  # type: ignore[arg-type]
    held = np.random.default_rng(0).permutation(len(x))[300:]
    scores = np.asarray(fitted.model.predict(x[held]))
    wanted = reference(scores, floats[held], None) if reference is not None else metric(scores, floats[held])  # type: ignore[operator]
    assert fitted.best().score == pytest.approx(wanted)


def test_an_interruption_keeps_what_was_found(
    model: Path, data: tuple[Floats, Labels], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def stop(line: str) -> None:
        told.append(line)
        if len(told) == 12:
            raise KeyboardInterrupt

    stopped = bitsmith.fit(model, data, Goal(loss=0.02), progress=stop)
    assert stopped.interrupted and "(interrupted)" in stopped.verdict and stopped.chosen is not None
    assert any("networks tried" in line for line in told)


@pytest.mark.slow
@pytest.mark.ci
def test_an_interrupt_while_networks_are_judged_keeps_those_that_were(model: Path, data: tuple[Floats, Labels]) -> None:
    judged: list[str] = []

    def stop(line: str) -> None:
        judged.extend([line] if "held-out samples" in line else [])
        if len(judged) == most:
            raise KeyboardInterrupt

    most = 1
    with pytest.raises(KeyboardInterrupt):
        bitsmith.fit(model, data, Goal(loss=0.5, part=PART), tries=6, progress=stop)
    judged.clear()
    most = 2
    stopped = bitsmith.fit(model, data, Goal(loss=0.5, part=PART), tries=6, progress=stop)
    assert stopped.interrupted and stopped.chosen is not None
    assert {point.bits for point in stopped.points} == {stopped.best().bits}


@pytest.mark.slow
@pytest.mark.ci
def test_a_fit_that_was_stopped_goes_on_where_it_was(
    model: Path, data: tuple[Floats, Labels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, file = Goal(loss=0.05, part=PART), tmp_path / "new" / "results.jsonl"
    whole = bitsmith.fit(model, data, asked, tries=24)
    compiled: list[object] = []
    compile_ = descent.compiled_with

    def stopping(source: Source, keys: Mapping[str, object]) -> Compiled:
        compiled.append(keys)
        if len(compiled) == 10:
            raise KeyboardInterrupt
        return compile_(source, keys)

    monkeypatch.setattr(descent, "compiled_with", stopping)
    stopped = bitsmith.fit(model, data, asked, tries=24, resume=file)
    assert stopped.interrupted and 0 < stopped.tried < whole.tried
    with file.open("a") as cut:
        cut.write('["half a li')
    again = bitsmith.fit(model, data, asked, tries=24, resume=file)
    assert again.configuration == whole.configuration and again.tried == whole.tried and not again.interrupted
    compiled[:] = [None] * 10
    bitsmith.fit(model, data, asked, tries=24, resume=file)
    assert len(compiled) - 10 < whole.tried, "networks of which nothing is asked are not made again"
    for other in ({"goal": Goal(loss=0.1, part=PART)}, {"goal": asked, "seed": 1}):
        with pytest.raises(ConfigError, match="results of another search"):
            bitsmith.fit(model, data, tries=24, resume=file, **other)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cannot be used"):
        bitsmith.fit(model, data, asked, resume=tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_that_says_so(
    model: Path, data: tuple[Floats, Labels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, result = Results(Path("/dev/full")), Result(1.0, 1, (0.5,), 0.0, 0.1)
    with pytest.raises(ProjectError, match=r"(?s)/dev/full.*No space left on device.*goes on from the results"):
        full.add("keys", result)
    file = tmp_path / "results.jsonl"
    Results.of(file, "a search").add("keys", result)
    written = file.read_bytes()
    file.write_bytes(written + b"cut")

    def full_disk(path: Path, write: object) -> None:
        raise ProjectError("cannot be written: No space left on device", where=str(path))

    monkeypatch.setattr(results, "write_atomically", full_disk)
    with pytest.raises(ProjectError, match="No space left"):
        Results.of(file, "a search")
    assert file.read_bytes() == written + b"cut", "results that are there stay"
    monkeypatch.undo()
    assert Results.of(file, "a search").known == {"keys": result}
    assert file.read_bytes() == written


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (lambda x, y: (x[:0], y[:0]), "0 samples|no samples|empty"),
        (lambda x, y: (x[:2], y[:2]), "1 samples to fit on, and 1 that are held out"),
        (lambda x, y: (x.T, y), "shape"),
        (lambda x, y: (np.where(x > 0.99, np.inf, x), y), "NaN or infinite"),
        (lambda x, y: (np.zeros_like(x), y), "inputs that are all alike"),
        (lambda x, y: (np.where(x > 0.99, np.nan, x), y), "NaN or infinite"),
        (lambda x, y: (x, np.where(y == 1, np.nan, y)), "labels that are no numbers"),
        (lambda x, y: (x, np.array(["a", "b"])[y % 2]), r"labels that are no numbers(.|\n)*return_inverse"),
        (lambda x, y: (x, np.zeros_like(y)), "labels that are all alike"),
        (lambda x, y: (x, y[:-1]), "599 labels for 600 samples"),
        (lambda x, y: (x, np.zeros((600, 4))), r"labels of shape \(600, 4\)"),
        (lambda x, y: (x, y + 2), "labels from 2 to 4"),
        (lambda x, y: (x, np.float64(3.0)), "0 labels for 600 samples"),
    ],
)
def test_data_from_which_nothing_follows_are_rejected(
    model: Path, data: tuple[Floats, Labels], damaged: Callable[..., object], said: str
) -> None:
    with pytest.raises(InputDataError, match=said):
        bitsmith.fit(model, damaged(*data))  # type: ignore[arg-type]


def test_a_part_that_is_too_small_to_decide_is_rejected(model: Path, data: tuple[Floats, Labels]) -> None:
    x, labels = data
    with pytest.raises(InputDataError, match=r"36 samples to fit on, and 4 that are held out(.|\n)*10 or more"):
        bitsmith.fit(model, (x[:40], labels[:40]), held_out=0.1)


def test_a_metric_that_labels_do_not_have_is_rejected(model: Path, data: tuple[Floats, Labels]) -> None:
    x, labels = data
    with pytest.raises(InputDataError, match="no labels"):
        bitsmith.fit(model, x, Goal(metric="accuracy"))
    with pytest.raises(InputDataError, match="labels that are values"):
        bitsmith.fit(model, (x, np.eye(3)[labels] + 0.5), Goal(metric="auc"))
    for value in (float("nan"), np.array([0.5, 0.6]), "good", None):
        with pytest.raises(InputDataError, match="finite number"):
            bitsmith.fit(model, data, Goal(metric=lambda outputs, classes, value=value: value))


def test_look_up_tables_decide_between_circuits_of_the_same_interval(model: Path, data: tuple[Floats, Labels]) -> None:
    fast = bitsmith.fit(model, data, Goal(minimize="interval", part=PART), tries=1).best()
    small = bitsmith.fit(model, data, Goal(part=PART), tries=1).best()
    assert (fast.size.interval, fast.size.lut) == (small.size.interval, small.size.lut) and small.size.interval == 1


def test_arguments_without_meaning_are_rejected(model: Path, data: tuple[Floats, Labels]) -> None:
    for arguments, said in (
        ({"held_out": 1.5}, "from 0.1 to 0.9"),
        ({"held_out": "half"}, "a number"),
        ({"tries": 0}, "an integer from 1"),
        ({"tries": "5"}, "an integer"),
        ({"seed": -1}, "an integer from 0"),
        ({"seed": None}, "an integer"),
        ({"resume": 5}, "the path of a file"),
        ({"goal": {"loss": 1}}, "a share below 1"),
        ({"goal": {"limit": 94}}, "a share up to 1"),
        ({"bits": 8}, "to be found"),
        ({"part": "LFE5U-85F", "goal": {"part": PART}}, "keep one of the two"),
    ):
        with pytest.raises(ConfigError, match=said):
            bitsmith.fit(model, data, **arguments)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.ci
def test_the_command_writes_a_project_that_is_built_and_converted_again(
    model: Path, data: tuple[Floats, Labels], tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", x=data[0], y=data[1])
    folder = tmp_path / "fitted"
    asked = ["fit", str(model), "--data", str(tmp_path / "d.npz"), "--goal", "loss=0.05", "--tries", "30"]
    asked += ["--part", PART, "--set", "LayerName.hidden.Bits={weight: 9}", "--output-dir", str(folder)]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    saved = bitsmith.Model.load(folder / "model.json")
    order = np.random.default_rng(0).permutation(600)[300:]
    assert _accuracy(saved, data[0][order], data[1][order]) == document["chosen"]["held_out"][0]
    assert (folder / "exploration.html").is_file() and (folder / "exploration.svg").is_file()
    again = ["convert", str(folder / "fitted.yml"), "--calibration", str(folder / "calibration.npy")]
    made = CliRunner().invoke(app, [*again, "-o", str(tmp_path / "again")])
    assert made.exit_code == 0, made.stderr
    assert to_text(bitsmith.Model.load(tmp_path / "again" / "model.json").program) == to_text(saved.program)
    wrong = CliRunner().invoke(app, [*asked, "--goal", "lutt=5"])
    assert wrong.exit_code == 1 and "did you mean 'lut'" in wrong.stderr
    missed = CliRunner().invoke(app, [*asked, "--goal", "lut=3", "--goal", "interval=1"])
    assert missed.exit_code == 1 and "instead of 3" in missed.stdout and "< best" not in missed.stdout
    few = CliRunner().invoke(app, [*asked, "--goal", "loss=0.005", "--tries", "3"])
    assert few.exit_code == 0 and " ".join(few.output.split()).count("held-out samples tell") == 1


@pytest.mark.parametrize(("count", "said"), [(1, 1), (7.2, 8), (99, 99), (101, 110), (12345, 13000), (12000, 12000)])
def test_numbers_of_samples_are_rounded_up_to_two_figures(count: float, said: int) -> None:
    assert _rounded(count) == said
