"""Code of users passes a strict type checker without casts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from bitsmith.backends import BACKENDS
from bitsmith.config.accelerators import ACCELERATORS
from bitsmith.config.values import BackendName, IOType, IOTypeName

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.ci
def test_mypy_is_content() -> None:
    script = str(Path(__file__).with_name("session.py"))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def _pyright(code: str, folder: Path) -> tuple[int, str]:
    """Exit code and words of pyright, with node from a wheel, for the code of a user."""
    (folder / "user.py").write_text(code, encoding="utf-8")
    settings = {"include": ["user.py"], "extraPaths": [str(ROOT / "src")], "typeCheckingMode": "strict"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "-p", str(folder), "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_pyright_is_content(tmp_path: Path) -> None:
    code = Path(__file__).with_name("session.py").read_text(encoding="utf-8")
    exit_code, said = _pyright(code, tmp_path)
    assert exit_code == 0, said
    exit_code, said = _pyright(code.replace("bits=8", "bits=[8]"), tmp_path)
    assert exit_code == 1
    assert "reportArgumentType" in said


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (BackendName, {*BACKENDS, *(accelerator.name for accelerator in ACCELERATORS.values())}),
        (IOTypeName, {io_type.value for io_type in IOType}),
    ],
)
def test_editors_propose_all_names(name: object, values: set[str]) -> None:
    assert {value for literal in get_args(name) for value in get_args(literal)} == values
