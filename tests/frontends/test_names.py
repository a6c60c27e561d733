"""Names that do something where they are printed: none of it reaches code, scripts, reports or saved models."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import bitsmith
from bitsmith.backends import BACKENDS
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.frontends.builder.names import UniqueNames, printable

EVIL = "\0a\x1b[31m\u202eb\u2066c\u2069\nd\r`e\x7f\x9b\u2028\u200b\ufeff\ue000\t"
"""A zero byte, a color, text from right to left, an isolate, line ends of four kinds, controls, marks, no character."""
OTHER = "é漢\"\\*/ $(x)`y` %d{0} ??/ ''' </script>"
"""What can be printed, and ends texts, comments or commands."""


def dangerous() -> list[str]:
    """All characters that cannot be printed."""
    return [chr(code) for code in range(0x110000) if not chr(code).isprintable() and not 0xD800 <= code < 0xE000]


def onnx_model(text: str) -> onnx.ModelProto:
    """A network whose graph, operators, inputs, outputs and initializers have names with ``text``."""
    kernel = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", [f"x{text}", f"w{text}", f"b{text}"], [f"1{text}"], name=f"gemm{text}"),
            helper.make_node("Relu", [f"1{text}"], [f"2{text}"], name=text),
            helper.make_node("Add", [f"2{text}", f"b{text}"], [f"y{text}"], name=f"{text} "),
        ],
        f"graph{text}",
        [helper.make_tensor_value_info(f"x{text}", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(f"y{text}", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(kernel, f"w{text}"), numpy_helper.from_array(np.ones(3, np.float32), f"b{text}")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def keras_model(text: str) -> keras.Model:
    x = keras.Input((4,), name=f"x{text}")
    y = keras.layers.Dense(3, name=f"d{text}", activation="relu")(x)
    return keras.Model(x, keras.layers.ReLU(name=text)(y), name=f"m{text}")


def torch_model(text: str) -> torch.nn.Module:
    made = torch.nn.Sequential()
    made.add_module(text.replace(".", ""), torch.nn.Linear(4, 3))
    made.add_module(f"b{text.replace('.', '')}", torch.nn.ReLU())
    return made


def unprintable(text: str) -> set[str]:
    return {each for each in text if not each.isprintable() and each not in "\n\t"}


@pytest.mark.parametrize("text", [EVIL, OTHER])
@pytest.mark.parametrize("make", [onnx_model, keras_model, torch_model])
def test_no_name_does_anything(tmp_path: Path, make: Callable[[str], object], text: str) -> None:
    shape = (4,) if make is torch_model else None
    text = text.replace("/", "") if make is keras_model else text  # which Keras refuses
    if make is not onnx_model and unprintable(text):
        with pytest.raises(ModelFileError, match="printable"):
            bitsmith.convert(make(text), input_shape=shape)
        return
    model = bitsmith.convert(make(text), input_shape=shape, output_dir=tmp_path / "p")
    names = [model.network.name, *(node.name for node in model.network.nodes), *model.notes]
    assert not unprintable("".join(names)) and "\n" not in "".join(names)
    assert len(set(names[1 : 1 + len(model.network.nodes)])) == len(model.network.nodes)
    assert model.fidelity.agreement.framework is not None
    model.save(tmp_path / "saved" / "m.json")
    again = bitsmith.Model.load(tmp_path / "saved" / "m.json")
    assert [node.name for node in again.network.nodes] == [node.name for node in model.network.nodes]
    shown = [str(model), repr(model), str(model.fidelity), str(model.plan()), model._repr_html_()]
    assert not set().union(*map(unprintable, shown))


@pytest.mark.parametrize("backend", BACKENDS)
def test_written_files_have_nothing_that_cannot_be_printed(tmp_path: Path, backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = bitsmith.convert(onnx_model(EVIL + OTHER), backend=backend, output_dir=tmp_path / "p")
        model.write()
    files = [path for path in (tmp_path / "p").rglob("*") if path.is_file()]
    assert len(files) > 5 and all(path.name.isascii() and path.name.isprintable() for path in files)
    for path in (path for path in files if ".bin" not in path.suffixes):  # which are numbers
        assert not unprintable(path.read_text(encoding="utf-8")), path


def test_each_dangerous_character_is_replaced() -> None:
    names, characters = UniqueNames(), dangerous()
    assert {names.take(f"a{each}") for each in characters[:200]} == {"a_", *(f"a__{k}" for k in range(1, 200))}
    assert all(printable(f"a{each}b") == "a_b" for each in characters) and printable("é漢 \\") == "é漢 \\"


@pytest.mark.parametrize("key", ["nodes", "inputs", "name", "notes", "program"])
def test_saved_models_cannot_bring_them_back(tmp_path: Path, key: str) -> None:
    path = tmp_path / "m.json"
    bitsmith.convert(onnx_model(""), output_dir=tmp_path / "p").save(path)
    text = path.read_text()
    evil = text.replace('"x"', '"x\\u202e"').replace("input x", 'input \\"x\\\\u202e\\"')
    if key == "notes":
        evil = json.dumps({**json.loads(text), "notes": ["\x1b[2J"]})
    elif key == "name":
        evil = text.replace('"name": "graph"', '"name": "gr\\u0000aph"')
    elif key == "program":
        evil = text.replace("gemm", "ge\\u202emm")
    assert evil != text
    path.write_text(evil)
    with pytest.raises(ModelFileError):
        bitsmith.Model.load(path)


def test_names_of_composed_models(tmp_path: Path) -> None:
    model = bitsmith.convert(onnx_model(""), output_dir=tmp_path / "p")
    with pytest.raises(ConfigError, match="printed"):
        bitsmith.compose({"a\0": model, "b": model})
