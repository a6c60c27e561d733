"""Saving and loading models; damaged files."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, ProjectError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import MAX_FRAC, FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, rationals
from bitsmith.layers.settings import Binning, Bits, Outliers, Settings, SoftmaxImplementation, Strategy, Weights
from bitsmith.layers.shape import Permute
from bitsmith.model.serialization import SavedModel, encode, load, save, weights_path
from tests.system.examples import digits, three_layer


def test_a_loaded_model_is_the_saved_one(tmp_path: Path) -> None:
    model, x = three_layer(tmp_path)
    model.save(tmp_path / "saved.json")
    loaded = bitsmith.Model.load(tmp_path / "saved.json")
    assert loaded.program == model.program
    assert loaded.target == model.target
    assert str(loaded) == str(model)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert sorted(path.name for path in tmp_path.glob("saved*")) == ["saved.json", "saved.npz"]


def test_the_model_of_a_project_folder_is_loaded_by_its_folder(tmp_path: Path) -> None:
    """As ``bitsmith convert`` leaves it; one without a saved model says so."""
    model, x = three_layer(tmp_path / "net")
    with pytest.raises(ModelFileError, match=r"model\.json: no such file(.|\n)*model\.save"):
        bitsmith.Model.load(model.write())
    model.save(tmp_path / "net" / "model.json")
    loaded = bitsmith.Model.load(tmp_path / "net")
    assert loaded.output_dir == model.output_dir
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


GRID = Quantizer.uniform(
    [0.1, 0.375], -8, [7, 3], Rounding.RND, Overflow.WRAP, step=rationals(Fraction(1, 3)), offset=0.25
)


def test_everything_about_a_network_is_saved(tmp_path: Path) -> None:
    """With settings that differ from the defaults, all of them."""
    result = FixedFormat(True, 12, 4, Rounding.RND_CONV, Overflow.SAT_SYM)
    settings = Settings(
        precision={"result": result},
        bits=Bits(weight=6, result=9, state=7),
        widest=9,
        reuse_factor=3,
        parallelization_factor=2,
        register_slices=2,
        strategy=Strategy.RESOURCE,
        table_size=64,
        table_range=(-2.0, 1.5),
        binning=Binning.CENTER,
        implementation=SoftmaxImplementation.LATENCY,
        trace=True,
        skip=True,
        weights=Weights.RELOADABLE,
        outliers=Outliers.SATURATE,
        digit_price=0.25,
        channel_price=0.5,
        headroom=1.5,
    )
    assert all(getattr(settings, field.name) != getattr(Settings(), field.name) for field in fields(Settings))
    source = Settings({"result": FixedFormat(True, 8, 4)})
    network = Network(
        (
            NetworkNode("x", Input((2, 3)), (), "InputLayer", source),
            NetworkNode("p", Permute((1, 0)), ("x",), "Permute", source, folded=True, order=(1, 0), inner=True),
            NetworkNode("q", Quantize(GRID), ("p",), "QActivation"),
            NetworkNode("d", Dense(GRID.applied(np.ones((2, 2)))), ("q",), "QDense", quantizers={"weight": GRID}),
            NetworkNode("r", ReLU(), ("d",), "ReLU", settings, fracs={"result": np.array([3, 9])}),
        ),
        ("x",),
        ("r",),
    )
    build = ProgramBuilder()
    program = build.program([("r", build.input("x", (2, 3), FixedFormat(True, 8, 4)))])
    saved = SavedModel(network, program, {"part": "a"}, ("a note",))
    text, arrays = encode(saved)
    path = tmp_path / "saved.json"
    path.write_text(text)
    np.savez(weights_path(path), **arrays)  # type: ignore[arg-type]  # numpy's type of **kwds
    found = load(path)
    assert [type(node.layer) for node in found.network.nodes] == [type(node.layer) for node in network.nodes]
    assert found.network.node("r").fracs["result"].tolist() == [3, 9]
    assert found.network.node("d").quantizers["weight"].is_same(GRID)
    loaded = found.network.node("q").layer
    assert isinstance(loaded, Quantize) and loaded.quantizer.is_same(GRID)
    nodes = [
        replace(node, layer=network.node(node.name).layer) for node in found.network.nodes
    ]  # layers equal themselves only
    assert replace(found, network=found.network.with_nodes(nodes)) == saved


def test_loading_into_another_folder(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    model.save(tmp_path / "saved.json")
    assert bitsmith.Model.load(tmp_path / "saved.json", tmp_path / "other").output_dir == tmp_path / "other"


def test_the_inputs_of_the_co_simulation_are_remembered(tmp_path: Path) -> None:
    model, _ = digits(tmp_path, input_data_tb=tmp_path / "inputs.npy")
    model.save(tmp_path / "saved.json")
    assert bitsmith.Model.load(tmp_path / "saved.json").target == model.target


@pytest.mark.parametrize("path", ["", "/proc/none/saved.json", "null\0.json"])
def test_places_that_cannot_be_written_give_one_typed_error(tmp_path: Path, path: str) -> None:
    model, _ = digits(tmp_path)
    with pytest.raises(ProjectError):
        model.save(path)


@pytest.mark.parametrize("missing", [".json", ".npz"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    model, _ = digits(tmp_path)
    model.save(tmp_path / "saved.json")
    (tmp_path / f"saved{missing}").unlink()
    with pytest.raises(ModelFileError, match=rf"saved\{missing}"):
        bitsmith.Model.load(tmp_path / "saved.json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a model."""
    folder = tmp_path_factory.mktemp("saved")
    digits(folder)[0].save(folder / "saved.json")
    return folder


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_give_one_typed_error(tmp_path: Path, saved: Path, seed: int) -> None:
    path = copytree(saved, tmp_path, dirs_exist_ok=True) / "saved.json"
    rng = np.random.default_rng(seed)
    document = json.loads(path.read_text())
    target: object = document
    for _ in range(int(rng.integers(1, 5))):
        if not isinstance(target, (dict, list)) or not target:
            break
        holder = target
        key = (
            list(holder)[int(rng.integers(len(holder)))] if isinstance(holder, dict) else int(rng.integers(len(holder)))
        )
        target = holder[key]  # type: ignore[index]
    holder[key] = [None, -1, "x", {}, [[]], 1e400][int(rng.integers(6))]  # type: ignore[index]
    path.write_text(json.dumps(document))
    if seed % 4 == 0:
        damaged = bytearray(weights_path(path).read_bytes())
        damaged[int(rng.integers(len(damaged)))] ^= 0xFF
        weights_path(path).write_bytes(bytes(damaged))
    try:
        loaded = bitsmith.Model.load(path)
        loaded.predict(np.zeros((1, *loaded.program.input_ops()[0].shape)))
    except BitsmithError as error:
        assert str(error)


