"""Trigger networks in production: bit-accurate C++ that their authors published, beside the same layers in bitsmith.

    python benchmarks/published_cpp.py FOLDER [--events 1000000] [--only TEXT] [--exact-sums] [--headers FOLDER] [--tsv FILE]

FOLDER holds a git repository, bare or not, for each of ``REPOSITORIES``: ``owner+name`` or ``owner/name``. Each version in
them is compiled as it is, with the vendor's open headers of number types, which an installed hls4ml carries. The program that
results says what the layers are made of: sizes, trained constants, and the type of each tensor. From this alone a Keras model
and a configuration are made. Both then see the same random inputs, half of them of the input's whole range, half of a random
part of it.

hls4ml rounds each product down to the accumulator's step, bitsmith the exact sum. Where a trained constant tells the two apart,
products are a layer of their own here, so that both compute the same; with --exact-sums they are not. Ends with status 1 where
outputs differ without it. The networks have no license, so nothing of them is kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from published_calls import INTERFACE, Network, RefusedError, network_of, program_of
from published_layers import LAYERS, Addressed, Facts, table
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.errors import BitsmithError
from bitsmith.ir.types import FixedFormat

REPOSITORIES = ("cms-hls4ml/AXOL1TL", "cms-hls4ml/CICADA", "cms-hls4ml/L1TSC4NGJetModel")
COLUMNS = ("Network", "Events", "Mismatches", "LUT", "FF", "Stages", "Remark")
PART = "xcvu13p-flga2577-2-e"
FLAGS = ("-std=c++17", "-O3", "-w")
CHUNK = 50_000


@dataclass(frozen=True)
class Row:
    """What is found of a version: events, outputs that differ, the size and depth of the circuit, and a remark."""

    name: str
    events: int = 0
    mismatches: int = 0
    lut: int | None = None
    ff: int | None = None
    stages: int | None = None
    remark: str = ""

    def cells(self) -> list[str]:
        """The row as text."""
        numbers = (self.events, self.mismatches, self.lut, self.ff, self.stages)
        return [self.name, *("" if number is None else f"{number:,}" for number in numbers), self.remark]


def versions(folder: Path, scratch: Path) -> Iterator[Path]:
    """The folder of each version, as its repository has it, copied to ``scratch``."""
    for repository in REPOSITORIES:
        places = [folder / repository.replace("/", joint) for joint in ("+", "/")]
        place = next((inner for outer in places for inner in (outer / "repo", outer) if inner.is_dir()), None)
        if place is None:
            raise SystemExit(f"{folder} has no repository {repository}")
        copied = scratch / repository.split("/")[1]
        copied.mkdir()
        bare = place if (place / "HEAD").is_file() else place / ".git"
        packed = subprocess.run(["git", f"--git-dir={bare}", "archive", "HEAD"], capture_output=True, check=True).stdout
        subprocess.run(["tar", "x", "-C", str(copied)], input=packed, check=True)
        yield from sorted(path for path in copied.iterdir() if path.is_dir())


def headers() -> Path:
    """The vendor's open headers of number types, in an installed hls4ml."""
    spec = find_spec("hls4ml")
    if spec is None or spec.origin is None:
        raise SystemExit("needs an installed hls4ml, or --headers")
    return Path(spec.origin).parent / "templates" / "vivado" / "ap_types"


