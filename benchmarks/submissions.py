"""Submissions of hls4ml and FINN to MLPerf Tiny: each of their files, verified, as a stream of their pace on their part.

    python benchmarks/submissions.py --models FOLDER [--only TEXT] [--again]
    python benchmarks/submissions.py --page docs

FOLDER holds git repositories as for ``ledger.py``; ledger.toml lists the files. Each layer has the reuse factor with which a
frame takes no more cycles than theirs at their clock. The emulator's outputs are compared with those of the authors' framework on
1,000 random inputs that the input's format has. Whole frames are simulated: any bit or cycle that is not the emulator's and the
plan's is an error. Cells are those of Yosys. Files of QKeras need an environment that has it and tf_keras, those of QONNX one
that has qonnx.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
from ledger import EXACT, LIST, SAMPLES, ended, listed_file, rows_of, write_rows
from public_models import Entry, error_of
from public_runtimes import keras_model, runtimes

import bitsmith
from bitsmith.estimate.fit import paced
from bitsmith.layers.layer import Floats
from bitsmith.passes.program import drop_dead
from bitsmith.report.sections import Latency, Resources, Verification

RESULTS = Path(__file__).with_suffix(".tsv")
BEGIN, END = "<!-- submissions -->", "<!-- end of submissions -->"
FRAMES = 3
"""Frames that are simulated."""


@dataclass(frozen=True)
class Codes:
    """A test set as files of signed bytes, codes of the first quantizer: a folder, and in it lists of labels and of what the
    authors' own run of the network predicted.
    """

    folder: str
    labels: str
    predictions: str


@dataclass(frozen=True)
class Submission:
    """An entry of the list: what they measured on a board, and the cells of their circuit, where these are known.

    Inputs are random multiples of ``step`` in the interval ``within``. ``ends`` is the tensor or layer that is the result here.
    """

    task: str
    who: str
    score: str
    repository: str
    path: str
    sha256: str
    part: str
    megahertz: int
    frames: float
    within: tuple[float, float]
    step: float
    config: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    ends: str = ""
    published: str = ""
    data: Codes | None = None

    @property
    def key(self) -> str:
        """What a line of the results is found by: the same file may be at several paces."""
        return f"{self.sha256} {self.frames:g}"


@dataclass(frozen=True)
class Row:
    """A circuit: the share of samples that equal the framework's, cells, cycles; and of a test set the shares of samples whose
    class is the label, and the authors' prediction (0 without one).
    """

    key: str
    equal: float
    lut: int
    ff: int
    dsp: int
    bram: float
    estimated_lut: int
    estimated_ff: int
    latency: int
    interval: int
    right: float
    as_predicted: float
    seconds: float


def listed() -> list[Submission]:
    """The submissions of the list, in order."""
    tables = tomllib.loads(LIST.read_text(encoding="utf-8"))["submission"]
    return [
        Submission(**{key: Codes(**value) if key == "data" else value for key, value in table.items()})
        for table in tables
    ]


def known() -> Mapping[str, Row]:
    """The lines of the results, by key."""
    return {row.key: row for row in rows_of(Row, RESULTS)}


def keep(row: Row) -> None:
    """Write a line of the results, in place of an older one."""
    write_rows(Row, {**known(), row.key: row}.values(), RESULTS)


def measured(path: Path, entry: Submission, models: Path) -> Row:
    """Convert a file, compare it with its framework, simulate whole frames, and synthesize it."""
    started = time.process_time()
    if entry.ends:
        path = ended(path, entry.ends) if path.suffix == ".onnx" else _keras_ended(path, entry.ends)
    model = _converted(path, entry, {})
    cycles = int(entry.megahertz * 1e6 / entry.frames)
    reuse = paced(drop_dead(model.program, keep_probes=False), model.directives, cycles).reuse
    model = _converted(path, entry, reuse)
    shape = (SAMPLES, *model.network.input(model.network.inputs[0]).shape)
    drawn = np.rint(np.random.default_rng(0).uniform(*entry.within, shape) / entry.step) * entry.step
    inputs = drawn.astype(np.float32).astype(np.float64)
    wanted = np.asarray(next(runtimes(path, model, states=False, samples=SAMPLES))([inputs])[0], dtype=np.float64)
    outputs = np.asarray(model.predict(inputs))[: len(wanted)]
    equal = np.mean([error_of(x, y) <= EXACT for x, y in zip(wanted, outputs, strict=True)])
    right, alike = _shares(model, entry, models)
    expected = model.estimate().size
    report = model.build(inputs=inputs[:FRAMES], cosim=True, synth=True, force=True, progress=lambda _: None)
    counted, timed, checked = report.find(Resources), report.find(Latency), report.find(Verification)
    assert counted is not None and timed is not None and checked is not None and checked.mismatches == 0
    cells = counted.lut or 0, counted.ff or 0, counted.dsp or 0, float(counted.bram or 0)
    spans = timed.cycles or 0, timed.ii or 0
    seconds = round(time.process_time() - started, 1)
    return Row(entry.key, float(equal), *cells, expected.lut, expected.ff, *spans, right, alike, seconds)


def _converted(path: Path, entry: Submission, reuse: Mapping[str, int]) -> bitsmith.Model:
    """The model on the part, at the clock of the submission."""
    layers = {name: {**entry.config.get(name, {}), "ReuseFactor": factor} for name, factor in reuse.items()}
    config = {"Model": {"Strategy": "MultiplierBlocks"}, "LayerName": {**entry.config, **layers}}
    options = {"io_type": "io_stream", "part": entry.part, "clock_period": 1e3 / entry.megahertz}
    return bitsmith.convert(path, path.parent / "project", config, check=False, **options)


def _keras_ended(path: Path, layer: str) -> Path:
    """A copy of a file of Keras that ends with a layer."""
    model, place = keras_model(path), path.with_name(f"ended_{path.name}")
    type(model)(model.inputs, model.get_layer(layer).output).save(place)
    return place


def _shares(model: bitsmith.Model, entry: Submission, models: Path) -> tuple[float, float]:
    """The shares of a test set whose class is the label, and what the authors' run predicted."""
    if entry.data is None:
        return 0.0, 0.0
    names, labels = _classes(entry, entry.data.labels, models)
    again, predicted = _classes(entry, entry.data.predictions, models)
    assert names == again
    codes = [np.frombuffer(_content(entry, name, models), np.int8) for name in names]
    shape = model.network.input(model.network.inputs[0]).shape
    scores = np.asarray(model.predict((np.stack(codes) * entry.step).reshape(len(codes), *shape)))
    found = scores.reshape(len(codes), -1)
    classes = found.argmax(axis=1) if found.shape[1] > 1 else found[:, 0]
    return float(np.mean(classes == labels)), float(np.mean(classes == predicted))