def test_huge_files_are_refused_for_their_size(tmp_path: Path) -> None:
    """No more of them is read than tells that."""
    path = tmp_path / "saved.json"
    path.touch()
    os.truncate(path, 1 << 28)
    with pytest.raises(ModelFileError, match=rf"{(1 << 27) + 1} bytes of JSON"):
        load(path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (r"= max %3 %4", "= max %3 %20", "operand %20"),
        (r"= max %3 %4", "= max %5 %4", "operand %5"),
        (r"%6: 64 u0\.\.6 frac 3", "%6: 64 u5 frac 3", "a node of type 64 u5 frac 3"),
        (r"%3: 64", "%3: 63", "a node of type 63"),
        (r"@fc1_relu$", r'@"a\\u202eb"', "cannot be printed"),
    ],
)
def test_programs_that_break_a_rule_are_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """Such as no tool of ours writes, though each line for itself can be read."""
    model, _ = three_layer(tmp_path)
    model.save(tmp_path / "saved.json")
    document = json.loads((tmp_path / "saved.json").read_text())
    changed = [re.sub(old, new, line, count=1) for line in document["program"]]
    assert changed != document["program"]
    (tmp_path / "saved.json").write_text(json.dumps({**document, "program": changed}))
    with pytest.raises(ModelFileError, match=problem):
        bitsmith.Model.load(tmp_path / "saved.json")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"outputs": []}, "outputs are not the network's"),
        ({"outputs": ["nothing"]}, "saved.json"),
        ({"outputs": ["fc1_relu", "fc2_relu"]}, "outputs are not the network's"),
        ({"inputs": []}, "saved.json"),
        ({"inputs": ["fc1"]}, "saved.json"),
        ({"program": []}, "saved.json"),
        ({"format": "other"}, "another format or version"),
        ({"version": 0}, "another format or version"),
        ({"target": 3}, "a target"),
        ({"fidelity": 3}, "a certificate"),
        ({"calibrated": 0.5}, "calibrated"),
        ({"name": 3}, "no name"),
        ({"notes": 3}, "saved.json"),
        ({"nodes": {}}, "saved.json"),
    ],
)
def test_documents_whose_parts_do_not_belong_together_are_refused(
    tmp_path: Path, changed: dict[str, object], problem: str
) -> None:
    model, _ = three_layer(tmp_path)
    path = tmp_path / "saved.json"
    model.save(path)
    document = json.loads(path.read_text())
    assert changed.keys() <= document.keys()
    path.write_text(json.dumps(document | changed))
    with pytest.raises(ModelFileError, match=problem):
        load(path)


