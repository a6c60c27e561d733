"""Scripts of hls4ml run with one line before their imports; what has no counterpart is named with what to use instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitsmith import compat
from bitsmith.base.familiar import INSTEAD, MODULES

PARTS = sorted((Path(__file__).parent / "hls4ml_parts").glob("part*.py"))
QUANTIZED = Path(__file__).parent / "quantized"

SCRIPT = """
import bitsmith.compat
import hls4ml
import hls4ml.model.profiling
from hls4ml.converters import convert_from_keras_model
from hls4ml.model.profiling import numerical
from hls4ml.report import read_vivado_report
from hls4ml.utils import config_from_keras_model, plot_model
from hls4ml.utils.plot import plot_model as other
import keras
import numpy as np
import bitsmith

assert other is plot_model and hls4ml.converters.convert_from_keras_model is convert_from_keras_model
assert hls4ml.model.profiling.numerical is numerical and hls4ml.__version__ == bitsmith.__version__
layers = [keras.layers.Dense(8, activation="relu", name="fc1"), keras.layers.Dense(3, activation="softmax", name="out")]
model = keras.Sequential([keras.Input((4,)), *layers])
config = config_from_keras_model(model, granularity="name", backend="Vitis")
config["LayerName"]["fc1"]["ReuseFactor"] = 4
hls_model = convert_from_keras_model(
    model, hls_config=config, backend="Vitis", output_dir="model_1/hls4ml_prj", part="xcu250-figd2104-2L-e"
)
hls_model.compile()
x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
y = hls_model.predict(np.ascontiguousarray(x))
assert y.shape == (100, 3) and (y.argmax(axis=1) == np.asarray(model(x)).argmax(axis=1)).mean() > 0.9
plot_model(hls_model, show_shapes=True, show_precision=True, to_file=None)
"""


@pytest.mark.slow
@pytest.mark.ci
def test_a_script_runs_as_it_is(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", [pytest.param(path, marks=[pytest.mark.ci] * (path.stem in "part1 part8"), id=path.stem) for path in PARTS]
)
def test_parts_of_the_tutorial_run(part: Path, tmp_path: Path) -> None:
    """All but part 5, which is about decision trees."""
    command = [sys.executable, str(part), str(QUANTIZED)]
    trains = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(command, cwd=tmp_path, env=trains, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def ran(code: str) -> str:
    lines = f"import bitsmith.compat\ntry:\n    {code}\nexcept ImportError as error:\n    print(error)\n"
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout.strip()


def test_every_module_is_there() -> None:
    assert ran("; ".join(f"import {name}" for name in MODULES)) == ""


def test_every_missing_name_says_what_to_use_instead() -> None:
    tries = []
    for name in INSTEAD:
        module, _, attribute = name.rpartition(".")
        tries += [(name, f"from {module} import {attribute}")]
        tries += [(name, f"import {name}"), (name, f"import {name}.inner")] if attribute.islower() else []
    code = "\n".join(
        f"try:\n    {line}\n    print('found')\nexcept ImportError as error:\n    print(error)" for _, line in tries
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import bitsmith.compat\n{code}"], capture_output=True, text=True, check=True
    )
    for (name, line), said in zip(tries, done.stdout.splitlines(), strict=True):
        assert said.startswith(f"bitsmith has no {name}") and said.endswith(INSTEAD[name]), line


@pytest.mark.parametrize("line", ["import hls4ml.nonsense", "from hls4ml.nonsense.more import anything"])
def test_other_names_lead_to_the_page(line: str) -> None:
    assert ran(line) == "bitsmith has no hls4ml.nonsense: docs/coming-from.md lists what it has"


def test_hls4ml_itself_is_not_replaced_behind_its_back(tmp_path: Path) -> None:
    (tmp_path / "hls4ml.py").touch()
    code = "import hls4ml\ntry:\n    import bitsmith.compat\nexcept ImportError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "import bitsmith.compat before it" in done.stdout


def test_what_makes_models_or_configurations_has_the_arrays_of_hls4ml_and_nothing_else_has() -> None:
    def given() -> None:
        """Stands for a function of bitsmith."""

    changed = ("convert_from_keras_model", "keras_to_hls", compat._CONFIGURES, compat._LOADS)
    assert all(compat._as_there(name, given) is not given for name in changed)
    assert compat._as_there("fetch_example_model", given) is given
