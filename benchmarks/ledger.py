"""A ledger of published networks: each converted from its authors' file, verified, and synthesized by one tool with one setting.

    python benchmarks/ledger.py --models FOLDER [--rivals rivals/bin/python] [--only TEXT] [--again] [--seconds N]
    python benchmarks/ledger.py --page docs

FOLDER holds a git repository for each one that ledger.toml names, as for ``public_models.py``. Each network is unrolled for an
UltraScale+ part with 2 ns of logic a stage, without block memory. Outputs of the emulator are compared with those of the authors'
framework on 1,000 random inputs, and where the list has data, their class with the label. Look-up tables and flip-flops are
Yosys's, those of shift registers among both; nanoseconds are those of the slowest stage by the rules of ``stage_times.py``. With
``--rivals``, the Python of an environment that has alkaid and hgq2, alkaid makes circuits of as many stages of the same files,
whose outputs are compared with ours, too. Files of QONNX need an environment that has qonnx.

ledger.tsv gets a line for each network as it ends; one whose file has a line there is not looked at again without ``--again``.
Circuits that Yosys has counted are kept, so that a network whose seconds were too few goes on where it was stopped. ``--page``
writes the table and the picture of docs/records.md.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import numpy.typing as npt
from against_rivals import Circuit, Rivals, Step, as_fast, ours
from public_models import Entry, error_of
from public_runtimes import runtimes
from rich.console import Console
from rich.progress import track
from tests.devices.listed import family_named

import bitsmith
from bitsmith.estimate.unrolled import size_of
from bitsmith.layers.layer import Floats
from bitsmith.netlist.pipelined import pipelined
from bitsmith.passes.program import drop_dead

LIST, RESULTS = (Path(__file__).with_suffix(suffix) for suffix in (".toml", ".tsv"))
PART, FAMILY, STAGE_NS, SAMPLES = "xcvu9p-flga2104-2-i", "xcup", 2.0, 1000
BEGIN, END = "<!-- written by benchmarks/ledger.py --page -->", "<!-- end -->"
_Row = TypeVar("_Row", bound=Any)
EXACT = 1e-6
"""Share of an output's range up to which a float framework's rounding is taken to be the same number."""


@dataclass(frozen=True)
class Published:
    """A circuit that others published."""

    who: str
    source: str
    luts: int
    ffs: int | None = None

    @property
    def cells(self) -> str:
        """Look-up tables and flip-flops, as far as these are known."""
        return f"{self.luts:,}" + (f" / {self.ffs:,}" if self.ffs is not None else "")


@dataclass(frozen=True)
class Data:
    """A test set, as two files of MNIST's format in a repository: images with pixels from 0 to 1, and labels."""

    repository: str
    images: str
    labels: str


@dataclass(frozen=True)
class Network:
    """An entry of the list.

    ``config`` is that of the conversion, for what no quantizer decides. ``ends`` is the tensor of an ONNX file that is its result
    here, "" for the file's own. Inputs are random ``levels`` where their data have few numbers, else normally distributed, and
    multiples of ``step`` where the port rounds, but no quantizer.
    """

    task: str
    score: str
    repository: str
    path: str
    sha256: str
    published: Published | None = None
    config: Mapping[str, object] | None = None
    ends: str = ""
    levels: tuple[float, ...] = ()
    step: float = 0.0
    data: Data | None = None


@dataclass(frozen=True)
class Row:
    """A network's circuit: the share of samples whose outputs equal the framework's, cells, stages, nanoseconds.

    ``right`` is the share of a test set whose class is its label, 0 without one.
    ``alkaid_*`` are those of alkaid's circuit of as many stages, beside our outputs, and ``paced_*`` those of a small circuit
    of ours whose slowest stage is no longer than alkaid's; 0 where there is none.
    """

    sha256: str
    equal: float
    lut: int
    ff: int
    bram: float
    stages: int
    stage_ns: float
    estimated_lut: int
    estimated_ff: int
    alkaid_equal: float
    alkaid_lut: int
    alkaid_ff: int
    alkaid_ns: float
    paced_lut: int
    paced_ff: int
    paced_stages: int
    paced_ns: float
    right: float
    seconds: float


def listed() -> list[Network]:
    """The networks of the list, in order."""
    tables = tomllib.loads(LIST.read_text(encoding="utf-8"))["network"]
    kinds = {"published": Published, "data": Data}
    return [
        Network(**{key: kinds[key](**value) if key in kinds else value for key, value in table.items()})
        for table in tables
    ]