def test_a_budget_says_the_bits_of_all_within_bounds(tmp_path: Path) -> None:
    model, _ = three_layer(tmp_path)
    path = tmp_path / "saved.json"
    model.save(path)
    document = json.loads(path.read_text())
    node = document["nodes"][1]["settings"]
    whole = {"weight": 6, "result": 9, "state": 7, "gate": 5}
    node["bits"] = whole
    path.write_text(json.dumps(document))
    assert load(path).network.nodes[1].settings.bits == Bits(weight=6, result=9, state=7, gate=5)
    for budget in (
        *({key: bits for key, bits in whole.items() if key != missing} for missing in whole),
        whole | {"result": 99},
        whole | {"state": 0},
    ):
        node["bits"] = budget
        path.write_text(json.dumps(document))
        with pytest.raises(ModelFileError):
            load(path)


@pytest.mark.parametrize("fracs", [[3, MAX_FRAC + 1, 3], [-MAX_FRAC - 1, 0, 0], [1, 2], [[1, 2, 3]] * 3])
def test_fractional_bits_are_those_of_elements_and_bounded(tmp_path: Path, fracs: object) -> None:
    network = Network(
        (
            NetworkNode("x", Input((2,)), (), "InputLayer"),
            NetworkNode(
                "y", Dense(np.ones((2, 3)), np.ones(3)), ("x",), "Dense", fracs={"bias": np.array([1, 2, MAX_FRAC])}
            ),
        ),
        ("x",),
        ("y",),
    )
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 8, 4))
    program = build.program([("y", build.linear(x, np.ones((2, 3), dtype=np.int64)))])
    path = tmp_path / "saved.json"
    save(SavedModel(network, program, {}, ()), path)
    document = json.loads(path.read_text())

    def saved(given: object) -> None:
        document["nodes"][1]["fracs"]["bias"] = given
        path.write_text(json.dumps(document))

    saved([1, -MAX_FRAC, MAX_FRAC])
    assert load(path).network.node("y").fracs["bias"].tolist() == [1, -MAX_FRAC, MAX_FRAC]
    saved(fracs)
    with pytest.raises(ModelFileError, match="fractional bits of bias"):
        load(path)


@pytest.mark.parametrize("kind", ["S1000000000", "U100000000", "V1000000000", "(1000000,)f8", "c16", "M8[s]"])
def test_arrays_of_something_else_than_numbers_take_no_room(tmp_path: Path, saved: Path, kind: str) -> None:
    path = copytree(saved, tmp_path, dirs_exist_ok=True) / "saved.json"
    with zipfile.ZipFile(weights_path(path), "w") as archive, archive.open("0.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": (8,)})
    with pytest.raises(ModelFileError, match="accepted: numbers"):
        bitsmith.Model.load(path)


class _Touches:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._path,)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    path = tmp_path / "saved.json"
    model.save(path)
    mark = tmp_path / "mark"
    np.savez(weights_path(path), **{"0": np.array([_Touches(mark)], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(ModelFileError):
        bitsmith.Model.load(path)
    assert not mark.exists()
    with np.load(weights_path(path), allow_pickle=True) as content:
        assert content["0"].shape == (1,)
    assert mark.exists()
