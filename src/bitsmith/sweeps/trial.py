"""One trial of a sweep: files in, a result out, in a process of its own: ``python -m bitsmith.sweeps.trial FOLDER``.

A trial is a folder with a project's YAML, what is asked of it, and the project folder of its circuit. Model and data are files
beside the trials. The process ends with the one that started it: that holds the other end of its standard input.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.base.project import Json, digest, write_atomically
from bitsmith.conversion.conversion import Conversion
from bitsmith.conversion.exploration import SAMPLES, Tests, yardstick_of
from bitsmith.emulate.batches import Table, columns_of
from bitsmith.emulate.samples import Samples, arrays_of
from bitsmith.errors import (
    BitsmithError,
    BitsmithWarning,
    InputDataError,
    ProjectError,
    ToolFailedError,
    ToolMissingError,
)
from bitsmith.fidelity.samples import without_data
from bitsmith.options.building import BuildOptions
from bitsmith.options.option import among
from bitsmith.options.project import read_project
from bitsmith.options.table import Arguments
from bitsmith.report.exploration import layer_rows
from bitsmith.report.sections import Latency, Resources, Timing
from bitsmith.report.summary import rows
from bitsmith.version import __version__

if TYPE_CHECKING:
    from bitsmith.model import Model

TRIALS, FILES = "trials", "files"
"""Folders of a sweep: of its trials, and of the files that they share."""

PROJECT, TASK, RESULT, LOG, CIRCUIT = "project.yml", "trial.json", "result.json", "log.txt", "circuit"
"""Files of a trial, and the project folder of its circuit."""

_PASSING = (ToolMissingError, ToolFailedError, ProjectError)
"""Errors of a machine rather than of a configuration: such trials are run again."""


@dataclass(frozen=True, slots=True)
class Task:
    """Orders of a trial beside its project.

    Attributes:
        build: options of the build; None: estimates alone.
        latency: the latency of an estimate is wanted, for which the circuit is planned.
        arguments: arguments of the conversion that no project has.
        calibration: file with the calibration data, from the trial's folder; empty without.
        test: file with the test data; empty without.
        pruned: a circuit that does not fit by its estimate is neither scored nor built.
    """

    build: Mapping[str, Json] | None
    latency: bool
    arguments: Mapping[str, Json]
    calibration: str
    test: str
    pruned: bool

    @property
    def text(self) -> str:
        """The task as JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}, indent=1, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial before it has run: the keys by which it differs, and its own and shared files by their paths in the sweep."""

    keys: Mapping[str, object]
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """The name of its folder, which says what it is made of, and by which version."""
        return digest(__version__, *(part for path, content in sorted(self.files.items()) for part in (path, content)))[
            :12
        ]

    @property
    def placed(self) -> dict[str, bytes]:
        """All its files, by their paths in the sweep's folder."""
        own = (PROJECT, TASK)
        return {(f"{TRIALS}/{self.name}/{path}" if path in own else path): data for path, data in self.files.items()}


_COLUMNS = "columns:"
"""The mark of names of columns of the array whose name comes next."""


def packed(samples: Samples) -> bytes:
    """Arrays as one file, which `unpacked` reads.

    Raises:
        InputDataError: data that are no arrays of numbers.
    """
    data = arrays_of(samples)
    parts: dict[str, object]
    if isinstance(data, Mapping):
        parts = {f"named:{name}": value for name, value in data.items()}
    elif isinstance(data, tuple | list):
        parts = {f"{type(data).__name__}:{index}": value for index, value in enumerate(_flat(data))}
    else:
        parts = {"array:": data}
    file, where, accepted = io.BytesIO(), "data of a sweep", "arrays of numbers, with samples along the first axis"
    try:
        arrays = {name: np.asarray(value) for name, value in parts.items()}
    except ValueError as error:
        raise InputDataError(str(error), where=where, accepted=accepted) from error
    for array in arrays.values():
        if array.dtype.kind not in "biuf" or not array.size or not (array.ndim or isinstance(data, list)):
            raise InputDataError(
                f"an array of type {array.dtype} and shape {array.shape}", where=where, accepted=accepted
            )
    columns = {f"{_COLUMNS}{name}": np.array(names) for name, value in parts.items() if (names := columns_of(value))}
    np.savez(file, allow_pickle=False, **arrays, **columns)
    return file.getvalue()


def _flat(data: Sequence[object]) -> list[object]:
    """Inputs and labels side by side: ``(x, (y1, y2))`` is ``(x, y1, y2)``."""
    *first, last = data
    if isinstance(data, tuple) and isinstance(last, tuple | list) and all(getattr(each, "ndim", 0) for each in last):
        return [*first, *last]
    return list(data)


