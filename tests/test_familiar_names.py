"""The names that scripts of other tools call: they exist, with their familiar meaning."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import tarfile
from copy import copy
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

import bitsmith
from bitsmith import converters, report, utils
from bitsmith.errors import ConfigError, ProjectError
from bitsmith.options.building import FAMILIAR, IDLE, building
from bitsmith.report.figures.picture import Picture
from bitsmith.report.variables import FormatText, Variable, weight_texts
from tests.system.examples import MODELS

MODEL, WEIGHTS = MODELS / "bitsmith_3layer.json", MODELS / "bitsmith_3layer_weights.h5"
NAMES = ("input_1", "fc1_relu", "fc1_relu_relu", "fc2_relu", "fc2_relu_relu", "fc3_relu", "fc3_relu_relu")
NAMES += ("output_softmax", "output_softmax_softmax")


@pytest.fixture(scope="module")
def model() -> bitsmith.Model:
    return bitsmith.convert(MODEL, config=MODELS / "bitsmith_3layer.config.json", weights=WEIGHTS)


def test_layers_and_variables_of_a_model(model: bitsmith.Model) -> None:
    assert tuple(layer.name for layer in model.get_layers()) == NAMES
    assert [layer.title for layer in model.get_layers()][:3] == ["InputLayer", "Dense", "ReLU"]
    assert model.get_input_variables() == [Variable("input_1", (16,), FormatText("fixed<8,4,RND,SAT>"))]
    (output,) = model.get_output_variables()
    assert (output.name, output.shape, output.size()) == ("output_softmax_softmax", (5,), 5)
    (entered,) = model.get_input_variables()
    precision = entered.type.precision
    assert (precision.signed, precision.width, precision.integer) == (True, 8, 4)
    assert str(precision) == entered.type and str(output.type.precision) == output.type
    for text in ("fixed<7..16,-3..9>", "auto"):
        with pytest.raises(ConfigError, match="precision: "):
            FormatText(text).precision  # noqa: B018


@pytest.mark.parametrize(
    ("backend", "file"), [("rtl", "rtl/bitsmith_3layer.sv"), ("vitis", "firmware/bitsmith_3layer.cpp")]
)
def test_a_project_is_written_without_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, file: str
) -> None:
    monkeypatch.setenv("PATH", "")
    config = MODELS / "bitsmith_3layer.config.json"
    made = bitsmith.convert(MODEL, tmp_path / "out", config, weights=WEIGHTS, backend=backend)
    assert made.write() == tmp_path / "out"
    assert (tmp_path / "out" / file).exists()


def test_helpers_are_in_modules_of_the_familiar_names() -> None:
    for module in (utils.config, utils.plot):
        assert all(getattr(utils, name) is getattr(module, name) for name in module.__all__)
    assert "config_from_onnx_model" in utils.config.__all__
    assert "plot_model" in utils.plot.__all__


def test_a_saved_model_is_loaded(tmp_path: Path, model: bitsmith.Model) -> None:
    model.save(tmp_path / "model.json")
    loaded = converters.load_saved_model(tmp_path / "model.json", tmp_path / "elsewhere")
    assert loaded.network.outputs == model.network.outputs
    assert loaded.output_dir == tmp_path / "elsewhere"


@pytest.mark.parametrize("convert", [converters.keras_v2_to_hls, converters.keras_v3_to_hls])
def test_both_versions_of_keras(convert: Any) -> None:
    config = converters.create_config(backend="vivado", clock_period=4) | {"KerasJson": MODEL, "KerasH5": WEIGHTS}
    made = convert(config)
    assert (made.target.backend, made.target.clock_period_ns) == ("vivado", 4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"namespace": None, "write_weights_txt": False, "write_tar": False, "bit_exact": None}, ()),
        ({"allow_da_fallback": True, "tb_output_stream": "both", "output_data_tb": None}, ()),
        ({"namespace": "nets", "write_tar": True}, ("Namespace (",)),
        (
            {
                "project_dir": "here",
                "backend": "VivadoAccelerator",
                "board": "pynq-z2",
                "interface": "axi_lite",
                "driver": "c",
            },
            ("ProjectDir (", "Interface of axi_lite ("),
        ),
        ({"interface": "axi_stream", "driver": "python"}, ("Interface (", "Driver (")),
        ({"interface": "ap_vld", "backend": "vitis", "io_type": "io_parallel"}, ()),
        ({"interface": "ap_none", "io_type": "io_parallel"}, ()),
        ({"interface": "axi_master", "board": "pynq-z2"}, ()),
        ({"fpga_family": "PolarFire", "board": "hw_only", "backend": "Libero"}, ("FPGAFamily (", "Board of hw_only (")),
    ],
)
def test_arguments_of_other_tools_are_accepted(arguments: dict[str, Any], told: tuple[str, ...]) -> None:
    made = converters.convert_from_keras_model(
        MODEL, hls_config=MODELS / "bitsmith_3layer.config.json", weights=WEIGHTS, check=False, **arguments
    )
    idle = " ".join(note for note in made.notes if note.startswith("Without effect"))
    assert bool(idle) is bool(told)
    assert all(text in idle for text in told)


@pytest.mark.parametrize(
    ("backend", "source", "arguments"), [("rtl", "rtl/myproject.sv", True), ("vitis", "firmware/myproject.cpp", False)]
)
@pytest.mark.slow
@pytest.mark.ci
def test_weights_as_texts_and_an_archive(tmp_path: Path, backend: str, source: str, arguments: bool) -> None:
    config, folder = MODELS / "bitsmith_3layer.config.json", tmp_path / "out"
    if arguments:
        made = converters.convert_from_keras_model(
            *(MODEL, folder),
            hls_config=config,
            weights=WEIGHTS,
            check=False,
            backend=backend,
            write_weights_txt=True,
            write_tar=True,
        )
    else:
        writer = {"WriteWeightsTxt": True, "WriteTar": True}
        project = converters.create_config(
            folder, backend=backend, WriterConfig=writer, HLSConfig=json.loads(config.read_text())
        )
        made = converters.convert_from_config(project | {"KerasJson": MODEL, "KerasH5": WEIGHTS})
    made.save(tmp_path / "saved.json")
    (tmp_path / "out.tar.gz").write_text("an older one")
    (tmp_path / "theirs.txt").write_text("of others")
    converters.load_saved_model(tmp_path / "saved.json").write()
    with h5py.File(WEIGHTS) as file:
        trained = np.asarray(file["fc1_relu/fc1_relu/kernel:0"])
    values = np.loadtxt(folder / "weights/fc1_relu_weight.txt", delimiter=",")
    (row,) = (row for row in made.get_layers()[1].constants if row.variable == "weight")
    assert (values.size, np.count_nonzero(values)) == (row.size, row.nonzero)
    assert np.abs(values - trained.ravel()).max() <= 2**-7
    packed = (tmp_path / "out.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        names = {member.name for member in archive}
        content = archive.extractfile("out/weights/fc1_relu_weight.txt")
        assert content is not None
        assert content.read() == (folder / "weights/fc1_relu_weight.txt").read_bytes()
    files = {path.relative_to(tmp_path).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == files - {"out/bitsmith.lock", "out/bitsmith.pid"}
    assert f"out/{source}" in names
    (folder / "outside").symlink_to(tmp_path / "theirs.txt")
    (folder / "elsewhere").symlink_to(tmp_path)
    made.write()
    assert (tmp_path / "out.tar.gz").read_bytes() == packed
    made.target = replace(made.target, write_weights_txt=False, write_tar=False)
    (tmp_path / "out.tar.gz").unlink()
    made.write()
    assert not [*folder.glob("weights/*")]
    assert not (tmp_path / "out.tar.gz").exists()


def test_texts_of_weights_stay_in_the_project(tmp_path: Path, model: bitsmith.Model) -> None:
    made, folder, theirs = copy(model), tmp_path / "out", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "notes.txt").write_text("of others")
    made.target = replace(model.target, output_dir=folder)
    made.write()
    (folder / "weights").symlink_to(theirs)
    made.write()
    assert (theirs / "notes.txt").read_text() == "of others"
    made.target = replace(made.target, write_weights_txt=True)
    with pytest.raises(ProjectError, match="out of the project through a link"):
        made.write()


def test_names_of_texts_are_safe_and_differ(model: bitsmith.Model) -> None:
    first = next(node for node in model.network.nodes if node.layer.weights())
    nodes = [replace(first, name=name) for name in ("../a", "..\\A", "a b" * 100)]
    names = weight_texts(replace(model.network, nodes=tuple(nodes)), "weights")
    assert len({name.casefold() for name in names}) == 3 * len(first.layer.weights())
    assert all(re.fullmatch(r"weights/[A-Za-z0-9_-]{1,110}\.txt", name) for name in names)


def test_an_archive_stays_beside_the_saved_model(tmp_path: Path, model: bitsmith.Model) -> None:
    made = copy(model)
    made.target = replace(model.target, output_dir=tmp_path, write_tar=True)
    made.save(tmp_path / "model.json")
    loaded = bitsmith.Model.load(tmp_path / "model.json")
    assert not loaded.target.write_tar and "No archive" in loaded.notes[-1]
    assert bitsmith.Model.load(tmp_path / "model.json", tmp_path).target.write_tar


@pytest.mark.parametrize("key", ["write_tar", "write_weights_txt"])
def test_what_is_written_is_asked_for_by_true(key: str) -> None:
    with pytest.raises(ConfigError, match="true or false"):
        converters.convert_from_keras_model(MODEL, weights=WEIGHTS, **{key: "yes"})  # type: ignore[arg-type]


def test_misspelt_arguments_stay_errors() -> None:
    with pytest.raises(TypeError, match="write_tarr"):
        converters.convert_from_keras_model(MODEL, write_tarr=True)  # type: ignore[call-arg]


def test_fifo_optimization_is_a_note(model: bitsmith.Model) -> None:
    plan = model.plan(fifo_opt=True, synth=False, cosim=False)
    assert "fifo_opt has no effect: the schedule gives the depths of all FIFOs." in plan.design.notes


def _build_arguments() -> dict[str, ast.expr]:
    """Arguments that builds of the incumbent's models of parts and backends have, with their defaults."""
    folder = Path(str(distribution("hls4ml").locate_file("hls4ml")))
    files = [folder / "model/graph.py", *sorted((folder / "backends").glob("*/*_backend.py"))]
    trees = [ast.parse(file.read_text()) for file in files]
    builds = [
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "build"
    ]
    return {
        argument.arg: default
        for build in builds
        for argument, default in zip(build.args.args[::-1], build.args.defaults[::-1], strict=False)
    }


