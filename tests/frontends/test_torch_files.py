"""Files of ``torch.export.save``: read without torch, and hostile ones."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_samples import assert_same, randomised, save_pt2

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.outputs import ModelRun
from bitsmith.frontends.torch.outputs import torch_outputs
from bitsmith.frontends.torch.read import read_torch


class Tied(nn.Module):
    """Weights that are views of others, of other types, and constants."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("coarse", torch.tensor([0.5, 1.5, -2.0, 0.25]).to(torch.float16))
        self.register_buffer("brain", torch.tensor([0.5, 1.5, -2.0, 0.25]).to(torch.bfloat16))
        self.register_buffer("turned", torch.arange(8.0).view(2, 4).T)
        self.whole = torch.tensor([1, 2, 3, 4])

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x)) * self.coarse.float() + self.brain.float() + self.whole
        return torch.relu(y) @ self.turned


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_pt2(Tied().eval(), tmp_path_factory.mktemp("pt2") / "tied.pt2", (4,))


def test_a_file_is_read_as_the_module_is(file: Path) -> None:
    torch.manual_seed(0)
    network = assert_same(Tied().eval(), network=read_torch(file))
    assert [node.name for node in network.nodes][:3] == ["x", "first", "second"]


def test_a_file_is_run_if_the_caller_insists(file: Path) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert torch_outputs(ModelRun(file, [x], None, insist=False)) is None
    found = torch_outputs(ModelRun(file, [x], None, insist=True))
    assert found is not None and (found.framework, found.half, found.accelerated) == ("PyTorch", False, False)
    with torch.no_grad():
        np.testing.assert_allclose(found.outputs[0], Tied().eval()(torch.from_numpy(x)).numpy(), atol=1e-6)


