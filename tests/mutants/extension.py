"""The compiled solver, built with a mistake in one of its files and put beside a copy of the sources, where tests import it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

PLACE = Path("bitsmith") / "netlist"


class Extension:
    """A build folder of a folder ``native``: each mistake compiles what its file is part of, alone."""

    def __init__(self, native: Path, kept: Path) -> None:
        self._native, self._copy, self._built = native, kept / "copy", kept / "built"
        self._turn = threading.Lock()

    def build(self, file: str, text: str, sources: Path) -> bool:
        """Put a module whose ``file`` reads ``text`` into ``sources``; False if it does not compile.

        Raises:
            RuntimeError: it does not compile without the mistake, either.
        """
        with self._turn:
            for path in (self._native / "CMakeLists.txt", *(self._native / "src").iterdir()):
                copy = self._copy / path.relative_to(self._native)
                if path.is_file() and not (copy.exists() and copy.read_bytes() == path.read_bytes()):
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
            self._compile()
            mutated = self._copy / "src" / file
            original = mutated.read_text(encoding="utf-8")
            mutated.write_text(text, encoding="utf-8")
            try:
                self._compile()
            except RuntimeError:
                return False
            finally:
                mutated.write_text(original, encoding="utf-8")
            for library in self._built.glob("_solver.*"):
                shutil.copy2(library, sources / PLACE)
            return True

    def _compile(self) -> None:
        """Compile what has changed; not as a release, which is linked as a whole, for long."""
        if not (self._built / "CMakeCache.txt").exists():
            options = ("-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1", f"-Dnanobind_DIR={_nanobind()}")
            _run(
                "cmake",
                "-S",
                str(self._copy),
                "-B",
                str(self._built),
                *options,
                f"-DPython_EXECUTABLE={sys.executable}",
            )
        _run("cmake", "--build", str(self._built))


def _nanobind() -> str:
    return _run(sys.executable, "-m", "nanobind", "--cmake_dir").strip()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout
