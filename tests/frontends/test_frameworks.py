"""One record per framework: the table, readers that installed packages bring, and what is said of all that is no model.

The reader is that of ``docs/add-a-framework.md``, in a distribution of its own, and in a copy of the package.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

import bitsmith
from bitsmith import converters, utils
from bitsmith.cli.commands import app
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.frontends.frameworks import FRAMEWORKS, installed
from bitsmith.model import Model

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bitsmith"
DIGITS = Path(str(resources.files("bitsmith"))) / "data" / "models" / "digits.keras"
PAGE = (ROOT / "docs" / "add-a-framework.md").read_text(encoding="utf-8")
KERNELS = [[[0.5, -1.25, 2.0], [1.0, 0.75, -0.5]], [[1.5], [-0.25], [0.125]]]
X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)

Chain = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def _blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's package, installed for the time of a test, and a file of its own beside it."""
    folder, described = tmp_path / "site", tmp_path / "site" / "chain-1.0.dist-info"
    described.mkdir(parents=True)
    (folder / "chain.py").write_text(_blocks("python"), encoding="utf-8")
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: chain\nVersion: 1.0\n")
    entries = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", _blocks("toml")).replace('"', "")
    (described / "entry_points.txt").write_text(entries)
    (tmp_path / "model.chain").write_text(json.dumps(KERNELS))
    monkeypatch.syspath_prepend(folder)
    installed.cache_clear()
    yield tmp_path
    installed.cache_clear()
    sys.modules.pop("chain", None)


def _live() -> Chain:
    chain: Chain = importlib.import_module("chain").Chain(KERNELS)
    return chain


def _check(model: Model) -> None:
    np.testing.assert_allclose(model.predict(X), _live()(X), atol=3e-3)
    agreement = model.fidelity.agreement
    assert agreement.framework == "Chain" and agreement.error is not None and agreement.error < 1e-6


def test_an_installed_package_brings_a_framework(package: Path) -> None:
    file, out = package / "model.chain", package / "out"
    for model in (_live(), file):
        _check(bitsmith.convert(model, out, calibration=X))
    for model in (_live(), file):
        _check(converters.convert_from_config({"ChainModel": model, "OutputDir": str(out)}))
    familiar = [getattr(converters, name) for name in ("chain_to_hls", "convert_from_chain_model")]
    _check(familiar[0]({"chain_model": _live(), "OutputDir": str(out)}))
    config = utils.config_from_chain_model(_live(), "name")  # type: ignore[attr-defined]
    assert set(config["LayerName"]) == {"input", "dense_0", "relu_0", "dense_1", "relu_1"}
    _check(familiar[1](_live(), out, hls_config=config, calibration=X))
    with pytest.raises(AttributeError, match="convert_from_chan_model"):
        _ = converters.convert_from_chan_model  # type: ignore[attr-defined]


def test_commands_and_project_files_take_it(package: Path) -> None:
    project = package / "project.yml"
    project.write_text("ChainModel: model.chain\nProjectName: links\n")
    for source, name in ((package / "model.chain", "model"), (project, "links")):
        out = package / name
        done = CliRunner().invoke(app, ["convert", str(source), "--output-dir", str(out)])
        assert done.exit_code == 0, done.stderr
        model = Model.load(out / "model.json")
        assert model.target.project_name == name
        np.testing.assert_allclose(model.predict(X), _live()(X), atol=3e-3)


def test_a_key_says_whose_a_file_of_any_ending_is(package: Path) -> None:
    (package / "model.chain").rename(package / "model.json")
    project = package / "project.yml"
    project.write_text("ChainModel: model.json\nOutputDir: out\n")
    np.testing.assert_allclose(converters.convert_from_config(project).predict(X), _live()(X), atol=3e-3)
    done = CliRunner().invoke(app, ["convert", str(project)])
    assert done.exit_code == 0, done.stderr


def test_it_takes_what_its_record_says(package: Path) -> None:
    with pytest.raises(ConfigError, match=r"layers: .* Chain\n  accepted: it with models of Keras, PyTorch, ONNX only"):
        bitsmith.convert(_live(), layers={"Dense": lambda call: call.inputs[0]})
    with pytest.raises(ConfigError, match=r"OnnxModel, a model of ONNX\n  accepted: ChainModel"):
        converters.chain_to_hls({"OnnxModel": "a.onnx"})  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="two models: KerasModel and ChainModel"):
        converters.convert_from_config({"KerasModel": str(DIGITS), "ChainModel": _live()})
    (package / "other.chain").write_text("{")
    with pytest.raises(ModelFileError, match="a JSON list of matrices"):
        bitsmith.convert(package / "other.chain")