def _classes(entry: Submission, name: str, models: Path) -> tuple[Sequence[str], Floats]:
    """The files that a list names, and their classes."""
    rows = list(csv.reader(io.StringIO(_content(entry, name, models).decode())))
    return [row[0].strip() for row in rows], np.array([float(row[-1]) for row in rows])


def _content(entry: Submission, name: str, models: Path) -> bytes:
    """A file of the test set."""
    assert entry.data is not None
    content = Entry(entry.repository, f"{entry.data.folder}/{name}", "").content(models)
    if content is None:
        raise FileNotFoundError(f"{entry.data.folder}/{name} is not in the folder")
    return content


def run(models: Path, entry: Submission) -> str:
    """Return "" once a submission has its line in the results, else why it has none."""
    content = listed_file(models, entry.repository, entry.path, entry.sha256)
    if isinstance(content, str):
        return content
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"network{Path(entry.path).suffix}"
        path.write_bytes(content)
        keep(measured(path, entry, models))
    return ""


def table(entries: Sequence[Submission], rows: Mapping[str, Row]) -> str:
    """The table of the page, in Markdown."""
    lines = [
        "| submission | score | LUT / FF | DSP | BRAM | estimates | cycles | frames/s | theirs, LUT / FF / DSP / BRAM |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for entry in entries:
        row = rows.get(entry.key)
        if row is None:
            continue
        here = f"; {100 * row.right:.1f} % here" if row.right else ""
        cells = (
            f"{entry.task}: {entry.who}",
            f"{entry.score}{here}",
            f"{row.lut:,} / {row.ff:,}",
            f"{row.dsp}",
            f"{row.bram:g}",
            f"{row.estimated_lut / row.lut:.2f}, {row.estimated_ff / row.ff:.2f}",
            f"{row.latency:,}, {row.interval:,}",
            f"{entry.megahertz * 1e6 / row.interval:,.0f} ({entry.frames:,g}) at {entry.megahertz} MHz",
            entry.published,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(docs: Path) -> None:
    """Write the table into the page."""
    path = docs / "records.md"
    head, rest = path.read_text(encoding="utf-8").split(BEGIN)
    found = table(listed(), known())
    path.write_text(f"{head}{BEGIN}\n\n{found}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> int:
    """Complete the results, or write the page; 1 if a submission has no line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, metavar="FOLDER")
    parser.add_argument("--only", default="", help="submissions whose task, name or path has this text")
    parser.add_argument("--again", action="store_true", help="submissions that have a line, too")
    parser.add_argument("--page", type=Path, metavar="DOCS")
    options = parser.parse_args()
    missing = []
    if options.models is not None:
        done: Mapping[str, Row] = {} if options.again else known()
        chosen = [e for e in listed() if options.only in f"{e.task} {e.who} {e.path}" and e.key not in done]
        missing = [f"{entry.who}: {reason}" for entry in chosen if (reason := run(options.models, entry))]
    print(*missing, sep="\n", end="\n" if missing else "")
    if options.page is not None:
        page(options.page)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
