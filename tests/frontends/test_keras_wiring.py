"""Names, order, sharing and nesting; and wiring that is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_jsons import functional, layer, small_model, source, write_model

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.keras.graph import MAX_LAYERS
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.network import Network


def _read(folder: Path, *layers: Any, **ports: Any) -> Network:
    return read_keras(write_model(folder, functional(*layers, **ports)))


def test_small_model(tmp_path: Path) -> None:
    network = read_keras(write_model(tmp_path, small_model()))
    assert [(node.name, node.inputs, node.source) for node in network.nodes] == [
        ("x", (), "InputLayer"),
        ("fc", ("x",), "Dense"),
        ("fc_relu", ("fc",), "Activation"),
        ("d", ("fc_relu",), "Dense"),
        ("d_tanh", ("d",), "Activation"),
        ("d_1", ("x",), "Dense"),
        ("d_1_tanh", ("d_1",), "Activation"),
        ("bn", ("fc_relu",), "BatchNormalization"),
        ("sum", ("d_tanh", "d_1_tanh", "bn"), "Add"),
        ("shape", ("sum",), "Reshape"),
        ("permute", ("shape",), "Permute"),
        ("soft", ("permute",), "Softmax"),
        ("leaky", ("x",), "LeakyReLU"),
        ("join", ("leaky", "fc_relu"), "Concatenate"),
    ]
    assert network.outputs == ("soft", "join")
    assert network.shapes()["join"] == (6,)


def test_names_of_the_users_layers_win(tmp_path: Path) -> None:
    """``fc`` with relu would be ``fc_relu``, but that is a layer; the nested ``fc`` gives way to the outer one."""
    inner = functional(source("i"), layer("ReLU", "fc", "i"), inputs=("i",), outputs=("fc",))
    nested = {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]]]}
    fc = layer("Dense", "fc", units=3, activation="relu")
    fc["inbound_nodes"] = [[["inner", 1, 0, {}]], [["fc_relu", 0, 0, {}]]]
    model = functional(
        source(), nested, fc, layer("ELU", "fc_relu", "fc"), layer("ELU", "fc_1", "x"), outputs=("fc_1",)
    )
    model["config"]["output_layers"].append(["fc", 1, 0])
    network = read_keras(write_model(tmp_path, model))
    assert [(node.name, node.inputs) for node in network.nodes] == [
        ("x", ()),
        ("fc_1", ("x",)),
        ("inner_fc", ("x",)),
        ("fc", ("inner_fc",)),
        ("fc_relu_1", ("fc",)),
        ("fc_relu", ("fc_relu_1",)),
        ("fc_1_1", ("fc_relu",)),
        ("fc_1_1_relu", ("fc_1_1",)),
    ]
    assert network.outputs == ("fc_1", "fc_1_1_relu")


def test_unreachable_layers_are_dropped_even_if_unsupported(tmp_path: Path) -> None:
    dead = layer("Lambda", "dead", "x")
    network = _read(tmp_path, source(), dead, layer("ReLU", "r", "x"), layer("ReLU", "s", "dead"), outputs=("r",))
    assert [node.name for node in network.nodes] == ["x", "r"]


def test_order_of_inputs_and_outputs_is_the_models(tmp_path: Path) -> None:
    network = _read(
        tmp_path,
        source("a"),
        source("b"),
        source("unused"),
        layer("ReLU", "r", "b"),
        inputs=("b", "unused", "a"),
        outputs=("r", "a", "r"),
    )
    assert network.inputs == ("b", "unused", "a")
    assert network.outputs == ("r", "a", "r")
    batches = [np.full((1, 3), value) for value in (-1.0, 2.0, 3.0)]
    results = network.evaluate(batches)
    assert [float(results[name][0, 0]) for name in network.outputs] == [0.0, 3.0, 0.0]


def test_thousands_of_layers_in_a_row(tmp_path: Path) -> None:
    chain = [layer("ReLU", f"r{k}", f"r{k - 1}" if k else "x") for k in range(3000)]
    assert len(_read(tmp_path, source(), *chain, outputs=("r2999",)).nodes) == 3001


def test_too_many_layers(tmp_path: Path) -> None:
    many = [layer("ReLU", f"r{k}", "x") for k in range(MAX_LAYERS)]
    with pytest.raises(ModelFileError, match="too many layers"):
        _read(tmp_path, source(), *many, outputs=("r0",))


def test_nesting_that_multiplies(tmp_path: Path) -> None:
    """Each level uses the one inside twice: 2**20 calls from a small file."""
    model = functional(source("x"), layer("ReLU", "r", "x"), outputs=("r",))
    for level in range(20):
        nested = {**model, "name": f"m{level}", "inbound_nodes": [[["x", 0, 0, {}]], [[f"m{level}", 1, 0, {}]]]}
        model = functional(source("x"), nested, outputs=())
        model["config"]["output_layers"] = [[f"m{level}", 2, 0]]
    with pytest.raises(ModelFileError, match="calls too many layers"):
        read_keras(write_model(tmp_path, model))


def _broken() -> dict[str, tuple[Any, str]]:
    relu = layer("ReLU", "r", "x")
    circle = [layer("ReLU", "a", "b"), layer("ReLU", "b", "a")]
    return {
        "dangling reference": (
            functional(source(), layer("ReLU", "r", "y"), outputs=("r",)),
            "'y', which is not a layer",
        ),
        "dangling output": (functional(source(), outputs=("y",)), "'y', which is not a layer"),
        "dangling input": (functional(source(), relu, inputs=("z",), outputs=("r",)), "'z', which is not a layer"),
        "input of another class": (functional(source(), relu, inputs=("r",), outputs=("r",)), "is not an InputLayer"),
        "input twice": (functional(source(), relu, inputs=("x", "x"), outputs=("r",)), "lists an input twice"),
        "undeclared input": (functional(source(), source("y"), inputs=("x",), outputs=("y",)), "which has 0 calls"),
        "circle": (functional(source(), *circle, outputs=("a",)), "runs in a circle"),
        "own operand": (functional(source(), layer("ReLU", "a", "a"), outputs=("a",)), "runs in a circle"),
        "same name twice": (functional(source(), relu, relu, outputs=("r",)), "several layers are called 'r'"),
        "no outputs": (functional(source(), outputs=()), "no inputs or no outputs"),
        "shapes that do not add": (
            functional(source(), source("y", 2), layer("Add", "s", "x", "y"), inputs=("x", "y"), outputs=("s",)),
            "shapes that do not fit",
        ),
        "wrong reshape": (
            functional(source(), layer("Reshape", "s", "x", target_shape=[2]), outputs=("s",)),
            "do not fit",
        ),
        "wrong permute": (functional(source(), layer("Permute", "s", "x", dims=[2]), outputs=("s",)), "dims is"),
        "operand missing": (functional(source(), {**relu, "inbound_nodes": []}, outputs=("r",)), "call 0 of 'r'"),
    }


@pytest.mark.parametrize("name", list(_broken()))
def test_broken_wiring(name: str, tmp_path: Path) -> None:
    model, message = _broken()[name]
    with pytest.raises(ModelFileError, match=message):
        read_keras(write_model(tmp_path, model))


def test_a_call_that_does_not_exist(tmp_path: Path) -> None:
    model = functional(source(), layer("ReLU", "r", "x"), outputs=("r",))
    for number, index in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        model["config"]["output_layers"] = [["r", number, index]]
        with pytest.raises(ModelFileError):
            read_keras(write_model(tmp_path, model))


def test_open_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="leaves sizes open"):
        _read(tmp_path, source("x", 3, None), outputs=("x",))
