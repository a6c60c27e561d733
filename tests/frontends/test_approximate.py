"""What cannot be translated exactly is refused, or taken with a note where the user allows that."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import bitsmith
from bitsmith.cli.commands import app
from bitsmith.conversion.explanation import explain
from bitsmith.errors import ApproximateError, ApproximationWarning, UnsupportedError
from bitsmith.model import Model

MODELS = Path(__file__).parent.parent / "quantized" / "hgq2_tables" / "models"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model of HGQ2 with a function that does not only rise, of an operand without a quantizer."""
    changed = tmp_path / "silu.keras"
    with zipfile.ZipFile(MODELS / "functions_wide.keras") as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                content = content.replace(b'"activation": "tanh"', b'"activation": "silu"')
            target.writestr(name, content)
    return changed


def test_what_is_not_exact_is_refused_by_name(path: Path) -> None:
    with pytest.raises(ApproximateError, match="a function of an operand without a quantizer") as error:
        bitsmith.convert(path)
    assert isinstance(error.value, UnsupportedError)
    assert "approximately: the table of auto" in str(error.value)
    assert "what to do: allow_approximate=True computes" in str(error.value)
    assert "tanh (QUnaryFunctionLUT)" in str(error.value)


def test_it_is_taken_with_a_note_that_everything_repeats(path: Path, tmp_path: Path) -> None:
    model = bitsmith.convert(path, allow_approximate=True)
    (note,) = (note for note in model.notes if note.startswith("Approximate: "))
    assert "layer 'tanh': a function of an operand without a quantizer; instead the table of auto" in note
    assert "note: Approximate: " in " ".join(str(model).split()) and note in model.design().notes
    told = explain(path, allow_approximate=True)
    assert told.model is not None and note in told.model.notes
    model.save(tmp_path / "model.json")
    x = np.linspace(-3.0, 3.0, 40).reshape(10, 4)
    for each in (model, Model.load(tmp_path / "model.json")):
        with pytest.warns(ApproximationWarning, match="without a quantizer"):
            each.predict(x)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ApproximationWarning)
            each.predict(x)


def test_an_exact_model_is_the_same_either_way() -> None:
    source = MODELS / "functions_wide.keras"
    model = bitsmith.convert(source, allow_approximate=True)
    assert model.program == bitsmith.convert(source).program
    assert not any(note.startswith("Approximate") for note in model.notes)


def test_the_command_line_has_it(path: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    refused = runner.invoke(app, ["explain", str(path)])
    assert refused.exit_code == 1
    allowed = runner.invoke(app, ["explain", str(path), "--allow-approximate"])
    assert allowed.exit_code == 0 and "Approximate: " in allowed.output
    saved = runner.invoke(app, ["convert", str(path), "--allow-approximate", "--output-dir", str(tmp_path / "out")])
    assert saved.exit_code == 0
