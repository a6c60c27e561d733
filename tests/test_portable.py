"""What keeps the package from running on Windows or macOS, as far as that can be seen from here."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import bitsmith
from bitsmith.flows.run import inside
from bitsmith.hls.names import identifier

SOURCE = Path(bitsmith.__file__).parent

_NOT_EVERYWHERE = (
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "termios",
    "tty",
    "pty",
    "posix",
    "curses",
    "readline",
    "msvcrt",
    "winreg",
)
"""Modules that some systems lack; filelock, psutil and platformdirs know them all."""

_POSIX_ONLY = {
    *(
        f"os.{name}"
        for name in ("fork", "setsid", "setpgid", "killpg", "getpgid", "getuid", "geteuid", "getgid", "uname")
    ),
    *(
        f"os.{name}"
        for name in ("mkfifo", "nice", "chown", "fchmod", "pread", "pwrite", "sysconf", "sched_getaffinity")
    ),
    *(
        f"signal.{name}"
        for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGXCPU", "SIGUSR1", "SIGCHLD", "SIGPIPE", "alarm")
    ),
}

_GUARDED = {
    ("base/blas.py", "os.sched_getaffinity"),  # where os has it
    ("flows/groups.py", "os.killpg"),  # but on Windows
    ("flows/groups.py", "signal.SIGKILL"),
}


@cache
def _nodes() -> tuple[tuple[str, ast.AST], ...]:
    """All of the package that is looked at, by file."""
    kinds = ast.Import | ast.ImportFrom | ast.Attribute | ast.Call | ast.Constant
    files = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}
    return tuple((name, node) for name, tree in trees.items() for node in ast.walk(tree) if isinstance(node, kinds))


def _calls() -> Iterator[tuple[str, str, ast.Call]]:
    """File, name and node of each call of a method."""
    for file, node in _nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield file, node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id, node


@pytest.mark.slow
@pytest.mark.ci
def test_no_module_that_some_system_lacks() -> None:
    found = [
        (file, name)
        for file, node in _nodes()
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.partition(".")[0] in _NOT_EVERYWHERE
    ]
    assert not found


@pytest.mark.slow
@pytest.mark.ci
def test_what_only_posix_has_is_guarded() -> None:
    used = {(file, ast.unparse(node)) for file, node in _nodes() if isinstance(node, ast.Attribute)}
    assert {(file, name) for file, name in used if name in _POSIX_ONLY} == _GUARDED


@pytest.mark.slow
@pytest.mark.ci
def test_texts_have_an_encoding_and_the_same_lines_everywhere() -> None:
    wanted = {"read_text": {"encoding"}, "write_text": {"encoding", "newline"}, "Popen": set(), "run": set()}
    found = []
    for file, name, node in _calls():
        given = {keyword.arg for keyword in node.keywords}
        if isinstance(node.func, ast.Name) and name in ("read_text", "run"):
            continue  # of ours
        if {"text", "universal_newlines"} & given and "encoding" not in given:
            found.append(f"{file}:{node.lineno} {name}")
        if wanted.get(name, set()) - given:
            found.append(f"{file}:{node.lineno} {name}")
        mode = next((each.value for each in node.args if isinstance(each, ast.Constant)), "r")
        if (
            name == "open"
            and {"errors", "newline", "mode"} & given
            and "encoding" not in given
            and "b" not in str(mode)
        ):
            found.append(f"{file}:{node.lineno} {name}")
    assert not found


_PLACE = re.compile(r"/(tmp|dev|proc|usr|bin|etc|home|var)(/|$)|[A-Z]:[/\\]")


@pytest.mark.slow
@pytest.mark.ci
def test_no_places_of_one_system() -> None:
    found = [
        (file, node.value)
        for file, node in _nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _PLACE.match(node.value)
    ]
    host = "systems/templates/soc_fpga.py"  # on a board with Linux
    assert sorted(found) == [
        ("flows/groups.py", "/bin/sh"),
        (host, "/dev/mem"),
        (host, "/proc/iomem"),
    ]  # but on Windows


_ELSEWHERE = f"""
import os, signal, sys
import h5py, numpy as np, platformdirs  # which have other parts elsewhere
for name in {_NOT_EVERYWHERE!r}:
    if name not in ("posix", "_winapi", "msvcrt", "winreg"):  # Python's own modules have asked for these
        sys.modules[name] = None
for name in {sorted(_POSIX_ONLY)!r}:
    module, _, name = name.partition(".")
    if hasattr(sys.modules[module], name):
        delattr(sys.modules[module], name)
import bitsmith
from bitsmith.conversion.explanation import explain
model = bitsmith.convert(sys.argv[1], sys.argv[2] + "/project", check=False)
model.predict(np.zeros((1, 64)))
model.save(sys.argv[2] + "/project.json")
bitsmith.Model.load(sys.argv[2] + "/project.json").predict(np.zeros((1, 64)))
explain(sys.argv[1], check=False)
model.plan(synth=False, cosim=False).write()
"""


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(sys.platform == "win32", reason="takes away what Windows does not have")
def test_converting_and_writing_need_nothing_of_posix(tmp_path: Path) -> None:
    """Files have the same bytes as with it."""
    model = SOURCE / "data/models/digits.keras"
    command = [sys.executable, "-W", "ignore", "-c", _ELSEWHERE, str(model), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    written = [path for path in (tmp_path / "project").rglob("*") if path.is_file()]
    assert len(written) > 5
    assert all(b"\r" not in path.read_bytes() for path in written)


def test_a_file_on_another_drive_is_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_drives(path: str, start: str) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", of_drives)
    assert inside(tmp_path, tmp_path / "a.sv") == (tmp_path / "a.sv").as_posix()


def test_no_file_has_the_name_of_a_device_of_windows() -> None:
    assert [identifier(name) for name in ("aux", "con", "nul", "fc1")] == ["aux_n", "con_n", "nul_n", "fc1"]


_HEAVY = (
    "numpy",
    "h5py",
    "yaml",
    "pydantic",
    "torch",
    "keras",
    "jax",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "scipy",
    "pooch",
)


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import bitsmith", _HEAVY),
        ("import bitsmith.cli.commands", _HEAVY),
        ("import bitsmith; bitsmith.convert", [name for name in _HEAVY if name != "numpy"]),
    ],
)
def test_imports_are_late(statement: str, forbidden: list[str]) -> None:
    """Import times are those of what is imported: without these modules the first two take a tenth of a second or less."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement], capture_output=True, check=True, encoding="utf-8"
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "bitsmith" in imported
    assert not imported & set(forbidden)
