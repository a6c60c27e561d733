"""The commands that convert a model: one set of options, projects as YAML, and what they write."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

import bitsmith
from bitsmith.backends import BACKENDS
from bitsmith.cli.commands import app
from bitsmith.cli.options import FLAGS, ModelOptions
from bitsmith.cli.request import Request
from bitsmith.config.values import IOType
from bitsmith.conversion.conversion import convert
from bitsmith.errors import ConfigError, nearest
from bitsmith.layers.settings import Outliers, Strategy
from tests.system.keras2 import write_dense

MODELS = Path(str(resources.files("bitsmith"))) / "data" / "models"
DIGITS = MODELS / "digits.keras"
INPUTS = np.load(MODELS / "digits_test.npz")["inputs"]


_options: Callable[..., ModelOptions] = ModelOptions


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _json(*arguments: str | Path) -> dict[str, object]:
    result = _run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs") / "x.npy"
    np.save(path, INPUTS[:20])
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder that convert wrote."""
    folder = tmp_path_factory.mktemp("converted") / "digits"
    assert _run("convert", DIGITS, "-c", MODELS / "digits.config.json", "-o", folder).exit_code == 0
    return folder


def test_every_argument_of_convert_is_an_option() -> None:
    arguments = set(inspect.signature(convert).parameters)
    options = {"model": "file", "output_dir": "", "example": "", "layers": "", "inputs": ""}
    assert {options.get(name, name) for name in arguments} - {""} <= {
        *FLAGS,
        *inspect.signature(ModelOptions).parameters,
    }
    assert FLAGS["backend"].values == BACKENDS
    assert FLAGS["io_type"].values == tuple(io_type.value for io_type in IOType)
    assert FLAGS["outliers"].values == tuple(choice.value for choice in Outliers)
    assert FLAGS["strategy"].values == tuple(strategy.value for strategy in Strategy)


NO_PROJECTS: dict[str, tuple[str, str]] = {
    "net.keras": ("a file, not a project folder", "bitsmith convert net.keras --output-dir DIR"),
    "nowhere": ("nowhere: there is no such folder", "bitsmith convert FILE"),
    ".": ("no model.json in it", "accepted: digits"),
}


@pytest.mark.parametrize("name", NO_PROJECTS)
def test_what_is_no_project_is_told_what_would_be_one(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent)
    Path("net.keras").write_bytes(b"")
    result, (problem, help) = _run("build", name), NO_PROJECTS[name]
    assert result.exit_code == 1 and problem in result.stderr and help in result.stderr


@pytest.mark.parametrize(
    ("options", "project", "layers"),
    [
        ({"precision": "fixed<8,3>", "reuse_factor": 4}, {}, {"Model": {"Precision": "fixed<8,3>", "ReuseFactor": 4}}),
        ({"bits": "weight=6,result=8"}, {}, {"Model": {"Bits": {"weight": 6, "result": 8}}}),
        (
            {"strategy": "resource", "io_type": "io_stream"},
            {"IOType": "io_stream"},
            {"Model": {"Strategy": "resource"}},
        ),
        ({"set_": ["ClockUncertainty=20%", "Part=LFE5U-45F"]}, {"ClockUncertainty": "20%", "Part": "LFE5U-45F"}, {}),
        (
            {"set_": ["LayerName.block.0.fc.Precision.weight=fixed<8,2>", "LayerName.block.0.fc.ReuseFactor=3"]},
            {},
            {"LayerName": {"block.0.fc": {"Precision": {"weight": "fixed<8,2>"}, "ReuseFactor": 3}}},
        ),
        (
            {"set_": ["LayerName.block.0.fc.bits.weight=9", "LayerName.fc.Bits=7"]},
            {},
            {"LayerName": {"block.0.fc": {"bits": {"weight": 9}}, "fc": {"Bits": 7}}},
        ),
        (
            {"precision": "auto", "set_": ["Model.precision.weight=fixed<6,2>"]},
            {},
            {"Model": {"Precision": {"default": "auto", "weight": "fixed<6,2>"}}},
        ),
    ],
)
def test_options_are_keys_of_a_project(
    options: dict[str, object], project: dict[str, object], layers: dict[str, object]
) -> None:
    request = Request.of(_options(file=DIGITS, **options))
    assert request.content == {"KerasModel": str(DIGITS), **project, "HLSConfig": layers}