def compiled(network: Network, include: Path, scratch: Path) -> Path:
    """The authors' C++ as a program: alone it tells what it is made of, with a number it runs that many events."""
    program, sources = scratch / network.name, []
    for name, text in program_of(network).items():
        sources.append(scratch / f"{network.name}_{name}.cpp")
        sources[-1].write_text(text)
    (scratch / "emulator.h").write_text(INTERFACE)
    folders = [f"-I{folder}" for folder in (include, network.folder, scratch)]
    command = ["g++", *FLAGS, *folders, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        wrong = [line.split(": ", 1)[-1] for line in done.stderr.splitlines() if "error" in line]
        raise RefusedError(f"g++: {wrong[0]}")
    return program


def random_raws(facts: Facts, events: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Raw inputs: half of the events of the whole range, half of a random part of it."""
    size, kind = facts.count(facts.inputs[0]), facts.types[facts.inputs[0]]
    raws = rng.integers(kind.lo, kind.hi, (events, size), np.int64, endpoint=True)
    shifts = np.where(np.arange(events) % 2, rng.integers(0, kind.width, events), 0)
    return raws >> shifts[:, np.newaxis]


def reals_of(kind: FixedFormat, raws: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The numbers that raw values stand for; those of a signed type may come without their sign."""
    signed = np.where(raws > kind.hi, raws - (1 << kind.width), raws)
    return np.asarray(signed * 2.0**-kind.frac, np.float64)


def outputs(program: Path, facts: Facts, raws: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float64]]:
    """What the authors' program makes of ``raws``."""
    done = subprocess.run([str(program), str(len(raws))], input=raws.tobytes(), capture_output=True, check=True)
    sizes = [facts.count(name) for name in facts.outputs]
    found = np.frombuffer(done.stdout, np.int64).reshape(len(raws), sum(sizes))
    parts = np.split(found, np.cumsum(sizes)[:-1], axis=1)
    return [reals_of(facts.types[name], part) for name, part in zip(facts.outputs, parts, strict=True)]


def mismatches(model: bitsmith.Model, program: Path, facts: Facts, events: int) -> int:
    """Outputs that differ, of ``events`` random ones."""
    rng, differ = np.random.default_rng(0), 0
    for start in range(0, events, CHUNK):
        raws = random_raws(facts, min(CHUNK, events - start), rng)
        reals = reals_of(facts.types[facts.inputs[0]], raws).reshape(len(raws), *model.program.input_ops()[0].shape)
        found = model.predict(reals)
        wanted = outputs(program, facts, raws)
        for ours, theirs in zip(found if isinstance(found, Sequence) else [found], wanted, strict=True):
            if np.ptp(theirs) == 0:
                raise RefusedError("an output that never changes")
            differ += int(np.count_nonzero(np.asarray(ours).reshape(theirs.shape) != theirs))
    return differ


def compared(folder: Path, include: Path, scratch: Path, events: int, *, exact_sums: bool) -> Row:
    """The row of a version."""
    network = network_of(folder, LAYERS)
    program = compiled(network, include, scratch)
    said = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    facts = Facts.read(network, said, exact_sums=exact_sums)
    keras_model, config = facts.model()
    model = bitsmith.convert(
        keras_model,
        scratch / f"{network.name}_circuit",
        config,
        part=PART,
        check=False,
        layers={Addressed: table},
        override=True,
    )
    differ = mismatches(model, program, facts, events)
    estimate = model.estimate()
    return Row(network.name, events, differ, estimate.size.lut, estimate.size.ff, estimate.latency, facts.remark)


def main() -> None:
    """Compare all versions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--exact-sums", action="store_true")
    parser.add_argument("--headers", type=Path)
    parser.add_argument("--tsv", type=Path)
    given = parser.parse_args()
    rows, include = [], given.headers or headers()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values wrap, as they do in the authors' C++
        for folder in versions(given.folder, Path(name)):
            if given.only not in folder.name:
                continue
            try:
                row = compared(folder, include, Path(name), given.events, exact_sums=given.exact_sums)
            except (RefusedError, BitsmithError) as error:
                row = Row(folder.name, remark=str(error))
            print("\t".join(row.cells()), flush=True)
            rows.append(row)
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*row.cells())
    Console().print(table)
    if given.tsv:
        given.tsv.write_text("\n".join("\t".join(cells) for cells in [COLUMNS, *(row.cells() for row in rows)]) + "\n")
    sys.exit(not given.exact_sums and any(row.mismatches for row in rows))


if __name__ == "__main__":
    main()