def test_builds_take_all_arguments_of_the_incumbent(model: bitsmith.Model) -> None:
    defaults = {name: ast.literal_eval(node) for name, node in _build_arguments().items()}
    assert len(defaults) > 20
    model.plan(**{**defaults, "build_type": "report", "synth": False, "hw": False})
    known = {*inspect.signature(model.plan).parameters, *FAMILIAR, *IDLE, "build_type"}
    assert set(defaults) <= known and set(FAMILIAR) | set(IDLE) <= set(defaults)


@pytest.mark.parametrize(
    ("familiar", "own"),
    [
        ({"fpgasynth": True}, {"vsynth": True}),
        ({"rtl_synth": True, "sw_compile": False}, {"vsynth": True, "csim": False}),
        ({"fpga": True, "cont_if_large_area": True}, {"pnr": True, "force": True}),
        ({"hw": False, "skip_preqs": False}, {"synth": False}),
        ({"bitfile": False, "bitstream": True}, {"bitstream": True}),
        ({"build_type": "fpga_sim", "run": True}, {"cosim": True}),
        ({"build_type": "fpga_emu", "log_level": 2, "log_to_stdout": False}, {"csim": True}),
    ],
)
def test_builds_know_options_by_names_of_the_incumbent(familiar: dict[str, Any], own: dict[str, Any]) -> None:
    @building
    def build(**asked: object) -> dict[str, object]:
        return asked

    assert build(**familiar) == own