def test_options_come_before_the_files(tmp_path: Path) -> None:
    path = tmp_path / "project.yml"
    path.write_text(
        f"KerasModel: {DIGITS}\nclock_period: 8\nPart: LFE5U-45F\nHLSConfig: {{Model: {{reuse_factor: 2}}}}\n"
    )
    for options in (ModelOptions(file=path, reuse_factor=5), ModelOptions(config=path, set_=["Model.ReuseFactor=5"])):
        request = Request.of(options)
        assert (request.model, request.project.part, request.project.clock_period_ns) == (DIGITS, "LFE5U-45F", 8.0)
        assert request.content["HLSConfig"] == {"Model": {"reuse_factor": 5}}


@pytest.mark.parametrize(
    "options",
    [{}, {"file": DIGITS, "set_": ["nonsense"]}, {"file": DIGITS, "input_shape": "a,b"}, {"file": DIGITS, "bits": "x"}],
)
def test_what_is_not_understood(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Request.of(_options(**options)).conversion()


def test_a_written_configuration_converts_alike(tmp_path: Path) -> None:
    path = tmp_path / "digits.yml"
    written = _json("config", DIGITS, "--bits", "7", "--part", "LFE5U-45F", "-o", path)
    assert written == {"written": str(path)}
    content = yaml.safe_load(path.read_text())
    assert content["HLSConfig"]["LayerName"]["fc1"]["Precision"]["weight"] == "auto"
    converted = _json("convert", path, "-o", tmp_path / "project", "--no-check")
    direct = _json("explain", DIGITS, "--bits", "7", "--part", "LFE5U-45F", "--no-check")
    assert converted["layers"] == direct["layers"] and converted["part"] == "LFE5U-45F"


def test_what_a_project_file_says_of_writing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "digits.yml"
    words = "Board: pynq-z2\nBusInput: fixed<8,4>\nBusOutput: fixed<16,8>\nStamp: 8a1b\nInputType: float\n"
    path.write_text(f"KerasModel: {DIGITS}\n{words}WriterConfig: {{WriteTar: true, WriteWeightsTxt: true}}\n")
    _json("convert", path, "-o", tmp_path / "p", "--no-check")
    made = bitsmith.Model.load(tmp_path / "p" / "model.json", tmp_path / "p")
    assert sum("Without effect in the configuration: Stamp" in note for note in made.notes) == 1
    target = made.target
    assert target.write_tar and target.write_weights_txt
    assert (target.bus_input, target.bus_output) == ("fixed<8,4>", "fixed<16,8>")


def test_input_shapes_of_files(tmp_path: Path) -> None:
    """A project's own, and that of a configuration of layers; an option comes first, and some frameworks take none."""
    project, layers = tmp_path / "project.yml", tmp_path / "layers.yml"
    project.write_text(f"KerasModel: {DIGITS}\nInputShape: [8, 8]\n")
    layers.write_text("InputShape: [8, 8]\nModel: {Precision: auto}\n")
    for options in ({"file": project}, {"file": DIGITS, "config": layers}):
        assert Request.of(_options(**options)).project.input_shape == [8, 8]
        assert Request.of(_options(**options, input_shape="64")).project.input_shape == [64]
        assert yaml.safe_load(Request.of(_options(**options)).written({}))["InputShape"] == [8, 8]
    (tmp_path / "model.tflite").write_bytes(b"")
    project.write_text(f"TfliteModel: {tmp_path / 'model.tflite'}\nInputShape: [8, 8]\n")
    for read in (bitsmith.converters.tflite_to_hls, lambda path: Request.of(_options(file=path)).conversion().model()):
        with pytest.raises(ConfigError, match="given with a model of TensorFlow Lite"):
            read(project)


def test_a_stream_circuit_from_the_shell(tmp_path: Path) -> None:
    _json("convert", DIGITS, "-o", tmp_path / "p", "--io-type", "io_stream", "--reuse-factor", "8", "--no-check")
    model = bitsmith.Model.load(tmp_path / "p" / "model.json")
    assert model.target.io_type.value == "io_stream" and model.directives.reuse_factor("fc1") == 8


@pytest.mark.slow
@pytest.mark.ci
def test_explain_says_the_words_of_trees_once(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    x = np.random.default_rng(0).normal(size=(100, 3))
    trees = xgboost.XGBClassifier(n_estimators=2, max_depth=1).fit(x, x[:, 0] > 0)
    trees.save_model(tmp_path / "trees.json")
    explained = _run("explain", tmp_path / "trees.json")
    assert explained.exit_code == 0, explained.stderr
    told = " ".join(explained.stdout.split())
    assert told.count("2 trees with up to 1 decision") == 1
    assert told.count("Rounding of an input could change a decision") == 1


@pytest.mark.slow
def test_explain_writes_what_fits(tmp_path: Path) -> None:
    path = tmp_path / "fits.yml"
    arguments = (DIGITS, "--part", "LFE5U-25F", "--no-check")
    told = _json("explain", *arguments, "--write", path)
    assert not told["fits"] and told["choices"]
    assert _json("explain", path, "--no-check")["fits"]
    assert _json("explain", *arguments, "--fit")["fits"]
    refused = _run("explain", *arguments)
    lines = [line for line in refused.stdout.splitlines() if line.startswith("- ")]
    assert len(set(lines)) == len(lines) > 0 and "--set Model.Bits.weight=" in lines[0]
    assert "once packed" in refused.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_a_build_that_does_not_fit_says_it_in_options(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    network = write_dense(tmp_path, [rng.standard_normal((24, 32)) / 5, rng.standard_normal((32, 4)) / 6])
    converted = _run("convert", network, "-o", tmp_path / "p", "--part", "LFE5U-45F", "--no-check")
    assert converted.exit_code == 0 and "The circuit does not fit LFE5U-45F: about" in converted.stdout
    result = _run("build", tmp_path / "p")
    assert result.exit_code == 1 and "does not fit LFE5U-45F" in result.stderr
    for told in ("bitsmith build DIR --no-synth", "bitsmith build DIR --force", "--set LayerName.fc1.ReuseFactor="):
        assert told in result.stderr


def test_predict(project: Path, inputs: Path, tmp_path: Path) -> None:
    path = tmp_path / "y.npy"
    assert _json("predict", project, inputs, "-o", path)["samples"] == 20
    expected = bitsmith.Model.load(project / "model.json").predict(INPUTS[:20])
    assert np.array_equal(np.load(path), expected)
    values = _json("predict", DIGITS, inputs, "--config", MODELS / "digits.config.json", "--no-check")["values"]
    assert values == {"output_softmax": np.asarray(expected).tolist()}
    shown = _run("predict", project, inputs)
    assert "... and 10 more" in shown.stdout and "20 samples" in shown.stdout and not shown.stderr
    assert "note: No calibration data" in _run("predict", DIGITS, inputs).stderr


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("name", ["predict", "profile"])
def test_inputs_that_are_not_there_say_so_before_the_conversion(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitsmith.cli.request.Request.conversion", lambda self: pytest.fail("converted"))
    result = _run(name, DIGITS, "absent.npy")
    assert result.exit_code == 1 and "absent.npy: there is no such file" in result.stderr


def test_pictures(project: Path, inputs: Path, tmp_path: Path) -> None:
    assert _run("plot", project, "-o", tmp_path / "model.svg").exit_code == 0
    assert (tmp_path / "model.svg").read_text().lstrip().startswith("<")
    drawn = _json("profile", project, inputs, "-o", tmp_path / "figures", "--kind", "histogram")["written"]
    assert isinstance(drawn, list) and len(drawn) == 5 and all(Path(path).is_file() for path in drawn)


def test_open(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []
    monkeypatch.setattr("webbrowser.open", pages.append)
    assert _run("open", tmp_path).exit_code == 1
    (tmp_path / "report.html").touch()
    assert _run("open", tmp_path).exit_code == 0 and pages == [(tmp_path / "report.html").as_uri()]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("--io-type io_s", {"io_stream"}),
        ("--board pynq", {"pynq-z1", "pynq-z2"}),
        ("--part lfe5u-1", {"lfe5u-12f"}),
        ("--part LFE5U-1", {"LFE5U-12f"}),
        ("--part xc7z02", {"xc7z020"}),
    ],
)
def test_shells_complete_commands_and_values(typed: str, words: set[str]) -> None:
    assert "--show-completion" in _run("-h").stdout
    environment = {"_BITSMITH_COMPLETE": "complete_bash", "COMP_WORDS": f"bitsmith convert {typed}", "COMP_CWORD": "3"}
    assert set(CliRunner().invoke(app, [], env=environment, prog_name="bitsmith").stdout.split()) == words


def test_the_nearest_names_are_listed() -> None:
    names = [f"layer{n}" for n in range(100)] + ["Dense"]
    told = nearest(["dens"], names)
    assert told.startswith("Dense, ") and told.endswith(" and 91 more") and told.count(",") == 9
    assert nearest(["x"], ["b", "a"]) == "b, a"
    assert nearest(["fc_1"], ["pixels", "output", "fc2", "fc1"]) == "fc1, fc2, pixels, output"


class _Drawn:
    """A figure that writes its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def savefig(self, path: Path, **options: object) -> None:
        path.write_text(self.name)


@pytest.mark.parametrize("missing", [(), (2, 3), (0,)])
@pytest.mark.parametrize("with_inputs", [False, True])
def test_profiles_are_named_by_what_they_show(
    project: Path,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[int, ...],
    with_inputs: bool,
) -> None:
    calls = list[tuple[object, ...]]()
    drawn = [None if k in missing else _Drawn(f"figure {k}") for k in range(4)]

    def numerical(*, hls_model: bitsmith.Model, X: object, plot: str) -> tuple[_Drawn | None, ...]:
        calls.append((hls_model.network.name, X, plot))
        return tuple(drawn)

    def compare(keras_model: object, hls_model: bitsmith.Model, X: object) -> _Drawn:
        calls.append((keras_model, hls_model.network.name, X))
        return _Drawn("differences")

    monkeypatch.setattr("bitsmith.profiling.numerical", numerical)
    monkeypatch.setattr("bitsmith.profiling.compare", compare)
    given = [inputs] if with_inputs else []
    written = _json("profile", project, *given, "-o", tmp_path / "new" / "figures", "--kind", "violinplot")["written"]
    names = ["weights", "weights-in-the-circuit", "results", "results-in-the-circuit"]
    wanted = {name: f"figure {k}" for k, name in enumerate(names) if k not in missing}
    wanted |= {"differences": "differences"} if with_inputs else {}
    assert isinstance(written, list)
    assert {Path(path).stem: Path(path).read_text() for path in written} == wanted
    assert [Path(path).stem for path in written] == list(wanted) and {Path(path).suffix for path in written} == {".png"}
    (name, x, kind), *compared = calls
    assert (kind, x is not None, len(compared)) == ("violinplot", with_inputs, with_inputs)
    for keras_model, other, same in compared:
        assert (keras_model, other) == (None, name) and same is x and np.array_equal(np.asarray(x), np.load(inputs))
    (tmp_path / "file").touch()
    assert "not a folder" in _run("profile", project, "-o", tmp_path / "file").stderr


def test_the_plot_of_a_project_shows_shapes_names_and_formats(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.svg"
    assert _json("plot", project, "-o", path) == {"written": str(path)}
    model = bitsmith.Model.load(project / "model.json", project)
    everything = bitsmith.utils.plot_model(model, None, show_shapes=True, show_layer_names=True, show_precision=True)
    assert path.read_text() == everything._repr_svg_()


def test_what_fits_is_written_as_it_is(inputs: Path, tmp_path: Path) -> None:
    """Without a proposal the written project is what was asked for, and the next command has the data that decided formats."""
    path = tmp_path / "fits.yml"
    asked = (DIGITS, "--part", "LFE5U-85F", "--no-check", "--reuse-factor", "2", "--calibration", inputs)
    told = _json("explain", *asked, "--write", path)
    assert told["fits"] and not told["choices"] and "proposal" not in told and told["written"] == str(path)
    content = yaml.safe_load(path.read_text())
    assert content["HLSConfig"] == {"Model": {"ReuseFactor": 2}} and content["Part"] == "LFE5U-85F"
    assert "IOType" not in content
    assert _json("explain", path, "--no-check", "--calibration", inputs)["layers"] == told["layers"]
    shown = " ".join(_run("explain", *asked, "--write", path).stdout.split())
    assert f"Written: {path}. Next: bitsmith convert {path} --calibration {inputs}" in shown


@pytest.mark.slow
@pytest.mark.ci
def test_the_best_of_what_fits_is_named_though_others_do_not(tmp_path: Path) -> None:
    grid = ("--weight-bits", "3", "--result-bits", "6,16", "--reuse-factors", "1")
    asked = (DIGITS, "--part", "LFE5U-12F", "--no-check", *grid, "-o", tmp_path / "found")
    points = _json("explore", *asked)["points"]
    assert isinstance(points, list) and {point["Fits"] for point in points} == {True, False}
    assert "The best: bitsmith convert" in " ".join(_run("explore", *asked).stdout.split())


def test_flags_that_are_on_are_known() -> None:
    """What commands do where nothing is typed."""
    commands = typer.main.get_group(app).commands
    on = {f"{name} {param.opts[0]}" for name in commands for param in commands[name].params if param.default is True}
    assert on == {f"demo --{stage}" for stage in ("cosim", "synth", "pnr", "bitstream")}
