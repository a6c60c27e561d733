"""The scenarios run, and their pages state the figures of the last whole run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from examples.figures import EXAMPLES, PAGE, stored, with_table

from generate.hooks import ROOT

SCENARIOS = sorted(path.parent.name for path in EXAMPLES.glob("*/__main__.py"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_pages_state_the_figures_of_the_last_run(name: str) -> None:
    figures = stored(name)
    for page in (EXAMPLES / name / "README.md", PAGE):
        text = page.read_text(encoding="utf-8")
        assert f"<!-- figures of {name} -->" in text
        assert with_table(text, name, figures) == text, f"renew it: make scenario-{name}"
    assert all(figure.found == 0 for figure in figures if figure.name.endswith("samples that differ"))
    assert any(figure.limit is not None for figure in figures)


@pytest.mark.parametrize("name", SCENARIOS)
def test_pictures_are_shown_and_small(name: str) -> None:
    pictures = list((EXAMPLES / name).glob("*.png"))
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert pictures
    for picture in pictures:
        assert f"]({picture.name})" in readme
        assert picture.stat().st_size < 150_000


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.ci] * (name == "edge")) for name in SCENARIOS])
def test_scenario_runs(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"examples.{name}", "--quick", "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "KERAS_TRAINS_WITH": "jax"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=600)
    figures = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["figures"]
    differ = [figure["found"] for figure in figures if figure["name"].endswith("samples that differ")]
    assert differ
    assert not any(differ)
    assert list(tmp_path.glob("*.png"))
