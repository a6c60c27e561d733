"""C simulation: a generated C++ project compiled with an ordinary compiler and run on exact values.

In: a C++ project, the folder that holds its files, and words of its inputs. Out: words of its outputs. The types come from
the headers of the package (or from a vendor's, in another ``include`` folder); no vendor's tool runs. The code runs inside
of this process, as a shared library, or without this package, as a program. What the words mean is not known here.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsmith.hls
from bitsmith.base.project import digest
from bitsmith.errors import InputDataError, ToolFailedError
from bitsmith.flows.run import Command, Flow, inside
from bitsmith.flows.tools import GXX, FoundTool, seek
from bitsmith.hls.project import HlsProject

HARNESS = Path(__file__).parent / "csim.cpp"
INCLUDE = Path(bitsmith.hls.__file__).parent / "include" / "csim"
_FOLDER = "csim"
_FLAGS = ("-std=c++17", "-O1", "-pthread", "-Wall", "-Wextra", "-Wno-unknown-pragmas")
_SHARED = ("-fPIC", "-shared")
_KEPT = "-DBITSMITH_KEPT=static thread_local"
"""Each call of the library has a thread of its own, and so weights as they are at first."""
_PRIVATE = "-fvisibility=hidden"
"""Several libraries live in one process: none may see another's templates and their static variables."""
_COMPILER_ERROR = r"(?i)\berror:|undefined reference|No such file"
SAMPLES_AT_ONCE = 4096
"""Samples between two looks at Ctrl-C. The first one finds what a circuit keeps as it is at first."""
_ROOM = 1024

Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class BridgeLibrary(Flow[Path]):
    """The flow: compile the bridge and the top function of a project, which its folder holds, to a shared library.

    The library is called after all that it is made of: a process that has loaded one never takes it for another.
    """

    project: HlsProject
    include: Path = INCLUDE

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return (seek(GXX),)

    @staticmethod
    def environment(include: Path = INCLUDE) -> str:
        """A digest of what is compiled besides the project, and of the options."""
        files = (HARNESS, *sorted(path for path in include.rglob("*") if path.is_file()))
        return digest(repr((_FLAGS, _SHARED, _KEPT)), *map(str, files), *files)

    def key(self, tools: Sequence[FoundTool]) -> str:
        """A digest of the sources, all headers, the compiler and its options."""
        sources = (item for item in sorted(self.project.files.items()) if item[0].endswith((".h", ".cpp")))
        made_by = repr((tools, self._arguments(tools)))
        return digest(made_by, self.environment(self.include), *chain.from_iterable(sources))

    def library(self, project: Path, tools: Sequence[FoundTool]) -> Path:
        return project / _FOLDER / f"{self.project.top}-{self.key(tools)[:16]}.so"

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        library = self.library(project, tools)
        return (
            Command(
                argv=(
                    *self._arguments(tools),
                    "-o",
                    f"{_FOLDER}/{library.name}",
                    *_sources(self.project),
                    str(HARNESS),
                ),
                cwd=project,
                log=project / _FOLDER / "compile.log",
                outputs=(library,),
                error_pattern=_COMPILER_ERROR,
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Path:
        library = self.library(project, tools)
        for stale in library.parent.glob("*.so"):
            if stale != library:
                stale.unlink()
        return library

    def _arguments(self, tools: Sequence[FoundTool]) -> tuple[str, ...]:
        return (*_compiler(self.project, tools, str(self.include)), *_SHARED, _PRIVATE)


@dataclass(frozen=True, slots=True, eq=False)
class CsimProgram:
    """The flow: compile the same to a program, from files of the project's folder only, and run it on words in files.

    Args:
        stimuli: by what the names of a run's files begin with, words as :class:`Bridge` takes them.
    """

    project: HlsProject
    stimuli: Mapping[str, Words]

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return (seek(GXX),)

    def files(self) -> Mapping[str, str | bytes]:
        headers = {f"{_FOLDER}/include/{path.name}": path.read_text(encoding="utf-8") for path in INCLUDE.glob("*.h")}
        words = {f"{_FOLDER}/{prefix}stimuli.bin": _bytes(words) for prefix, words in self.stimuli.items()}
        return {f"{_FOLDER}/{HARNESS.name}": HARNESS.read_text(encoding="utf-8"), **headers, **words}

    @staticmethod
    def responses(outputs: Mapping[str, Words]) -> Mapping[str, bytes]:
        """The files that the runs write if the C++ gives ``outputs``."""
        return {f"{_FOLDER}/{prefix}responses.bin": _bytes(words) for prefix, words in outputs.items()}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / _FOLDER
        program = folder / self.project.top
        compiler = _compiler(self.project, tools, f"{_FOLDER}/include")
        sources = (*_sources(self.project), f"{_FOLDER}/{HARNESS.name}")
        compile_ = Command(
            argv=(*compiler, "-DBITSMITH_PROGRAM", "-o", inside(project, program), *sources),
            cwd=project,
            log=folder / "compile.log",
            outputs=(program,),
            error_pattern=_COMPILER_ERROR,
        )
        runs = (
            Command(
                argv=(f"./{program.name}", f"{prefix}stimuli.bin", f"{prefix}responses.bin"),
                cwd=folder,
                log=folder / f"{prefix}run.log",
                outputs=(folder / f"{prefix}responses.bin",),
            )
            for prefix in self.stimuli
        )
        return (compile_, *runs)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> None:
        """Nothing: those who run it compare files."""


def _compiler(project: HlsProject, tools: Sequence[FoundTool], include: str) -> tuple[str, ...]:
    """The call of the compiler, for whatever it makes of the project."""
    defines = {
        "BITSMITH_BRIDGE": project.bridge_function,
        "BITSMITH_IN_WORDS": str(project.in_words),
        "BITSMITH_OUT_WORDS": str(project.out_words),
    }
    return (
        *(str(tools[0].path), *_FLAGS, _KEPT, "-isystem", include),
        *(f"-D{name}={value}" for name, value in defines.items()),
    )


def _sources(project: HlsProject) -> tuple[str, ...]:
    """The files of the project that are compiled."""
    return (project.bridge, f"firmware/{project.top}.cpp")


def _bytes(words: Words) -> bytes:
    return words.astype("<u8", copy=False).tobytes()


class Bridge:
    """A library of :class:`BridgeLibrary`, loaded: the project's C++ as a function of words.

    Raises:
        ToolFailedError: no such library, or one that cannot be loaded.
    """

    def __init__(self, library: Path, in_words: int, out_words: int) -> None:
        self._path = library
        self._in_words = in_words
        self._out_words = out_words
        try:
            self._run = ctypes.CDLL(str(library)).bitsmith_csim
        except (OSError, AttributeError) as error:
            raise ToolFailedError(f"the compiled C++ cannot be loaded: {error}", where=str(library)) from error
        rows = np.ctypeslib.ndpointer(np.uint64, ndim=2, flags="C_CONTIGUOUS")
        self._run.argtypes = [rows, rows, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        self._run.restype = ctypes.c_int

    def run(self, words: Words, *, whole: bool = False) -> Words:
        """Words of the outputs, a row per sample.

        Args:
            words: shape (samples, words of all inputs), as :func:`bitsmith.hls.words.pack` makes them.
            whole: in one call, as each call begins as after a reset.

        Raises:
            InputDataError: another shape or type.
            ToolFailedError: the C++ threw an exception.
        """
        if words.dtype != np.uint64 or words.ndim != 2 or words.shape[1] != self._in_words:
            raise InputDataError(
                f"inputs are {words.dtype} of shape {words.shape}",
                where="C simulation",
                accepted=f"uint64 of shape (samples, {self._in_words})",
            )
        samples = np.ascontiguousarray(words)
        results = np.zeros((len(words), self._out_words), dtype=np.uint64)
        message = ctypes.create_string_buffer(_ROOM)
        count = max(len(words), 1) if whole else SAMPLES_AT_ONCE
        for start in range(0, len(words), count):
            part, result = samples[start : start + count], results[start : start + count]
            if self._run(part, result, len(part), message, _ROOM):
                reason = message.value.decode(errors="replace")
                raise ToolFailedError(f"the compiled C++ failed: {reason}", where=str(self._path))
        return results
