"""What is published: metadata, citation, workflow files, and a wheel and a source distribution that are whole."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from bitsmith import __version__

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_citation_agrees_with_the_package() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["version"] == __version__
    assert (cited["license"], cited["cff-version"]) == (project["license"], "1.2.0")
    assert cited["authors"] == project["authors"]
    assert cited["title"].lower() == f"{project['name']}: {project['description']}".lower()


def test_there_are_workflows_for_tests_wheels_and_docs() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "tests", "wheels"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_what_there_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"run: make ([a-z-]+)", text)) <= set(targets)
    assert all((ROOT / script).is_file() for script in re.findall(r"run: bash (\S+)", text))
    for job in yaml.safe_load(text)["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="needs actionlint on PATH")
def test_workflows_pass_actionlint() -> None:
    subprocess.run(["actionlint", *map(str, WORKFLOWS)], check=True, cwd=ROOT)


@pytest.mark.ci
@pytest.mark.slow
def test_distributions_are_whole(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    wheel, source = next(tmp_path.glob("*.whl")), next(tmp_path.glob("*.tar.gz"))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(source)], check=True)
    there = {
        str(path.relative_to(ROOT / "src").as_posix())
        for path in (ROOT / "src" / "bitsmith").rglob("*")
        if path.is_file()
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in there if "__pycache__" not in name} <= packed
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CITATION.cff", "docs/api.md", "src/bitsmith/py.typed"} <= names