def known() -> Mapping[str, Row]:
    """The lines of the results, by digest."""
    return {row.sha256: row for row in rows_of(Row, RESULTS)}


def rows_of(kind: type[_Row], path: Path) -> list[_Row]:
    """The rows, a dataclass of texts and numbers, that a file has below the names of their fields; none without a file."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    types = [{"str": str, "int": int, "float": float}[str(field.type)] for field in fields(kind)]
    return [kind(*(read(text) for read, text in zip(types, line.split("\t"), strict=True))) for line in lines]


def write_rows(kind: type[_Row], rows: Iterable[_Row], path: Path) -> None:
    """Write the rows as `rows_of` reads them."""
    lines = [[field.name for field in fields(kind)], *(map(str, asdict(row).values()) for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def measured(path: Path, network: Network, models: Path, rivals: str | None) -> Row:
    """Convert a file, compare it with its framework, and synthesize it."""
    started = time.process_time()
    path = ended(path, network.ends) if network.ends else path
    model = bitsmith.convert(path, path.parent / "project", network.config, part=PART, check=False)
    inputs = list(drawn(model, network))
    wanted = np.asarray(next(runtimes(path, model, states=False, samples=SAMPLES))(inputs)[0], dtype=np.float64)
    outputs = np.asarray(model.predict(inputs if len(inputs) > 1 else inputs[0]))[: len(wanted)]
    equal = np.mean([error_of(x, y) <= EXACT for x, y in zip(wanted, outputs, strict=True)])
    program, family = drop_dead(model.program, keep_probes=False), family_named(FAMILY).without_memory_blocks()
    netlist, placed = pipelined(program, family.delays, STAGE_NS)
    # Registers of shift registers count as both, as those of all circuits here do.
    apart = replace(family, area=replace(family.area, shift_registers=0))
    expected, held = (size_of(netlist, placed, each) for each in (family, apart))
    circuit = ours(program, family, STAGE_NS)
    others: Iterator[Circuit] = iter(())
    if rivals and path.suffix == ".keras":
        case, names = Step(model=str(path)), frozenset({"alkaid3"})
        samples = np.concatenate([given.reshape(SAMPLES, -1) for given in inputs], axis=1)[: len(outputs)]
        others = Rivals(rivals).made(case, samples, outputs, circuit.stages, family, names)
    other: tuple[float, ...] = (0.0, 0, 0, 0.0, 0, 0, 0, 0.0)
    for made in others:
        found = as_fast(program, family, made.stage_ns)
        pace = (*cells(found), found.stages, round(found.stage_ns, 2)) if found else (0, 0, 0, 0.0)
        other = (made.equal, *cells(made), round(made.stage_ns, 2), *pace)
    numbers = (*cells(circuit), float(circuit.found.bram or 0), circuit.stages, round(circuit.stage_ns, 2))
    right = accuracy(model, network.data, models) if network.data else 0.0
    rest: tuple[float, ...] = (*other, right, round(time.process_time() - started, 1))
    return Row(network.sha256, float(equal), *numbers, expected.lut, held.ff - circuit.stages, *rest)


def cells(circuit: Circuit) -> tuple[int, int]:
    """Look-up tables and flip-flops of a circuit."""
    assert circuit.found.lut is not None
    assert circuit.found.ff is not None
    return circuit.found.lut, circuit.found.ff


def drawn(model: bitsmith.Model, network: Network) -> Iterator[Floats]:
    """Random samples of each input."""
    rng = np.random.default_rng(0)
    for name in model.network.inputs:
        shape = (SAMPLES, *model.network.input(name).shape)
        numbers = rng.choice(network.levels, shape) if network.levels else rng.normal(0.0, 1.0, shape)
        numbers = np.rint(numbers / network.step) * network.step if network.step else numbers
        yield numbers.astype(np.float32).astype(np.float64)


def ended(path: Path, tensor: str) -> Path:
    """A copy of an ONNX file that ends at ``tensor``."""
    onnx = importlib.import_module("onnx")
    model, place = onnx.load(path), path.with_name(f"ended_{path.name}")
    constants = {entry.name for entry in model.graph.initializer}
    inputs = [entry.name for entry in model.graph.input if entry.name not in constants]
    del model.graph.quantization_annotation[:]  # the extractor refuses them
    onnx.save(onnx.utils.Extractor(model).extract_model(inputs, [tensor]), place)
    return place


def accuracy(model: bitsmith.Model, data: Data, models: Path) -> float:
    """The share of a test set whose largest output is that of its label."""
    images, labels = (array_of(Entry(data.repository, path, "").content(models)) for path in (data.images, data.labels))
    inputs = (images / 255.0).astype(np.float32).astype(np.float64)
    shape = model.network.input(model.network.inputs[0]).shape
    outputs = np.asarray(model.predict(inputs.reshape(len(inputs), *shape))).reshape(len(inputs), -1)
    return float(np.mean(outputs.argmax(axis=1) == labels))


def array_of(content: bytes | None) -> npt.NDArray[np.uint8]:
    """The array of a file of MNIST's format: three bytes, the number of sizes, the sizes, the elements."""
    if content is None:
        raise FileNotFoundError("the test set is not in the folder")
    raw = gzip.decompress(content)
    sizes = np.frombuffer(raw, ">u4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + sizes.nbytes).reshape(sizes)


def listed_file(folder: Path, repository: str, path: str, sha256: str) -> bytes | str:
    """The content of a file of the list, or as a text why there is none."""
    content = Entry(repository, path, "").content(folder)
    if content is None:
        return "not in the folder"
    return (
        content if hashlib.sha256(content).hexdigest() == sha256 else "another file than the list's: its digest differs"
    )


def run(folder: Path, network: Network, seconds: float, rivals: str | None) -> str:
    """Return "" once a network has its line in the results, else why it has none. It runs in a process of its own."""
    content = listed_file(folder, network.repository, network.path, network.sha256)
    if isinstance(content, str):
        return content
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"network{Path(network.path).suffix}"
        path.write_bytes(content)
        given = ["--file", str(path), "--models", str(folder), *(["--rivals", rivals] if rivals else [])]
        command = [sys.executable, __file__, *given]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return f"more than {seconds:g} s"
    return "" if ran.returncode == 0 else (ran.stderr.strip().splitlines() or ["nothing said"])[-1]


def keep(row: Row) -> None:
    """Write a line of the results, in place of an older one of the same file."""
    write_rows(Row, {**known(), row.sha256: row}.values(), RESULTS)


def table(networks: Sequence[Network], rows: Mapping[str, Row]) -> str:
    """The table of the page, in Markdown."""
    lines = [
        "| task | score | LUT / FF | stages | slowest | estimates | alkaid, LUT / FF | its slowest | at its pace, stages "
        "| published, LUT / FF |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for network in networks:
        row, other = rows.get(network.sha256), network.published
        if row is None:
            continue
        published = f"{other.cells} ({other.who}; {other.source})" if other else ""
        cells = (
            network.task,
            scored(network, row),
            f"{row.lut:,} / {row.ff:,}",
            f"{row.stages}",
            f"{row.stage_ns:.2f} ns",
            f"{row.estimated_lut / row.lut:.2f}, {row.estimated_ff / row.ff:.2f}",
            f"{row.alkaid_lut:,} / {row.alkaid_ff:,}" if row.alkaid_lut else "",
            f"{row.alkaid_ns:.2f} ns" if row.alkaid_lut else "",
            paced(row),
            published,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def scored(network: Network, row: Row) -> str:
    """The authors' score, and that of the circuit on a test set."""
    return f"{network.score}; {100 * row.right:.2f} % here" if network.data else network.score


def paced(row: Row) -> str:
    """The circuit at the pace of alkaid's; older lines do not say how long its slowest stage takes."""
    slowest = f" of {row.paced_ns:.2f} ns" if row.paced_ns else " stages"
    return f"{row.paced_lut:,} / {row.paced_ff:,}, {row.paced_stages}{slowest}" if row.paced_lut else ""


def summary(networks: Sequence[Network], rows: Mapping[str, Row]) -> str:
    """A sentence on the comparison, and one on what was verified."""
    found = [rows[network.sha256] for network in networks if network.sha256 in rows]
    pairs = [row for row in found if row.alkaid_lut]
    luts, ffs, times, paced_luts, paced_ffs = (
        math.exp(sum(math.log(own / other) for own, other in columns) / len(columns))
        for columns in (
            [(row.lut, row.alkaid_lut) for row in pairs],
            [(row.ff, row.alkaid_ff) for row in pairs],
            [(row.stage_ns, row.alkaid_ns) for row in pairs],
            [(row.paced_lut, row.alkaid_lut) for row in pairs if row.paced_lut],
            [(row.paced_ff, row.alkaid_ff) for row in pairs if row.paced_lut],
        )
    )
    equal, alike = sum(row.equal == 1.0 for row in found), sum(row.alkaid_equal == 1.0 for row in pairs)
    return (
        f"Means are geometric, of {len(pairs)} networks. At equal stages the circuits take {luts:.2f} of alkaid's\n"
        f"look-up tables and {ffs:.2f} of its flip-flops. Their slowest stage takes {times:.2f} of the time of alkaid's.\n"
        f"At a slowest stage that is no longer than alkaid's they take {paced_luts:.2f} of its look-up tables\n"
        f"and {paced_ffs:.2f} of its flip-flops.\n"
        f"Outputs of {equal} of {len(found)} networks equal the framework's on all of {SAMPLES:,} random inputs,\n"
        f"alkaid's those of {alike} of {len(pairs)}."
    )


def page(docs: Path) -> None:
    """Write the table into the page, and the picture beside it."""
    path, networks, rows = docs / "records.md", listed(), known()
    head, rest = path.read_text(encoding="utf-8").split(BEGIN)
    made = "\n\n".join([summary(networks, rows), table(networks, rows)])
    path.write_text(f"{head}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    draw(networks, rows, docs / "images" / "records.svg")


def draw(networks: Sequence[Network], rows: Mapping[str, Row], picture: Path) -> None:
    """The networks of jets of 16 features: look-up tables by accuracy, beside what others published, and by delay."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "records"
    figure, sides = plt.subplots(1, 3, figsize=(13, 3.6), sharey=True, layout="constrained")
    pairs = []
    for axes, task in zip(sides[:2], ("jets, OpenML", "jets, CERNBox"), strict=True):
        chosen = [network for network in networks if network.task == task and network.sha256 in rows]
        pairs += [row for n in chosen if (row := rows[n.sha256]).alkaid_lut]
        series = {
            "published, Vivado": [(score_of(n.published.who), n.published.luts) for n in chosen if n.published],
            "alkaid 0.8.2, Yosys": [
                (score_of(n.score), row.alkaid_lut) for n in chosen if (row := rows[n.sha256]).alkaid_lut
            ],
            "bitsmith, Yosys": [(score_of(n.score), rows[n.sha256].lut) for n in chosen],
        }
        for (label, points), mark in zip(series.items(), "^so", strict=True):
            axes.plot(*zip(*sorted(points), strict=True), mark, label=label)
        axes.set(title=task, xlabel="accuracy, %", yscale="log")
    delays = {
        "alkaid, as many stages": ([(row.stages * row.alkaid_ns, row.alkaid_lut) for row in pairs], "sC1"),
        "bitsmith": ([(row.stages * row.stage_ns, row.lut) for row in pairs], "oC2"),
        "bitsmith at alkaid's pace": ([(row.paced_stages * row.paced_ns, row.paced_lut) for row in pairs], "xC2"),
    }
    for label, (points, mark) in delays.items():
        sides[2].plot(*zip(*sorted(points), strict=True), mark, label=label)
    sides[2].set(title="jets, both", xlabel="stages times the slowest, ns")
    sides[2].legend()
    for axes in sides:
        axes.grid(alpha=0.3)
    sides[0].set_ylabel("look-up tables")
    sides[0].legend()
    figure.savefig(picture, metadata={"Date": None})


def score_of(text: str) -> float:
    """The first number before a percent sign."""
    found = re.search(r"([\d.]+) %", text)
    assert found is not None
    return float(found[1])


def main() -> int:
    """Complete the results, or write the page; 1 if a network has no line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, metavar="FOLDER")
    parser.add_argument("--rivals", metavar="PYTHON")
    parser.add_argument("--only", default="", help="networks whose task or path has this text")
    parser.add_argument("--again", action="store_true", help="networks that have a line, too")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--page", type=Path, metavar="DOCS")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file is not None:
        digest = hashlib.sha256(options.file.read_bytes()).hexdigest()
        network = next(network for network in listed() if network.sha256 == digest)
        keep(measured(options.file, network, options.models, options.rivals))
        return 0
    missing = []
    if options.models is not None:
        done: Mapping[str, Row] = {} if options.again else known()
        chosen = [n for n in listed() if options.only in f"{n.task} {n.path}" and n.sha256 not in done]
        missing = [
            f"{network.repository}/{network.path}: {reason}"
            for network in track(chosen, console=Console(stderr=True))
            if (reason := run(options.models, network, options.seconds, options.rivals))
        ]
    print(*missing, sep="\n", end="\n" if missing else "")
    if options.page is not None:
        page(options.page)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
