"""The scenarios run, and their pages state the figures of the last whole run."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from examples.figures import EXAMPLES, PAGE, Figure, stale, stored, with_table

from generate.hooks import ROOT
from generate.stale import BENCHMARKS, CIRCUITS, Measured, measured

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


def test_a_run_tells_which_figures_are_stale() -> None:
    first, *others = stored("finance")
    assert stale("finance", [first, *others]) == []
    more = Figure("more", 1, "", "emulator")
    *found, last = stale("finance", [replace(first, found=12.0), *others[1:], more])
    assert [line.partition(", now ")[::2] for line in found] == [
        (f"stale: {first.row}", replace(first, found=12.0).row),
        (f"stale: {others[0].row}", "nothing"),
        ("stale: nothing", more.row),
    ]
    assert last == "Renew them: make scenario-finance RENEW=--renew"


def test_all_measured_figures_have_a_date() -> None:
    rows = re.findall(r"^\| `python .*$", (ROOT / BENCHMARKS).read_text(encoding="utf-8"), re.MULTILINE)
    written = [row for row in rows if "| printed |" not in row]
    found = list(measured())
    assert len(found) == len(written) + len(SCENARIOS)
    assert all((ROOT / room).is_dir() for room in CIRCUITS)


def test_figures_are_stale_after_a_change_of_circuits(tmp_path: Path) -> None:
    def commit(name: str, day: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(day)
        dated = {"GIT_COMMITTER_DATE": f"{day}T12:00:00", "GIT_AUTHOR_DATE": f"{day}T12:00:00"}
        who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", name]):
            subprocess.run(["git", *words], cwd=tmp_path, env={**os.environ, **dated}, check=True)

    commit("README.md", "2026-01-01")
    commit(f"{CIRCUITS[0]}/a.py", "2026-01-02")
    commit("docs/a.md", "2026-01-03")
    assert [Measured("", "", f"2026-01-0{day}").commits_since(tmp_path) for day in (1, 2, 3)] == [1, 0, 0]


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
