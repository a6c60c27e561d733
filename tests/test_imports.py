"""What a first call imports: nothing that only other calls need."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

LATER = (
    *(
        "filelock",
        "h5py",
        "importlib.metadata",
        "jinja2",
        "matplotlib",
        "onnx",
        "pydantic",
        "rich",
        "torch",
        "keras",
        "yaml",
    ),
    *("bitsmith.estimate", "bitsmith.flows", "bitsmith.hls", "bitsmith.rtl.writer"),
)
READERS = tuple(
    f"bitsmith.frontends.{name}.{step}" for name in ("keras", "onnx", "tflite", "torch") for step in ("graph", "read")
)


def test_convert_is_imported_alone() -> None:
    code = f"import sys, bitsmith; bitsmith.convert; print(*sorted({{*{LATER}, *{READERS}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_conversion_needs_nothing_of_what_builds(tmp_path: Path) -> None:
    later = ("bitsmith.estimate", "bitsmith.flows", "bitsmith.hls", "bitsmith.rtl.writer")
    code = (
        "import sys, bitsmith; from pathlib import Path; made = Path(bitsmith.__file__).parent / 'data/models/digits.keras'\n"
        f"bitsmith.convert(made, output_dir='made', bits=8); print(*sorted({{*{later}}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == []


def test_import_of_the_package_is_that_of_nothing_else() -> None:
    code = "import sys, bitsmith; print(*sorted({'numpy', 'rich', 'bitsmith.model'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", ["bitsmith.converters", "bitsmith.utils", "bitsmith.report"])
def test_completion_offers_the_public_names(name: str) -> None:
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)


def test_a_mistyped_name_is_proposed_as_python_does() -> None:
    done = subprocess.run([sys.executable, "-c", "import bitsmith; bitsmith.convrt"], capture_output=True, text=True)
    assert done.stderr.rstrip().endswith("has no attribute 'convrt'. Did you mean: 'convert'?")
