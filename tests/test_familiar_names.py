"""The names that scripts of other tools call: they exist, with their familiar meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import bitsmith
from bitsmith import converters, report, utils
from bitsmith.errors import ConfigError
from bitsmith.report.figures.picture import Picture
from bitsmith.report.variables import Variable
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
    assert model.get_input_variables() == [Variable("input_1", (16,), "fixed<8,4,RND,SAT>")]
    (output,) = model.get_output_variables()
    assert (output.name, output.shape, output.size()) == ("output_softmax_softmax", (5,), 5)


@pytest.mark.parametrize(("backend", "file"), [("rtl", "rtl/myproject.sv"), ("vitis", "firmware/myproject.cpp")])
def test_a_project_is_written_without_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, file: str
) -> None:
    monkeypatch.setenv("PATH", "")
    config = MODELS / "bitsmith_3layer.config.json"
    made = bitsmith.convert(MODEL, tmp_path / "out", config, weights=WEIGHTS, backend=backend)
    assert made.write() == tmp_path / "out"
    assert (tmp_path / "out" / file).exists()


def test_a_saved_model_is_loaded(tmp_path: Path, model: bitsmith.Model) -> None:
    model.save(tmp_path / "model.json")
    loaded = converters.load_saved_model(tmp_path / "model.json", tmp_path / "elsewhere")
    assert loaded.network.outputs == model.network.outputs
    assert loaded.output_dir == tmp_path / "elsewhere"


@pytest.mark.parametrize("convert", [converters.keras_v2_to_hls, converters.keras_v3_to_hls])
def test_both_versions_of_keras(convert: Any) -> None:
    config = converters.create_config(backend="vivado", clock_period=4) | {"KerasJson": MODEL, "KerasH5": WEIGHTS}
    made = convert(config)
    assert (made.target.backend.value, made.target.clock_period_ns) == ("vivado", 4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"namespace": None, "write_weights_txt": False, "write_tar": False, "bit_exact": None}, ()),
        ({"allow_da_fallback": True, "tb_output_stream": "both", "output_data_tb": None}, ()),
        ({"namespace": "nets", "write_tar": True}, ("Namespace (", "WriteTar (pack the output folder")),
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


def test_misspelt_arguments_stay_errors() -> None:
    with pytest.raises(TypeError, match="write_tarr"):
        converters.convert_from_keras_model(MODEL, write_tarr=True)  # type: ignore[call-arg]


def test_fifo_optimization_is_a_note(model: bitsmith.Model) -> None:
    plan = model.plan(fifo_opt=True, synth=False, cosim=False)
    assert "fifo_opt has no effect: the schedule gives the depths of all FIFOs." in plan.design.notes


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