@pytest.mark.parametrize("line", ["chain = chain:MISSING", "chain = chain:loaded", "chain = nowhere:CHAIN"])
def test_a_package_that_fails_stops_nothing(package: Path, line: str) -> None:
    (package / "site" / "chain-1.0.dist-info" / "entry_points.txt").write_text(f"[bitsmith.frameworks]\n{line}\n")
    assert bitsmith.convert(DIGITS, package / "out").fidelity.message == ""
    assert "chain" not in sys.modules
    with (
        pytest.warns(UserWarning, match="'chain' of the package chain is left out: "),
        pytest.raises(ModelFileError, match="known here"),
    ):
        bitsmith.convert(package / "model.chain")


def test_a_foreign_object_is_named_with_what_is_accepted() -> None:
    for model, said in ((3, "int"), ({"w": 1}, "dict")):
        with pytest.raises(ModelFileError, match=f"an object of the type {said} ") as caught:
            bitsmith.convert(model)
        assert all(record.live is None or record.live in caught.value.accepted for record in FRAMEWORKS)
        assert "KANEL" not in caught.value.accepted


def test_a_file_of_another_ending_is_known_by_its_content(tmp_path: Path) -> None:
    shutil.copy(DIGITS, tmp_path / "digits.v2")
    assert bitsmith.convert(tmp_path / "digits.v2", tmp_path / "out").network.outputs
    (tmp_path / "frozen.bin").write_bytes(b"\x08\x01")
    with pytest.raises(ModelFileError, match="of no framework that is known here") as caught:
        bitsmith.convert(tmp_path / "frozen.bin")
    assert all(record.files in caught.value.accepted for record in FRAMEWORKS)


def test_each_record_has_the_familiar_names() -> None:
    for record in FRAMEWORKS:
        for name in (f"convert_from_{record.stem}_model", f"{record.stem}_to_hls"):
            assert callable(getattr(converters, name))
        assert callable(getattr(utils, f"config_from_{record.stem}_model"))


def test_names_keys_and_endings_are_of_one_framework() -> None:
    for names in (
        [record.name for record in FRAMEWORKS],
        [record.stem for record in FRAMEWORKS],
        [key.name for record in FRAMEWORKS for key in record.keys],
        [suffix for record in FRAMEWORKS for suffix in record.suffixes],
    ):
        assert len(set(names)) == len(names)


FAMILIAR = {"converters.py", "utils/config.py"}
"""Functions of the names that users know, whose parameters have the types of a framework."""


def test_only_the_table_knows_a_package_of_a_framework() -> None:
    packages = {Path(str(sys.modules[record.read.__module__].__file__)).parent for record in FRAMEWORKS}
    names = {f"bitsmith.frontends.{package.name}" for package in packages}
    imported = re.compile(rf"^\s*from ({'|'.join(names)})[. ]", re.MULTILINE)
    outside = [path for path in SOURCE.rglob("*.py") if not packages & set(path.parents)]
    elsewhere = {str(path.relative_to(SOURCE)) for path in outside if imported.search(path.read_text(encoding="utf-8"))}
    assert elsewhere == {"frontends/frameworks.py", *FAMILIAR}


@pytest.mark.slow
@pytest.mark.ci
def test_a_framework_is_a_package_and_a_line(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "bitsmith", ignore=shutil.ignore_patterns("__pycache__"))
    place = tmp_path / "bitsmith" / "frontends"
    (place / "chain").mkdir()
    (place / "chain" / "__init__.py").touch()
    (place / "chain" / "framework.py").write_text(_blocks("python"), encoding="utf-8")
    table = (place / "frameworks.py").read_text(encoding="utf-8")
    found = "FRAMEWORKS = (\n    KERAS, "
    assert found in table
    line = f"from bitsmith.frontends.chain.framework import CHAIN\n{found}CHAIN, "
    (place / "frameworks.py").write_text(table.replace(found, line), encoding="utf-8")
    (tmp_path / "model.chain").write_text(json.dumps(KERNELS))
    (tmp_path / "project.yml").write_text("ChainModel: model.chain\n")
    code = f"""
import bitsmith, numpy as np
from bitsmith.cli.commands import main
from bitsmith.frontends.chain.framework import Chain
x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
for source in ("model.chain", Chain({KERNELS})):
    model = bitsmith.convert(source, calibration=x)
    assert model.fidelity.agreement.framework == "Chain", model.fidelity
    np.testing.assert_allclose(model.predict(x), Chain({KERNELS})(x), atol=3e-3)
model = bitsmith.converters.convert_from_config("project.yml")
assert model.fidelity.agreement.framework == "Chain"
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for command in (["-c", code], *(["-m", "bitsmith", "convert", name] for name in ("model.chain", "project.yml"))):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        shutil.rmtree(tmp_path / "my-hls-test", ignore_errors=True)
