"""Forty first sessions: what users type first, in an environment made from a checkout; `make sessions`.

Each runs in a folder of its own that holds the user's files, without anything of this repository on its path. A session fails
if a command does, or if what it prints has a traceback, escape sequences, or lacks what it should show. One that is a
mistake must fail, with one traceback at most. All that was printed is kept in ``--folder`` to be read.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TYPED = HERE / "typed"
_EXTRAS = ("flow", "report", "onnx", "torch")
_OTHERS = ("keras", "jax", "nbclient", "ipykernel", "scikit-learn")
_TRACEBACK = "Traceback (most"
_FORBIDDEN = {"a traceback": _TRACEBACK, "an escape sequence": "\x1b", "a carriage return": "\r"}
_LIMIT_S = 1800


@dataclass(frozen=True, slots=True)
class Session:
    """What a user types (a script, shell commands, cells, a block of the README), and patterns of what that must show.

    ``typed`` is the text of a short one, and ``fails`` says that it is a mistake.
    """

    name: str
    file: str
    shows: tuple[str, ...]
    block: int | None = None
    typed: str = ""
    fails: bool = False


def _short() -> Iterator[Session]:
    """The sessions of a few lines."""
    for entry in tomllib.loads((TYPED / "short.toml").read_text(encoding="utf-8"))["session"]:
        lines = f"{_BEFORE}{entry['python']}" if "python" in entry else entry["shell"]
        file = "session.py" if "python" in entry else "session.sh"
        yield Session(entry["name"], file, tuple(entry["shows"]), None, lines, entry.get("fails", False))


_BEFORE = 'import numpy as np\n\nimport bitsmith\n\nx = np.load("x_train.npy")\n'
_VERIFIED = r"Verified +bit-exact"
SESSIONS = (
    Session(
        "five lines of the README",
        "README.md",
        (r"9\d\.\d% correct", r"digits: verified on .*fits", _VERIFIED),
        block=0,
    ),
    Session("quick start of users of hls4ml", "README.md", (r"Mismatches +0", "Latency"), block=1),
    Session(
        "command line", "command_line.sh", ("Written: digits.yml", _VERIFIED, "fidelity:", "--calibration x_train.npy")
    ),
    Session(
        "notebook",
        "notebook.py",
        (
            r"image/svg\+xml",
            "text/html: '<img",
            "image/png",
            "fidelity: ",
            "stdout: 'rtl: ",
            "error: ConfigError",
            "Verified",
        ),
    ),
    Session("user of hls4ml", "hls4ml_user.py", ("fc1", r"Mismatches +0")),
    Session("project as YAML", "project.sh", (_VERIFIED,)),
    Session("QKeras file", "qkeras.py", (_VERIFIED,)),
    Session("HGQ2 file", "hgq.py", (_VERIFIED,)),
    Session("ONNX file", "onnx_file.py", ("fidelity:", _VERIFIED)),
    Session("PyTorch module", "torch_module.py", ("fidelity:", _VERIFIED)),
    *_short(),
)


def give_files(folder: Path) -> None:
    """The user's own files: trained models and data."""
    models, quantized = ROOT / "src/bitsmith/data/models", ROOT / "tests/quantized"
    shutil.copy(models / "digits.keras", folder / "classifier.keras")
    shutil.copy(ROOT / "tests/frontends/exported/keras3_torch_mlp.onnx", folder / "mlp.onnx")
    for name, source in (("qkeras", quantized / "qkeras/models/network_k3"), ("hgq", quantized / "hgq/models/dense")):
        shutil.copy(source.with_suffix(".keras"), folder / f"{name}.keras")
        with np.load(source.with_suffix(".npz"), allow_pickle=False) as data:
            np.save(folder / f"{name}.npy", data["x0"])
    with np.load(models / "digits_test.npz", allow_pickle=False) as data:
        np.save(folder / "x_train.npy", data["inputs"][:260])
        np.save(folder / "x_test.npy", data["inputs"][260:])


def commands(session: Session, folder: Path) -> list[list[str]]:
    """What is typed, with its scripts copied to ``folder``."""
    folder_of_text = ROOT if session.block is not None else TYPED
    text = session.typed or folder_of_text.joinpath(session.file).read_text(encoding="utf-8")
    if session.block is not None:
        text = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[session.block]
    script = folder / ("session.py" if session.block is not None else session.file)
    script.write_text(text, encoding="utf-8")
    if script.suffix == ".sh":
        return [["bash", "-ex", script.name]]
    if session.file == "notebook.py":
        shutil.copy(HERE / "notebook_run.py", folder)
        return [["python", "notebook_run.py", script.name]]
    return [["python", script.name]]


def ran(session: Session, folder: Path, programs: Path) -> tuple[str, float]:
    """What is wrong with a session, or nothing; and its seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    give_files(folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "KERAS_BACKEND": "jax"}
    start, printed, status = time.monotonic(), [], 0
    for command in commands(session, folder):
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            timeout=_LIMIT_S,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        printed.append(done.stdout.decode(errors="replace"))
        status = status or done.returncode
    told = "".join(printed)
    (folder / "printed.txt").write_text(told, encoding="utf-8", newline="")
    problems = [f"exit code {status}"] if bool(status) != session.fails else []
    allowed = 1 if session.fails and session.file.endswith(".py") else 0
    problems += [what for what, text in _FORBIDDEN.items() if told.count(text) > (allowed if text == _TRACEBACK else 0)]
    problems += [f"no {pattern!r}" for pattern in session.shows if not re.search(pattern, told)]
    return ", ".join(problems), time.monotonic() - start


def installed(folder: Path) -> Path:
    """The programs of a fresh environment with bitsmith from a copy of this checkout; not editable."""
    venv.create(folder, with_pip=True, clear=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    wanted = [f"{ROOT}[{','.join(_EXTRAS)}]", *_OTHERS]
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", *wanted], check=True)
    return programs.absolute()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sessions; the exit code is 1 if any fails."""
    parser = argparse.ArgumentParser(description="Run forty first sessions.")
    parser.add_argument("--folder", type=Path, default=Path("sessions-output"))
    parser.add_argument("--environment", type=Path, help="of these programs, instead of a fresh one")
    parser.add_argument("--only", nargs="*", default=[session.name for session in SESSIONS], help="names of sessions")
    asked = parser.parse_args(arguments)
    console = Console()
    programs = asked.environment or installed(asked.folder / "environment")
    table = Table("session", "seconds", "result", title="First sessions")
    failed = False
    for number, session in enumerate(SESSIONS, 1):
        if session.name not in asked.only:
            continue
        console.print(f"{number} of {len(SESSIONS)}: {session.name} ...")
        folder = asked.folder / re.sub(r"\W+", "_", session.name)
        problem, seconds = ran(session, folder.absolute(), programs.absolute())
        failed |= bool(problem)
        table.add_row(session.name, f"{seconds:.0f}", problem or "as it should be")
        console.print(f"   {problem or 'as it should be'} ({seconds:.0f} s; {folder / 'printed.txt'})")
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
