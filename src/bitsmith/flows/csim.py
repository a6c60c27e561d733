"""C simulation: a generated C++ project compiled with an ordinary compiler and run on exact values.

In: the folder of a C++ project and words of its inputs. Out: words of its outputs. The types come from the headers of the
package (or from a vendor's, in another ``include`` folder); no vendor's tool runs. What the words mean is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsmith.hls
from bitsmith.errors import InputDataError
from bitsmith.flows.base import GXX, Command, FoundTool, Progress, execute, find
from bitsmith.hls.project import HlsProject

HARNESS = Path(__file__).parent / "csim.cpp"
INCLUDE = Path(bitsmith.hls.__file__).parent / "include" / "csim"
_FOLDER = "csim"
_OPTIMISE = "-O1"
_COMPILER_ERROR = r"(?i)\berror:|undefined reference|No such file"


@dataclass(frozen=True, slots=True)
class CSimulation:
    """The flow: compile the project with the fixed harness, run it on the project's ``csim/inputs.bin``."""

    bridge: str
    function: str
    sources: tuple[str, ...]
    in_words: int
    out_words: int
    samples: int
    include: Path = INCLUDE

    def find(self) -> tuple[FoundTool, ...]:
        return (find(GXX),)

    def files(self) -> Mapping[str, str]:
        return {}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / _FOLDER
        defines = {
            "BITSMITH_BRIDGE": self.function,
            "BITSMITH_IN_WORDS": str(self.in_words),
            "BITSMITH_OUT_WORDS": str(self.out_words),
        }
        return (
            Command(
                argv=(
                    *(str(tools[0].path), "-std=c++17", _OPTIMISE, "-Wall", "-Wextra", "-Wno-unknown-pragmas"),
                    *("-isystem", str(self.include)),
                    *(f"-D{name}={value}" for name, value in defines.items()),
                    *("-o", f"{_FOLDER}/run", self.bridge, *self.sources, str(HARNESS)),
                ),
                cwd=project,
                log=folder / "compile.log",
                outputs=(folder / "run",),
                error_pattern=_COMPILER_ERROR,
            ),
            Command(
                argv=("./run", "inputs.bin", "outputs.bin", str(self.samples)),
                cwd=folder,
                log=folder / "run.log",
                outputs=(folder / "outputs.bin",),
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> NDArray[np.uint64]:
        words = np.fromfile(project / _FOLDER / "outputs.bin", dtype="<u8").astype(np.uint64, copy=False)
        return words.reshape(self.samples, self.out_words)


def simulate(
    project_dir: Path,
    project: HlsProject,
    words: NDArray[np.uint64],
    *,
    include: Path = INCLUDE,
    progress: Progress | None = None,
    timeout: float | None = None,
) -> NDArray[np.uint64]:
    """Words of the outputs, a row per sample, of the project whose files are in ``project_dir``.

    Args:
        words: shape (samples, words of all inputs), as :func:`bitsmith.hls.words.pack` makes them.
        include: the folder of the headers of the types.
        timeout: seconds for each of the two steps.

    Raises:
        ToolFailedError, ToolMissingError, InputDataError.
    """
    if words.dtype != np.uint64 or words.ndim != 2 or words.shape[1] != project.in_words or len(words) == 0:
        raise InputDataError(
            f"inputs are {words.dtype} of shape {words.shape}",
            where="C simulation",
            accepted=f"uint64 of shape (at least 1, {project.in_words})",
        )
    folder = project_dir.resolve() / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    words.astype("<u8", copy=False).tofile(folder / "inputs.bin")
    source = f"firmware/{project.top}.cpp"
    flow = CSimulation(
        project.bridge,
        project.bridge_function,
        (source,),
        project.in_words,
        project.out_words,
        len(words),
        include.resolve(),
    )
    return execute(flow, project_dir, progress, timeout)
