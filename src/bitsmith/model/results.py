"""Results of a search in a file, one a line, so that a search that was stopped goes on where it was.

The first line tells what was searched; a file of another search is rejected.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bitsmith.base.project import write_atomically
from bitsmith.errors import ConfigError, ProjectError


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of a network that was tried.

    Attributes:
        cost: rough figure that the goal wants least.
        luts: look-up tables, roughly.
        scores: on the part of the data that is fitted on.
        excess: by how much scores are worse than the goal allows, as they are to be expected of other samples like these.
        distance: mean square difference from the float model's outputs, as a share of their variance.
    """

    cost: float
    luts: int
    scores: tuple[float, ...]
    excess: float
    distance: float


@dataclass(slots=True)
class Results:
    """Results by the keys of a configuration, also in a file if there is a path."""

    path: Path | None = None
    known: dict[str, Result] = field(default_factory=dict)

    @staticmethod
    def of(path: Path | None, searched: str) -> Results:
        """The results in a file that begins with ``searched``; of a file that does not exist none.

        Raises:
            ConfigError: a file of another search, or one that cannot be read.
            ProjectError: it cannot be written.
        """
        results = Results(path)
        if path is None:
            return results
        first = json.dumps({"searched": searched}) + "\n"
        try:
            content = path.read_text(encoding="utf-8") if path.exists() else ""
            lines = content.splitlines(keepends=True)
            if lines and lines[0] != first:
                remedy = "give the same model, data, goal and options, or the path of a new file"
                raise ConfigError(f"{path} has the results of another search", where="resume", remedy=remedy)
            whole = [line for line in lines if line.endswith("\n")]  # the last may have been cut
            for line in whole[1:]:
                keys, figures = json.loads(line)
                results.known[keys] = Result(**{**figures, "scores": tuple(figures["scores"])})
            path.parent.mkdir(parents=True, exist_ok=True)
            if whole != lines or not lines:
                write_atomically(path, ("".join(whole) or first).encode())
        except (OSError, ValueError, TypeError) as error:
            found = f"{path} cannot be used ({error})"
            raise ConfigError(found, where="resume", accepted="the path of a file") from error
        return results

    def add(self, keys: str, result: Result) -> None:
        """Note a result.

        Raises:
            ProjectError: the file cannot be written, as on a full disk.
        """
        self.known[keys] = result
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps([keys, asdict(result)]) + "\n")
        except OSError as error:
            remedy = "make room and call again: it goes on from the results that are there"
            found = f"a result cannot be written: {error.strerror}"
            raise ProjectError(found, where=str(self.path), remedy=remedy) from error