def test_a_file_needs_no_torch(file: Path) -> None:
    code = (
        "import sys, bitsmith.frontends.torch.read as t;"
        f"assert len(t.read_torch({str(file)!r}).nodes) > 5; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    for name in ("model.pt", "model.pth"):
        path = tmp_path / name
        torch.save(nn.Linear(2, 2), path)
        with pytest.raises(ModelFileError, match=r"(?s)pickle.*torch\.export\.save"):
            read_torch(path)
        renamed = path.rename(tmp_path / "renamed.pt2")
        with pytest.raises(BitsmithError, match=r"torch\.export\.save"):
            read_torch(renamed)


def test_weights_alone_say_how_their_module_is_converted(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    torch.save(module.state_dict(), tmp_path / "w.pth")
    torch.save({"state_dict": module.state_dict()}, tmp_path / "old.th", _use_new_zipfile_serialization=False)
    header = b'{"0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    for name, said in (
        ("w.pth", r"load_state_dict\(torch.load\('/.*w.pth', weights_only=True\)\)"),
        ("old.th", r"torch.load\('/.*old.th'.*entry 'state_dict'"),
        ("w.safetensors", r"load_state_dict\(safetensors.torch.load_file\('/.*w.safetensors'\)\)"),
    ):
        with pytest.raises(
            ModelFileError, match=rf"(?s)weights without the module.*{said}.*bitsmith.convert\(model"
        ) as found:
            bitsmith.convert(tmp_path / name)
        assert ("arbitrary code" in str(found.value)) == (not name.endswith(".safetensors"))
    module.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
    assert_same(module.eval(), (3,))


class Script(nn.Module):
    """Layers, a choice that is constant, and a size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(48, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return x
        return torch.softmax(self.fc(torch.relu(self.norm(self.conv(x))).view(x.size(0), -1)), 1)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("how", ["traced", "scripted", "frozen"])
def test_torchscript_is_read_live(how: str, tmp_path: Path) -> None:
    module, example = randomised(Script()), torch.zeros(1, 2, 4, 4)
    made = torch.jit.trace(module, example) if how == "traced" else torch.jit.script(module)
    torch.jit.save(torch.jit.freeze(made) if how == "frozen" else made, tmp_path / "m.pt")
    for name in ("m.pt", "m.jit"):
        with pytest.raises(ModelFileError, match=r"TorchScript, (?s:.*)bitsmith.convert\(torch.jit.load\('/.*m"):
            bitsmith.convert((tmp_path / "m.pt").rename(tmp_path / name))
    loaded = torch.jit.load(tmp_path / "m.jit")
    x = torch.randn(6, 2, 4, 4)
    network = read_torch(loaded, ReadOptions(input_shape=(2, 4, 4)))
    found = network.evaluate([x.double().numpy()])[network.outputs[0]]
    np.testing.assert_allclose(found, module(x).detach().numpy(), atol=1e-6)


class Choosing(nn.Module):
    """A choice that depends on the data."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if bool(x.sum() > 0) else x - 1


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_that_chooses_by_the_data_says_what_else_there_is() -> None:
    with pytest.raises(UnsupportedError, match=r"depends on the data; compute both, and choose with torch.where"):
        read_torch(torch.jit.script(Choosing()), ReadOptions(input_shape=(3,)))
    with pytest.raises(UnsupportedError, match=r"torch.onnx.export\(model, \(example,\), 'model.onnx', dynamo=False\)"):
        read_torch(torch.jit.script(nn.LSTM(3, 2)), ReadOptions(input_shape=(4, 3)))


def test_what_is_no_model() -> None:
    for source in (None, 3, np.zeros(3)):
        with pytest.raises(ModelFileError, match="not a PyTorch model"):
            read_torch(source)  # type: ignore[arg-type]
    for path in ("nowhere.pt2", "a\0b.pt2"):
        with pytest.raises(ModelFileError):
            read_torch(path)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy with members as ``change`` makes them; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def edited(suffix: str, edit: Callable[[Any], None]) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(suffix):
            return content
        value = json.loads(content)
        edit(value)
        return json.dumps(value).encode()

    return change


def _graph(value: Any) -> Any:
    return value["graph_module"]["graph"]


def _meta(value: Any) -> Any:
    return value["config"]["first.weight"]["tensor_meta"]


def _views(value: Any) -> None:
    """More than all tensors may have, of a few bytes."""
    for k in range(20):
        entry = copy.deepcopy(value["config"]["first.weight"])
        entry["tensor_meta"].update(sizes=[{"as_int": 4096}] * 2, strides=[{"as_int": 0}] * 2)
        value["config"][f"x{k}"] = entry


def test_views_are_counted_before_they_are_made(file: Path, tmp_path: Path) -> None:
    path = rewritten(file, tmp_path / "bad.pt2", edited("_weights_config.json", _views))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="67108864 in all"):
            read_torch(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


HOSTILE: dict[str, Callable[[str, bytes], bytes | None]] = {
    "no program": lambda name, data: None if "/models/" in name else data,
    "no weights": lambda name, data: None if "weights" in name else data,
    "truncated weights": lambda name, data: data[:8] if "/weight_" in name else data,
    "no JSON": lambda name, data: b"{" if "/models/" in name else data,
    "a list": lambda name, data: b"[]" if "/models/" in name else data,
    "deep": lambda name, data: b'{"a":' * 100_000 if "/models/" in name else data,
    "big end first": lambda name, data: b"big" if name.endswith("byteorder") else data,
    "version": edited("models/model.json", lambda v: v["schema_version"].update(major=99)),
    "pickled tensor": edited("_weights_config.json", lambda v: v["config"]["first.weight"].update(use_pickle=True)),
    "path": edited("_weights_config.json", lambda v: v["config"]["first.weight"].update(path_name="../../x")),
    "huge": edited("_weights_config.json", lambda v: _meta(v).update(sizes=[{"as_int": 1 << 40}] * 2)),
    "negative stride": edited(
        "_weights_config.json", lambda v: _meta(v).update(strides=[{"as_int": -4}, {"as_int": 1}])
    ),
    "far stride": edited(
        "_weights_config.json", lambda v: _meta(v).update(strides=[{"as_int": 1 << 60}, {"as_int": 1}])
    ),
    "far offset": edited("_weights_config.json", lambda v: _meta(v).update(storage_offset={"as_int": 5})),
    "type": edited("_weights_config.json", lambda v: _meta(v).update(dtype=9)),
    "no type": edited("_weights_config.json", lambda v: _meta(v).update(dtype="float")),
    "other sizes": edited(
        "_weights_config.json",
        lambda v: [  # the tensor has two names
            entry["tensor_meta"].update(sizes=[{"as_int": 2}, {"as_int": 4}])
            for name, entry in v["config"].items()
            if name.endswith("weight")
        ],
    ),
    "no nodes": edited("models/model.json", lambda v: _graph(v).update(nodes=3)),
    "a circle": edited("models/model.json", lambda v: _graph(v)["nodes"].reverse()),
    "unknown operator": edited("models/model.json", lambda v: _graph(v)["nodes"][0].update(target="os.system")),
    "target": edited("models/model.json", lambda v: _graph(v)["nodes"][0].update(target=["os"])),
    "arguments": edited("models/model.json", lambda v: _graph(v)["nodes"][0].update(inputs=[{"name": "x", "arg": {}}])),
    "argument": edited("models/model.json", lambda v: _graph(v)["nodes"][0]["inputs"][0].update(arg={"as_tensor": 3})),
    "no output": edited("models/model.json", lambda v: v["graph_module"]["signature"].update(output_specs=[])),
    "no input": edited("models/model.json", lambda v: v["graph_module"]["signature"].update(input_specs=[])),
    "said sizes": edited(
        "models/model.json", lambda v: _graph(v)["tensor_values"]["linear"]["sizes"].append({"as_int": 3})
    ),
    "many axes": edited(
        "models/model.json", lambda v: _graph(v)["tensor_values"]["x"].update(sizes=[{"as_int": 1}] * 99)
    ),
    "integers": edited("models/model.json", lambda v: _graph(v)["tensor_values"]["x"].update(sizes=[{"as_int": True}])),
    "input size": edited(
        "models/model.json", lambda v: _graph(v)["tensor_values"]["x"]["sizes"][1].update(as_int=1 << 50)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str, file: Path, tmp_path: Path) -> None:
    with pytest.raises((ModelFileError, UnsupportedError)):
        read_torch(rewritten(file, tmp_path / "bad.pt2", HOSTILE[name]))


def test_an_argument_that_no_translation_reads_is_refused(file: Path, tmp_path: Path) -> None:
    """One of a later version may change what an operator computes."""

    def change(given: dict[str, Any]) -> Path:
        more = {"name": "scale_result", "arg": given, "kind": 1}
        edit = edited("models/model.json", lambda v: _graph(v)["nodes"][0]["inputs"].append(more))
        return rewritten(file, tmp_path / "more.pt2", edit)

    read_torch(change({"as_none": True}))
    with pytest.raises(UnsupportedError, match=r"linear.*the argument 'scale_result'; accepted: none of this name"):
        read_torch(change({"as_float": 2.0}))


def test_parts_of_archives_that_may_be_left_out(tmp_path: Path) -> None:
    """Constants of a model that has none, the order of bytes, and that a tensor is not pickled."""

    def change(name: str, content: bytes) -> bytes | None:
        return None if "constants" in name or name.endswith("byteorder") else plain(name, content)

    plain = edited("_weights_config.json", lambda v: [entry.pop("use_pickle", None) for entry in v["config"].values()])
    module = randomised(nn.Linear(3, 2))
    whole = save_pt2(module, tmp_path / "whole.pt2", (3,))
    assert_same(module, network=read_torch(rewritten(whole, tmp_path / "less.pt2", change)))


class Alike(nn.Module):
    """Where two tensors have the same elements."""

    def forward(self, x: Tensor) -> Tensor:
        return x.round().eq(x)


def test_a_comparison_of_whole_tensors_is_none_of_elements(tmp_path: Path) -> None:
    whole = save_pt2(Alike(), tmp_path / "whole.pt2", (3,))
    assert_same(Alike(), network=read_torch(whole))

    def change(name: str, content: bytes) -> bytes:
        return content.replace(b"aten.eq.Tensor", b"aten.equal.default") if name.endswith("model.json") else content

    with pytest.raises(UnsupportedError, match="equal"):
        read_torch(rewritten(whole, tmp_path / "equal.pt2", change))


def test_damaged_archives_are_refused(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "bad.pt2"
    for cut in (0, 1, 3, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:cut])
        with pytest.raises(ModelFileError):
            read_torch(path)
    for _ in range(40):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 12):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(bytes(changed))
        try:
            read_torch(path)
        except BitsmithError:
            continue


def test_archives_that_leave_their_folder_are_refused(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.pt2"
    path.write_bytes(file.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../outside", b"")
    with pytest.raises(ModelFileError, match="leaves the archive"):
        read_torch(path)


def test_random_edits_of_the_graph_never_crash(file: Path, tmp_path: Path) -> None:
    """Values of the JSON replaced by others: the reader refuses, or reads a model."""
    rng = np.random.default_rng(3)
    replacements: list[Any] = [None, -1, 1 << 70, "x", [], {}, True, [1], 2.5, {"as_int": 7}, "Infinity"]

    def spoil(value: Any) -> None:
        places: list[tuple[Any, Any]] = []
        pending = [value["graph_module"]]
        while pending:
            item = pending.pop()
            keys = list(item) if isinstance(item, dict) else range(len(item))
            places += [(item, key) for key in keys]
            pending += [item[key] for key in keys if isinstance(item[key], dict | list)]
        for number in rng.integers(0, len(places), 2):
            item, key = places[number]
            item[key] = replacements[rng.integers(len(replacements))]

    for number in range(80):
        path = rewritten(file, tmp_path / f"{number}.pt2", edited("models/model.json", spoil))
        try:
            read_torch(path).shapes()
        except BitsmithError:
            continue


_CONSTANTS = {name: getattr(torch, name) for name in ("bool", "uint8", "int8", "int16", "int32", "int64")}
_CONSTANTS |= {name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")}


class Stored(nn.Module):
    """Constants of all types that are stored, each added to a column."""

    def __init__(self) -> None:
        super().__init__()
        for name, dtype in _CONSTANTS.items():
            self.register_buffer(f"of_{name}", torch.tensor([1, 0, 97]).to(dtype))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x + getattr(self, f"of_{name}") for name in _CONSTANTS]


def test_constants_of_all_types_are_read_from_files(tmp_path: Path) -> None:
    exported = torch.export.export(Stored().eval(), (torch.zeros(2, 3),))
    torch.export.save(exported, tmp_path / "stored.pt2")
    model = bitsmith.convert(tmp_path / "stored.pt2", config={"Model": {"Precision": "fixed<16,10>"}}, check=False)
    x = np.random.default_rng(0).integers(-9, 10, (5, 3)).astype(np.float32)
    for found, wanted in zip(model.predict(x), Stored()(torch.tensor(x)), strict=True):
        np.testing.assert_array_equal(found, wanted.float().numpy())
