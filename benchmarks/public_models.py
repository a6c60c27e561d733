"""Public model files, converted with defaults, beside the frameworks that wrote them.

    python benchmarks/public_models.py FOLDER [--list public_models.tsv] [--only TEXT] [--seconds N]

FOLDER holds a git repository, bare or not, for each one that the list names: ``owner+name`` or ``owner/name``. The list has a
line for each file: repository, path, and ``read``, or why it is rejected. The outputs of each file that is read are compared, on
inputs of several scales, with those of onnxruntime, Keras or LiteRT, as far as these are installed. Ends with status 1 where an
output is off by more than 1 % of its range without a warning, or a file ends otherwise than the list says.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import bitsmith
from bitsmith.errors import BitsmithError
from bitsmith.fidelity.framework import NotComparedError, framework_run
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats

os.environ.setdefault("KERAS_BACKEND", "jax")
LIMIT = 0.01
SAMPLES = 32
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
    rng = np.random.default_rng(0)
    batches = []
    for name in model.network.inputs:
        layer = model.network.node(name).layer
        assert isinstance(layer, Input)
        least, most = layer.limits or ((0, layer.entries - 1) if layer.entries else interval)
        batch = rng.uniform(least, most, (SAMPLES, *layer.shape))
        batches.append(
            (np.rint(batch) if layer.integer or layer.entries else batch).astype(np.float32).astype(np.float64)
        )
    return batches


def lite_outputs(path: Path, inputs: Sequence[Floats]) -> list[Floats]:
    """The outputs of LiteRT's interpreter, real values where the model's are codes."""
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(path))
    taken, given = interpreter.get_input_details(), interpreter.get_output_details()
    for entry, batch in zip(taken, inputs, strict=True):
        interpreter.resize_tensor_input(entry["index"], (1, *batch.shape[1:]))
    interpreter.allocate_tensors()
    rows = []
    for sample in range(len(inputs[0])):
        interpreter.reset_all_variables()  # states begin again with each sample
        for entry, batch in zip(taken, inputs, strict=True):
            interpreter.set_tensor(entry["index"], batch[sample : sample + 1].astype(entry["dtype"]))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(entry["index"])[0].astype(np.float64) for entry in given])
    return [np.stack(batch) for batch in zip(*rows, strict=True)]


def wanted_outputs(path: Path, model: bitsmith.Model) -> Callable[[Sequence[Floats]], Sequence[Floats]]:
    """The function of the framework that wrote the file."""
    if path.suffix == ".tflite":
        return lambda inputs: lite_outputs(path, inputs)
    source: object = path
    if path.suffix in (".h5", ".hdf5", ".keras"):
        source = importlib.import_module("keras").saving.load_model(path, compile=False)

    def run(inputs: Sequence[Floats]) -> Sequence[Floats]:
        made = framework_run(source, model.network, inputs, None, insist=True)  # type: ignore[arg-type]
        assert made is not None
        return made.outputs

    return run


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


def outcome(path: Path) -> Outcome:
    """Convert a file with defaults, and compare."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            model = bitsmith.convert(path, path.parent / "project")
        except BitsmithError as error:
            return Outcome(str(error).replace("\n", " "), {}, frozenset())
    always = any(isinstance(each.message, bitsmith.FidelityWarning) for each in told)
    errors, warned = {}, set(SCALES if always else ())
    try:
        run = wanted_outputs(path, model)
        for name, interval in SCALES.items():
            inputs, fresh = inputs_of(model, interval), copy.deepcopy(model)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                results = fresh.predict(inputs if len(inputs) > 1 else inputs[0])
            warned |= {name} if told else set()
            outputs = results if isinstance(results, list | tuple) else [results]
            errors[name] = max(map(error_of, run(inputs), outputs))
    except (NotComparedError, ImportError, TypeError, ValueError) as error:
        return Outcome("read", errors, frozenset(warned), f"{type(error).__name__}: {error}".splitlines()[0])
    return Outcome("read", errors, frozenset(warned))


def error_of(wanted: Floats, result: Floats) -> float:
    """The greatest difference as a share of the range that is wanted."""
    wanted = np.asarray(wanted, dtype=np.float64)
    size = float(np.ptp(wanted)) or float(np.abs(wanted).max()) or 1.0
    return float(np.abs(wanted.reshape(np.shape(result)) - result).max()) / size


def in_process(entry: Entry, folder: Path, seconds: float) -> Outcome:
    """The outcome of an entry, in a process of its own."""
    content = entry.content(folder)
    if content is None:
        return Outcome("not in the folder", {}, frozenset())
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / Path(entry.path).name
        path.write_bytes(content)
        command = [sys.executable, __file__, "--file", str(path)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return Outcome(f"more than {seconds:g} s", {}, frozenset())
    lines = ran.stdout.splitlines()
    if ran.returncode or not lines:
        return Outcome(f"crash: {(ran.stderr.strip().splitlines() or ['nothing printed'])[-1]}", {}, frozenset())
    said, compared, *rows = lines[-1].split("\t")
    found = [row.split("=") for row in rows]
    return Outcome(
        said, {name: float(e.rstrip("!")) for name, e in found}, frozenset(n for n, e in found if "!" in e), compared
    )


def printed(result: Outcome) -> str:
    """An outcome as a line, which :func:`in_process` reads."""
    rows = (f"{name}={error:.6g}{'!' * (name in result.warned)}" for name, error in result.errors.items())
    return "\t".join([result.said, result.compared, *rows]).replace("\n", " ")


def rows(folder: Path, chosen: Sequence[Entry], seconds: float) -> Iterator[tuple[Entry, Outcome]]:
    """The outcomes of all entries, in order, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        pending = [(entry, pool.submit(in_process, entry, folder, seconds)) for entry in chosen]
        for entry, future in track(pending, console=Console(stderr=True)):
            yield entry, future.result()


def main() -> int:
    """Print a row for each file, and the number of those that are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--list", type=Path, default=Path(__file__).with_suffix(".tsv"))
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.file is not None:
        print(printed(outcome(options.file)))
        return 0
    chosen = [entry for entry in entries(options.list) if options.only in f"{entry.repository}/{entry.path}"]
    table, wrong = Table("File", "Result", *SCALES, "Verdict"), 0
    for entry, result in rows(options.folder, chosen, options.seconds):
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
