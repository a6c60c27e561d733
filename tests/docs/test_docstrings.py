"""The examples in docstrings of the public API run, those of a file from top to bottom."""

from __future__ import annotations

import inspect
import warnings
from importlib import resources
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser

import bitsmith
from generate.api import names, public_modules
from generate.hooks import ROOT

_SHOWN = (
    bitsmith.convert,
    bitsmith.Model,
    bitsmith.split,
    bitsmith.compose,
    bitsmith.custom.check,
    bitsmith.report.read_report,
)
"""Those that must have an example."""


def _files() -> list[Path]:
    """The sources of the public functions and classes in which there are examples."""
    values = [getattr(module, name) for module in public_modules().values() for name in names(module)]
    own = {
        inspect.getsourcefile(inspect.unwrap(one)) for one in values if inspect.isclass(one) or inspect.isfunction(one)
    }
    files = sorted(Path(name) for name in own if name is not None and Path(name).is_relative_to(ROOT / "src"))
    return [path for path in files if "```python" in path.read_text(encoding="utf-8")]


def test_main_functions_have_examples() -> None:
    files = {str(path) for path in _files()}
    assert [one.__name__ for one in _SHOWN if inspect.getsourcefile(inspect.unwrap(one)) not in files] == []


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("path", _files(), ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    project = bitsmith.utils.fetch_example_model("digits.keras")
    with np.load(str(resources.files("bitsmith") / "data" / "models" / "digits_test.npz")) as data:
        x = data["inputs"][:50]
    model = bitsmith.convert("digits.keras", "digits", project["HLSConfig"], calibration=x)
    document = PythonDocStringDocument.parse(str(path), PythonCodeBlockParser())
    document.namespace.update(bitsmith=bitsmith, np=np, x=x, model=model)
    if path.stem == "custom":
        document.namespace["torch"] = pytest.importorskip("torch")
    examples = list(document.examples())
    assert examples
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for example in examples:
            example.evaluate()
