"""Public model files, converted with defaults, beside the frameworks that wrote them.

    python benchmarks/public_models.py FOLDER [--list public_models.tsv] [--results FILE] [--only TEXT] [--seconds N] [--jobs N]

FOLDER holds a git repository, bare or not, for each one that the list names: ``owner+name`` or ``owner/name``. The list has a
line for each file: repository, path, and ``read``, or why it is rejected. The outputs of each file that is read are compared, on
inputs of several scales, with those of onnxruntime, qonnx, Keras 3 or 2, PyTorch or LiteRT, as far as these are installed. Ends
with status 1 where an output is off by more than 1 % of its range without a warning, or a file ends otherwise than the list says.

RESULTS gets a line for each file as it ends; a file that has a line there is not looked at again. public_results.tsv is that of a
whole run: what was said of each file, a remark, and the greatest error for inputs of each scale, with ! where it was warned of.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gzip
import math
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from public_runtimes import runtimes
from rich.console import Console
from rich.progress import track
from rich.table import Table

import bitsmith
from bitsmith.errors import BitsmithError
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
LIMIT = 0.01
SAMPLES, FEWEST = 32, 4
ELEMENTS = 1 << 20
"""Inputs have that many elements at most, as long as there are a few samples."""
FRAMEWORKS = ("onnxruntime", "ai_edge_litert.interpreter", "tensorflow", "keras", "qonnx.core.modelwrapper")
"""Modules that most files need, as far as they are installed."""
SCALES: Mapping[str, tuple[float, float]] = {
    "+-0.01": (-0.01, 0.01),
    "+-1": (-1.0, 1.0),
    "[0, 1]": (0.0, 1.0),
    "[0, 255]": (0.0, 255.0),
}
"""Intervals that inputs are drawn from."""


@dataclass(frozen=True)
class Entry:
    """A file of the list, and what becomes of it."""

    repository: str
    path: str
    expected: str

    def content(self, folder: Path) -> bytes | None:
        """The file as the repository's newest commit has it; None if it is not there."""
        for place in (folder / self.repository.replace("/", "+"), folder / self.repository):
            for root in (place, place / "repo"):
                command = ["git", "-C", str(root), "show", f"HEAD:{self.path}"]
                shown = subprocess.run(command, capture_output=True, check=False) if root.is_dir() else None
                if shown is not None and shown.returncode == 0:
                    return shown.stdout
        return None


def entries(path: Path) -> list[Entry]:
    """The lines of the list."""
    return [Entry(*line.split("\t")) for line in path.read_text().splitlines() if line and not line.startswith("#")]