def unpacked(path: Path) -> Samples:
    """The arrays of a file that `packed` made."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if not name.startswith(_COLUMNS)}
        columns = {name: tuple(file[key].tolist()) for name in arrays if (key := f"{_COLUMNS}{name}") in file.files}
    named = {name: Table(value, columns[name]) if name in columns else value for name, value in arrays.items()}
    kinds = {name.partition(":")[0] for name in named}
    if kinds == {"named"}:
        return {name.removeprefix("named:"): value for name, value in named.items()}
    values = list(named.values())
    return tuple(values) if kinds == {"tuple"} else values if kinds == {"list"} else values[0]


def conversion_of(folder: Path) -> Conversion:
    """The conversion that a trial's files describe."""
    task, project = read_task(folder), read_project(folder / PROJECT)
    assert project.model is not None
    data = {"calibration": unpacked(folder / task.calibration)} if task.calibration else {}
    return Conversion.named(project.model, project, among(Arguments, {**task.arguments, **data}))


def read_task(folder: Path) -> Task:
    """The task of the trial in ``folder``."""
    return Task(**json.loads((folder / TASK).read_text(encoding="utf-8")))


def result_of(folder: Path) -> dict[str, Json]:
    """Convert and build what a trial's files describe: figures, the estimates beside them, and warnings; or the error."""
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", BitsmithWarning)
        try:
            record: dict[str, Json] = _figures(folder)
        except BitsmithError as error:
            record = {"error": str(error), "again": isinstance(error, _PASSING)}
    notes = [str(each.message) for each in warned if issubclass(each.category, BitsmithWarning)]
    return {**record, "notes": notes, "seconds": round(time.perf_counter() - started, 3)}


def _figures(folder: Path) -> dict[str, Json]:
    task, conversion = read_task(folder), conversion_of(folder)
    model = conversion.model()
    expected, size = model.estimate(), model.estimate().size
    estimate: dict[str, float] = {"lut": size.lut, "ff": size.ff, "dsp": size.dsp, "bram": size.bram}
    estimate["interval"] = expected.interval
    if task.latency and task.build is None:
        estimate["latency"] = expected.latency
    part, corrected = model.target.known_part, model.target.estimates is not None
    context: dict[str, Json] = {"fits": expected.fits, "part": part.name, "family": part.family.name}
    context |= {"corrected": corrected, "pruned": task.pruned and not expected.fits}
    context["layers"] = [list(row) for row in layer_rows(rows(model.network, model.program), size.layers)]
    if context["pruned"]:
        return {"figures": estimate, "estimate": estimate, "measured": {}, **context}
    test = unpacked(folder / task.test) if task.test else None
    yardstick = yardstick_of(model, Tests(test, SAMPLES), conversion.arguments.get("calibration"))
    scores = yardstick.of_program(model.program)
    measured = {} if task.build is None else _measured(model, task.build)
    if "fmax" in measured:
        estimate["fmax"] = expected.fmax_mhz
    figures: dict[str, float] = {**estimate, **measured}
    period = 1e3 / figures["fmax"] if figures.get("fmax") else model.target.clock_period_ns
    figures |= {f"{name}_ns": figures[name] * period for name in ("latency", "interval") if name in figures}
    figures |= {"score": yardstick.total(scores), "loss": yardstick.loss(scores)}
    context |= {"scored": yardstick.kinds, "score": yardstick.text(scores), "reference": yardstick.references}
    context["assumed"] = without_data(model.network, conversion.arguments.get("calibration"), test)
    return {"figures": figures, "estimate": estimate, "measured": measured, **context}


def _measured(model: Model, build: Mapping[str, Json]) -> dict[str, float]:
    """Counts and measurements of tools for a model."""
    report = model.build(progress=lambda line: None, **among(BuildOptions, build))
    cells, cycles, timing = report.find(Resources), report.find(Latency), report.find(Timing)
    measured: dict[str, float | None] = {}
    if cells is not None:
        measured |= {"lut": cells.lut, "ff": cells.ff, "dsp": cells.dsp, "bram": cells.bram}
    if cycles is not None:
        measured |= {"latency": cycles.cycles, "interval": cycles.ii}
    if timing is not None:
        measured |= {"fmax": timing.fmax_mhz}
    return {name: value for name, value in measured.items() if value is not None}


def _end_with_parent() -> None:
    """End this process when the one that started it has ended; programs that it runs are ended by their watchers."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Run the trial of the folder that is named, and write its result."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    text = json.dumps(result_of(folder), indent=1)
    write_atomically(folder / RESULT, text.encode())


if __name__ == "__main__":
    main()
