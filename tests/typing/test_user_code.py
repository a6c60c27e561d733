"""Code of users passes a strict type checker without casts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

import pytest

from bitsmith.config import Backend, BackendName, IOType, IOTypeName

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.mark.ci
def test_mypy_is_content() -> None:
    script = str(Path(__file__).with_name("session.py"))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.ci
def test_pyright_is_content() -> None:
    settings = str(Path(__file__).with_name("pyrightconfig.json"))
    command = [sys.executable, "-m", "basedpyright", "-p", settings, "--pythonpath", sys.executable]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(("kind", "name"), [(Backend, BackendName), (IOType, IOTypeName)])
def test_editors_propose_all_names(kind: type[Backend | IOType], name: object) -> None:
    (proposed,) = (each for each in get_args(name) if get_args(each))
    assert proposed == Literal[tuple(each.value for each in kind)]
