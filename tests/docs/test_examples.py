"""The blocks of Python and of shell (`sh`) in README and documentation run, each page from top to bottom in a folder of its own.

What cannot run is listed with the reason; what a page shows of the source tree must be in it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from sybil import Document
from sybil import Example as Evaluated
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

import bitsmith
from generate.hooks import ROOT
from generate.lines import COLUMNS
from tests.properties import JUDGED

DOCS = ROOT / "docs"
Names = dict[str, object]

HARDWARE = {
    "boards.md": "a board, or a vendor's tool",
    "bus-wrappers.md": "a board",
    "logic-tools.md": "a vendor's logic tool",
    "serial-port.md": "a board",
}
"""Pages of which no block can run, and what they need."""

SOURCES = {
    "new-hls-dialect.md": "src/bitsmith/hls/dialects/libero.py",
    "add-an-operator.md": "src/bitsmith/frontends",
    "add-a-core-op.md": "src/bitsmith",
    "add-a-layer.md": "src/bitsmith/layers",
}
"""Pages whose blocks are excerpts, and the file or folder that has each of their lines."""


def _dense(folder: Path, name: str = "classifier.keras", shape: tuple[int, ...] = (16,)) -> Names:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Flatten()] * (len(shape) > 1)
    model = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(4, activation="relu", name="fc")])
    model.save(folder / name)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, *shape)).astype(np.float32)
    kernel, bias = (np.asarray(array) for array in model.layers[-1].get_weights())
    return {
        "bitsmith": bitsmith,
        "x": x,
        "x_train": x,
        "keras_model": model,
        "float_model": model,
        "kernel": kernel,
        "bias": bias,
    }


def _converted(folder: Path) -> Names:
    names = _dense(folder)
    return {**names, "model": bitsmith.convert(folder / "classifier.keras", folder / "out", calibration=names["x"])}


def _onnx(folder: Path) -> Names:
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    weights = onnx.numpy_helper.from_array(rng.normal(size=(16, 4)).astype(np.float32), "w")
    ports = [onnx.helper.make_tensor_value_info(name, 1, ("N", size)) for name, size in (("x", 16), ("y", 4))]
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", ports[:1], ports[1:], [weights])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    onnx.save(proto, folder / "model.onnx")
    return {"proto": proto, "x_train": rng.normal(size=(32, 16)).astype(np.float32)}


def _pytorch(folder: Path) -> Names:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 4, stride=4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(128, 3)
    )
    x = torch.randn(32, 3, 32, 32)
    torch.save(module.state_dict(), folder / "weights.pth")
    torch.export.save(torch.export.export(module.eval(), (x,)), folder / "model.pt2")
    return {"torch": torch, "module": module, "x": x, "x_train": x.numpy(), "example": x[:1]}


def _tflite(folder: Path) -> Names:
    content = (ROOT / "tests" / "quantized" / "tflite" / "models" / "mlp_int8_codes.tflite").read_bytes()
    (folder / "model.tflite").write_bytes(content)

    class Converter:
        def convert(self) -> bytes:
            return content

    inputs = bitsmith.convert(content, folder / "ports").get_input_variables()
    codes = np.zeros((8, *inputs[0].shape), np.int8)
    return {"converter": Converter(), "codes": codes}


def _qkeras(folder: Path) -> Names:
    found = sorted((ROOT / "tests" / "quantized" / "qkeras" / "models").glob("*.h5"))
    (folder / "model.h5").write_bytes(found[0].read_bytes())
    return {}


def _quantized(folder: Path) -> Names:
    found = sorted((ROOT / "tests" / "quantized" / "qkeras" / "models").glob("*.keras"))
    (folder / "quantized.keras").write_bytes(found[0].read_bytes())
    return {"bitsmith": bitsmith}


def _reloadable(folder: Path) -> Names:
    return _dense(folder, "model.keras")


@dataclass(frozen=True)
class Example:
    """A page with blocks that run, what they find, and whether they take more than a few seconds."""

    page: Path
    setup: Callable[[Path], Names] = lambda folder: {}
    slow: bool = True


EXAMPLES: Mapping[str, Example] = {
    str(one.page.relative_to(ROOT)): one
    for one in (
        Example(ROOT / "README.md"),
        Example(DOCS / "index.md"),
        Example(DOCS / "add-a-framework.md", slow=False),
        Example(DOCS / "auto-precision.md"),
        Example(DOCS / "choose-bits.md"),
        Example(DOCS / "cost.md", slow=False),
        Example(DOCS / "fit.md"),
        Example(DOCS / "quickstart.md"),
        Example(DOCS / "cheat-sheet.md"),
        Example(DOCS / "concepts.md"),
        Example(DOCS / "configuration.md"),
        Example(DOCS / "custom-layers.md"),
        Example(DOCS / "split-and-compose.md"),
        Example(DOCS / "fidelity.md", _dense),
        Example(DOCS / "hand-over.md"),
        Example(DOCS / "inspecting.md", _converted),
        Example(DOCS / "keras-subclassed.md"),
        Example(DOCS / "make-it-fit.md"),
        Example(DOCS / "onnx.md", _onnx),
        Example(DOCS / "pytorch.md", _pytorch),
        Example(DOCS / "qkeras.md", _qkeras, slow=False),
        Example(DOCS / "quantized-networks.md", _quantized),
        Example(DOCS / "scikit-learn.md", slow=False),
        Example(DOCS / "formulas.md", slow=True),
        Example(DOCS / "large-networks.md"),
        Example(DOCS / "logic-gates.md"),
        Example(DOCS / "lut-networks.md", slow=False),
        Example(DOCS / "simulate-my-data.md"),
        Example(DOCS / "spiking.md", slow=False),
        Example(DOCS / "states.md"),
        Example(DOCS / "sweep.md"),
        Example(DOCS / "streaming.md", _reloadable),
        Example(DOCS / "tflite.md", _tflite),
        Example(DOCS / "vivado-project.md", slow=False),
    )
}


def _run(example: Evaluated) -> None:
    """Run a block of shell, with the commands of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", str(example.parsed)], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def blocks(page: Path, parser: CodeBlockParser) -> list[str]:
    """The blocks of Python of a page."""
    return [str(example.parsed) for example in Document.parse(str(page), parser).examples()]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=JUDGED if one.slow else ()) for name, one in EXAMPLES.items()]
)
def test_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also, it prints what the page shows in a block of text behind."""
    example = EXAMPLES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    mpl.use("Agg")
    document = Document.parse(str(example.page), PythonCodeBlockParser(), CodeBlockParser("sh", _run))
    document.namespace.update(example.setup(tmp_path))
    with warnings.catch_warnings():
        # What users would see, and see again in the pages.
        warnings.simplefilter("ignore")
        for block in document.examples():
            capsys.readouterr()
            block.evaluate()
            printed = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
            rest = example.page.read_text(encoding="utf-8")[block.end :]
            behind = re.match(r"\s*```(?:text| \{ \.text .*?\})\n(.*?)\n```", rest, re.DOTALL)
            assert behind is None or printed == behind[1].splitlines(), "renew it"


def test_every_block_runs_or_is_listed() -> None:
    pages = [page for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")) if page.parent.name != "tutorials"]
    with_blocks = {str(page.relative_to(ROOT)) for page in pages if "```python" in page.read_text(encoding="utf-8")}
    listed = {f"docs/{name}" for name in (*HARDWARE, *SOURCES)}
    assert with_blocks <= {*EXAMPLES, *listed, *TRANSLATED}
    assert {*EXAMPLES, *TRANSLATED} <= with_blocks


def test_what_does_not_run_is_on_the_page_of_limits() -> None:
    page = (DOCS / "limits.md").read_text(encoding="utf-8")
    assert [name for name, need in HARDWARE.items() if f"| [{name}]({name}) | {need} |" not in page] == []
    assert [name for name in SOURCES if f"]({name})" not in page] == []


@pytest.mark.parametrize("name", HARDWARE)
def test_what_needs_hardware_is_python(name: str) -> None:
    for block in blocks(DOCS / name, CodeBlockParser("python")):
        compile(block, name, "exec")


@pytest.mark.parametrize(("name", "place"), SOURCES.items())
def test_excerpts_are_in_the_source(name: str, place: str) -> None:
    files = [ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*.py"))
    lines = {line.strip() for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    shown = "".join(blocks(DOCS / name, CodeBlockParser("python"))).splitlines()
    assert [line for line in shown if line.strip() and line.strip() not in lines] == []


TRANSLATED: Mapping[str, str] = {"README.zh-CN.md": "README.md", "docs/quickstart.zh-CN.md": "docs/quickstart.md"}
"""Translations, and what they translate."""


@pytest.mark.parametrize(("name", "original"), TRANSLATED.items())
def test_translations_have_the_same_blocks(name: str, original: str) -> None:
    def fenced(page: str) -> list[str]:
        return re.findall(r"^```.*?^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

    assert fenced(name) == fenced(original)