@pytest.mark.parametrize(
    "asked",
    [
        *({"stitch_design": True}, {"power": True}, {"vhdl": True}, {"verilog": False}, {"build_type": "asic"}),
        *({"pnr": "yes"}, {"synth": 1}, {"bitstream": None}, {"csim": "no"}),
    ],
)
def test_builds_refuse_what_there_is_not(model: bitsmith.Model, asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"build: {next(iter(asked))}="):
        model.plan(**asked)


def test_builds_refuse_words_for_truth_by_other_names(model: bitsmith.Model) -> None:
    with pytest.raises(ConfigError, match=r"build: pnr='yes'\n  accepted: True or False$"):
        model.plan(fpga="yes")
    with pytest.raises(ConfigError, match="accepted: True or False, or None for the default"):
        model.build(synth="no")


def test_a_picture_in_a_notebook(model: bitsmith.Model) -> None:
    drawn = utils.plot_model(model, to_file=None, show_shapes=True)
    assert isinstance(drawn, Picture)
    assert ElementTree.fromstring(drawn._repr_svg_()).tag.endswith("svg")


def test_the_graph_of_a_model(tmp_path: Path, model: bitsmith.Model) -> None:
    graph = utils.model_to_dot(model, show_shapes=True, rankdir="LR")
    lines = graph.to_string().splitlines()
    assert lines[1] == "  rankdir=LR;"
    assert 'label="fc1_relu\\nDense\\nshape 64' in graph.text
    assert sum("->" in line for line in lines) == len(NAMES) - 1
    graph.write(tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text() == str(graph)
    with pytest.raises(ConfigError, match="rankdir"):
        utils.model_to_dot(model, rankdir="up")


@pytest.mark.parametrize("section", ["CSynthesisReport", "VivadoSynthReport"])
def test_reports_of_several_circuits_are_added(section: str) -> None:
    first = {"CSynthesisReport": {"TargetClockPeriod": "5.0", "EstimatedClockPeriod": "4.5", "AvailableLUT": 100}}
    second = {"CSynthesisReport": {"EstimatedClockPeriod": "4.8"}}
    for each, dsp in ((first, "DSP"), (second, "DSP48E")):
        each[section] = each.get(section, {}) | {"LUT": "10", "FF": 20, dsp: "3"}
    total = report.aggregate_graph_reports({"a": first, "b": second})["StitchedDesignReport"]
    assert isinstance(total, dict)
    assert {key: total[key] for key in ("LUT", "FF", "DSP", "URAM")} == {"LUT": 20, "FF": 40, "DSP": 6, "URAM": 0}
    assert (total["EstimatedClockPeriod"], total["AvailableLUT"], total["BestLatency"]) == (4.8, 100, "N/A")
    assert report.aggregate_graph_reports(None) == {}


@pytest.mark.parametrize("name", ["keras_to_hls", "keras_v2_to_hls", "convert_from_config", "convert_from_keras_model"])
def test_warnings_name_the_line_of_the_user(tmp_path: Path, name: str) -> None:
    few, out = {"Model": {"Precision": "fixed<4,2>"}}, tmp_path / "out"
    with pytest.warns(bitsmith.FidelityWarning) as caught:
        if name == "convert_from_keras_model":
            converters.convert_from_keras_model(MODELS / "digits.keras", out, hls_config=few)
        else:
            project = {"KerasModel": MODELS / "digits.keras", "OutputDir": out, "HLSConfig": few}
            getattr(converters, name)(project)
    assert [warning.filename for warning in caught] == [__file__]


WRITTEN = """
Backend: Vitis
ClockPeriod: 5
ClockUncertainty: 27%
HLSConfig:
  LayerName: {}
  Model: {BitExact: null, BramFactor: 1000000000, Precision: {default: 'fixed<24,10>'}, ReuseFactor: 1, Strategy: Latency}
IOType: io_parallel
InputData: null
InputShapes: {pixels: [64]}
KerasModel: !keras_model 'model_1/prj/keras_model.keras'
OutputDir: model_1/prj
OutputPredictions: null
OutputShapes: {layer3_out: [10]}
ProjectName: digits
Stamp: c925dc14
WriterConfig: {Namespace: null, TBOutputStream: both, WriteTar: false, WriteWeightsTxt: true}
"""


def test_the_configuration_in_a_project_of_the_incumbent_names_the_model_beside_it(tmp_path: Path) -> None:
    """Whatever folder the project was written in: its paths are those of another process."""
    path = tmp_path / "hls4ml_config.yml"
    path.write_text(WRITTEN)
    shutil.copy(MODELS / "digits.keras", tmp_path / "keras_model.keras")
    found, x = converters.convert_from_config(path), np.random.default_rng(0).uniform(0, 1, (8, 64))
    wanted = converters.convert_from_keras_model(
        MODELS / "digits.keras", tmp_path / "out", hls_config={"Model": {"Precision": "fixed<24,10>"}}
    )
    assert (found.target.backend, found.target.clock_period_ns) == ("vitis", 5)
    np.testing.assert_array_equal(found.predict(x), wanted.predict(x))
    with pytest.raises(ConfigError, match="load_saved_model"):
        converters.convert_from_config(tmp_path / "prj" / path.name)


@pytest.mark.parametrize("framework", ["keras", "onnx", "pytorch"])
def test_configurations_have_the_arguments_and_granularity_of_the_incumbent(framework: str) -> None:
    name = f"config_from_{framework}_model"
    source = Path(str(distribution("hls4ml").locate_file("hls4ml/utils/config.py"))).read_text()
    (theirs,) = (each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef) and each.name == name)
    names = [each.arg for each in theirs.args.args]
    defaults = dict(zip(names[::-1], map(ast.literal_eval, theirs.args.defaults[::-1]), strict=False))
    ours = inspect.signature(getattr(utils, name)).parameters
    assert [each for each in ours if ours[each].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD] == names
    del defaults["default_precision"]  # ours keeps the model's accuracy
    assert {each: ours[each].default for each in defaults} == defaults