def inputs_of(model: bitsmith.Model, interval: tuple[float, float]) -> list[Floats]:
    """Inputs within ``interval``, or codes of inputs that are integers."""
    rng, states, batches = np.random.default_rng(0), first_states(model), []
    largest = max(math.prod(model.network.input(name).shape) for name in model.network.inputs)
    samples = min(SAMPLES, max(FEWEST, ELEMENTS // largest))
    for name in model.network.inputs:
        if name in states:
            batches.append(np.full((samples, *model.network.input(name).shape), states[name]))
            continue
        layer = model.network.node(name).layer
        assert isinstance(layer, Input)
        least, most = layer.limits or ((0, layer.entries - 1) if layer.entries else interval)
        batch = rng.uniform(least, most, (samples, *layer.shape))
        batches.append(
            (np.rint(batch) if layer.integer or layer.entries else batch).astype(np.float32).astype(np.float64)
        )
    return batches


def first_states(model: bitsmith.Model) -> Mapping[str, float]:
    """The numbers that states begin with, by the inputs that hold them: the last ones, as the last outputs do."""
    found = re.findall(r"(\S+) \((\S+) at first\)", " ".join(model.notes))
    return {name: float(value) for name, value in found if name in model.network.inputs}


def predicted(model: bitsmith.Model, inputs: Sequence[Floats], states: int) -> list[Floats]:
    """The model's outputs; each sample begins with the last ``states`` that the one before left."""
    if not states:
        results = model.predict(list(inputs) if len(inputs) > 1 else inputs[0])
        return results if isinstance(results, list) else [results]
    held, rows = [batch[:1] for batch in inputs[-states:]], []
    for sample in range(len(inputs[0])):
        made = model.predict([*(batch[sample : sample + 1] for batch in inputs[:-states]), *held])
        held = list(made[-states:])
        rows.append(made[:-states])
    return [np.concatenate(batch) for batch in zip(*rows, strict=True)]


@dataclass(frozen=True)
class Outcome:
    """What became of a file: ``read`` or the error, the worst error by interval, and which of these had a warning."""

    said: str
    errors: Mapping[str, float]
    warned: frozenset[str]
    compared: str = ""

    @property
    def silent(self) -> list[str]:
        """The intervals with a wrong output of which nothing is said."""
        return [name for name, error in self.errors.items() if error > LIMIT and name not in self.warned]


def outcome(path: Path, sender: Connection) -> Outcome:
    """Convert a file with defaults, and compare."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            model = bitsmith.convert(path, path.parent / "project")
        except BitsmithError as error:
            return Outcome(str(error).replace(f"{path.parent}/", "").replace("\n", " "), {}, frozenset())
    sender.send(printed(Outcome("read", {}, frozenset(), "its runtime ended the process")))
    always = any(isinstance(each.message, bitsmith.FidelityWarning) for each in told)
    errors, silent, warned = {}, [], set(SCALES if always else ())
    states = len(first_states(model))
    try:
        run, *others = runtimes(path, model, states > 0)
        for name, interval in SCALES.items():
            inputs, fresh = inputs_of(model, interval), copy.deepcopy(model)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                outputs = predicted(fresh, inputs, states)
            warned |= {name} if told else set()
            errors[name] = max(map(error_of, run(inputs), outputs))
            sender.send(printed(Outcome("read", errors, frozenset(warned), "its runtime ended the process")))
            silent += [(inputs, outputs)] if name not in warned else []
        rounding = [max(map(error_of, other(x), y)) for other in others for x, y in silent]
    except Exception as error:  # whatever the framework raises for a file that is not its own
        return Outcome("read", errors, frozenset(warned), f"{type(error).__name__}: {error}".splitlines()[0])
    most = max(rounding, default=0.0)
    note = f"ok, its runtime's own rounding besides: up to {100 * most:.3g} %" if most > LIMIT else ""
    return Outcome("read", errors, frozenset(warned), note)


def error_of(wanted: Floats, result: Floats) -> float:
    """The greatest difference as a share of the range that is wanted; of the first results where few are."""
    wanted = np.asarray(wanted, dtype=np.float64)
    result = result[: len(wanted)]
    size = float(np.ptp(wanted)) or float(np.abs(wanted).max()) or 1.0
    return float(np.abs(wanted.reshape(np.shape(result)) - result).max()) / size


def in_process(entry: Entry, folder: Path, seconds: int) -> Outcome:
    """The outcome of an entry, in a process of its own: the last line that it tells."""
    content = entry.content(folder)
    if content is None:
        return Outcome("not in the folder", {}, frozenset())
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / Path(entry.path.removesuffix(".gz")).name
        path.write_bytes(gzip.decompress(content) if entry.path.endswith(".gz") else content)
        lines, status = lines_of(path, seconds)
    slow = f"more than {seconds} s"
    if status == -signal.SIGXCPU:
        return (
            replace(parsed(lines[-1]), compared=f"its runtime takes {slow}")
            if lines
            else Outcome(slow, {}, frozenset())
        )
    return parsed(lines[-1]) if lines else Outcome(f"crash: status {status}", {}, frozenset())


def lines_of(path: Path, seconds: int) -> tuple[list[str], int | None]:
    """Lines that a process of its own sends of a file, and its exit status; frameworks are imported once for all of them."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["__main__", *FRAMEWORKS])
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=tell, args=(path, seconds, sender))
    process.start()
    sender.close()
    lines = []
    with contextlib.suppress(EOFError):
        while True:
            lines.append(receiver.recv())
    process.join()
    return lines, process.exitcode


def tell(path: Path, seconds: int, sender: Connection) -> None:
    """Send a line once the file is read, and one of its outcome."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    try:
        sender.send(printed(outcome(path, sender)))
    except Exception as error:
        sender.send(printed(Outcome(f"crash: {type(error).__name__}: {error}", {}, frozenset())))
        raise


def parsed(line: str) -> Outcome:
    """The outcome that was :func:`printed`."""
    said, compared, *rows = line.split("\t")
    found = [row.split("=") for row in rows]
    return Outcome(
        said, {name: float(e.rstrip("!")) for name, e in found}, frozenset(n for n, e in found if "!" in e), compared
    )


def printed(result: Outcome) -> str:
    """An outcome as a line."""
    rows = (f"{name}={error:.6g}{'!' * (name in result.warned)}" for name, error in result.errors.items())
    return "\t".join([result.said, result.compared, *rows]).replace("\n", " ")


def rows(
    folder: Path, chosen: Sequence[Entry], seconds: int, jobs: int, results: Path | None
) -> Iterator[tuple[Entry, Outcome]]:
    """The outcomes of all entries, in order, several at a time; those that ``results`` has are not computed."""
    lines = results.read_text().splitlines() if results is not None and results.exists() else []
    split = (line.split("\t", 2) for line in lines if not line.startswith("#"))
    known = {(repository, path): rest for repository, path, rest in split}
    with ThreadPoolExecutor(jobs) as pool:
        pending = [
            (entry, None if key in known else pool.submit(in_process, entry, folder, seconds), known.get(key, ""))
            for entry in chosen
            for key in [(entry.repository, entry.path)]
        ]
        for entry, future, line in track(pending, console=Console(stderr=True)):
            result = parsed(line) if future is None else future.result()
            if future is not None and results is not None:
                with results.open("a") as kept:
                    kept.write(f"{entry.repository}\t{entry.path}\t{printed(result)}\n")
            yield entry, result


def main() -> int:
    """Print a row for each file, and the number of those that are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--list", type=Path, default=Path(__file__).with_suffix(".tsv"))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=int, default=600, help="of processor time, for each file")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = [entry for entry in entries(options.list) if options.only in f"{entry.repository}/{entry.path}"]
    table, wrong = Table("File", "Result", *SCALES, "Verdict"), 0
    for entry, result in rows(options.folder, chosen, options.seconds, options.jobs, options.results):
        unexpected = (result.said == "read") != (entry.expected == "read") or result.said.startswith("crash")
        verdict = "SILENT" if result.silent else "UNEXPECTED" if unexpected else result.compared or "ok"
        wrong += bool(result.silent) or unexpected
        shares = (
            f"{100 * result.errors[n]:.3g} %{' (warned)' * (n in result.warned)}" if n in result.errors else ""
            for n in SCALES
        )
        table.add_row(f"{entry.repository}/{entry.path}", result.said[:90], *shares, verdict[:60])
    Console(width=220).print(table)
    print(f"{wrong} of {len(chosen)} are not as they should be")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