def _attributes(file: str, name: str) -> set[str]:
    """What an object of a class of the incumbent has, by its source."""
    source = Path(str(distribution("hls4ml").locate_file(f"hls4ml/model/{file}.py"))).read_text()
    (theirs,) = (each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == name)
    methods = {each.name for each in theirs.body if isinstance(each, ast.FunctionDef)}
    stored = {each for each in ast.walk(theirs) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)}
    own = {each.attr for each in stored if isinstance(each.value, ast.Name) and each.value.id == "self"}
    return {each for each in methods | own if not each.startswith("_")}


def test_what_models_and_layers_of_the_incumbent_have_is_there_or_says_what_to_use(model: bitsmith.Model) -> None:
    for found, file, name in ((model, "graph", "ModelGraph"), (model.get_layers()[1], "layers", "Layer")):
        for attribute in sorted(_attributes(file, name)):
            try:
                getattr(found, attribute)
            except AttributeError as error:
                assert re.fullmatch(rf"'\w+' object has no attribute '{attribute}': .{{20,}}", str(error)), error
        with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$") as caught:
            found.nonsense  # type: ignore[attr-defined]  # noqa: B018
        assert (caught.value.name, caught.value.obj) == ("nonsense", found)


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        (bitsmith, "optimization", "import bitsmith.compat, and then import hls4ml, which has it"),
        (bitsmith, "writer", r"model\.write\(\)"),
        (bitsmith.model, "graph", "bitsmith.split"),
        (bitsmith.model, "optimizer", "formats follow"),
        (converters, "register_keras_v2_layer_handler", "docs/custom-layers.md"),
        (utils, "serialization", "load_saved_model"),
    ],
)
def test_names_of_the_incumbent_say_what_to_use_without_its_own_name(module: Any, name: str, said: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}': .*{said}"):
        getattr(module, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$"):
        module.nonsense  # noqa: B018
