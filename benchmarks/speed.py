"""Where users wait: CPU seconds of this tree and of an earlier commit, in turns in one run.

``speed.py [--against COMMIT] [MEASURE...]``. The other commit is checked out into a temporary folder and runs in the same
environment. Each round is a process of its own; the least time of some rounds counts. Ends with 1 if a ratio misses its limit.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import bitsmith

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.keras_weights import write_weights

ROOT = Path(__file__).parents[1]
SEED = "e5ce57b"
MLP = (16, 64, 32, 32, 5)
STEPS, FEATURES, UNITS = 20, 8, 20
CHUNK = 2000
TIMES_OF_SINGLES = {"dense": 2.0, "LSTM": 1 / 0.35}
"""Of the time that a network takes in single precision, at most."""

MILLION = (64, 960, 1008, 32, 10)


@dataclass(frozen=True, slots=True)
class Measure:
    """Rows of figures, each the CPU seconds of one unit of work; ``least`` is the speed-up that must stay."""

    run: Callable[[Path], dict[str, float]]
    least: float
    rounds: int = 3


def tools() -> float:
    """Seconds of processor time of the ended processes that this one started."""
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    return below.ru_utime + below.ru_stime


def cpu() -> float:
    """Seconds of processor time of this process and of those."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + tools()


def spent(work: Callable[[], object], repeats: int = 1) -> float:
    """CPU seconds of one ``work``, the best of three times ``repeats`` of them."""
    found = []
    for _ in range(3):
        start = cpu()
        for _ in range(repeats):
            work()
        found.append((cpu() - start) / repeats)
    return min(found)


def write_keras(folder: Path, layers: list[dict[str, object]], weights: dict[str, dict[str, np.ndarray]]) -> Path:
    """A Keras model as JSON with its weights beside it."""
    model = {"class_name": "Sequential", "config": {"name": "network", "layers": layers}, "keras_version": "2.9.0"}
    (folder / "network.json").write_text(json.dumps(model))
    write_weights(folder / "network_weights.h5", weights)
    return folder / "network.json"


def dense_network(folder: Path, sizes: tuple[int, ...]) -> Path:
    """Dense layers with relu, and softmax in the end."""
    rng = np.random.default_rng(0)
    layers: list[dict[str, object]] = []
    weights = {}
    for k, (n, units) in enumerate(itertools.pairwise(sizes)):
        config = {"name": f"fc{k}", "units": units, "activation": "relu" if k < len(sizes) - 2 else "softmax"}
        layers.append({"class_name": "Dense", "config": config | ({} if k else {"batch_input_shape": [None, n]})})
        weights[f"fc{k}"] = {"kernel": drawn(rng, n, units), "bias": drawn(rng, units) / 10}
    return write_keras(folder, layers, weights)


def recurrent_network(folder: Path) -> Path:
    """An LSTM layer and a dense one."""
    rng = np.random.default_rng(0)
    shape = {"batch_input_shape": [None, STEPS, FEATURES]}
    layers: list[dict[str, object]] = [
        {"class_name": "LSTM", "config": {"name": "lstm", "units": UNITS, **shape}},
        {"class_name": "Dense", "config": {"name": "fc", "units": MLP[-1], "activation": "softmax"}},
    ]
    gates = {"kernel": (FEATURES, 4 * UNITS), "recurrent_kernel": (UNITS, 4 * UNITS), "bias": (4 * UNITS,)}
    weights = {
        "lstm": {f"lstm_cell/{part}": drawn(rng, *size) for part, size in gates.items()},
        "fc": {"kernel": drawn(rng, UNITS, MLP[-1]), "bias": drawn(rng, MLP[-1])},
    }
    return write_keras(folder, layers, weights)


def drawn(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers that keep the size of activations."""
    return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)


def conversion(folder: Path) -> dict[str, float]:
    """A dense network of a million weights."""
    path = dense_network(folder, MILLION)
    settings = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 4096}}
    rows = {"convert 1M weights": spent(lambda: bitsmith.convert(path, folder / "project", settings))}
    model = bitsmith.convert(path, folder / "project", settings)
    rows["write 1M weights as a circuit"] = spent(lambda: model.build(reset=True, synth=False, cosim=False, force=True))
    return rows


def cosimulation(folder: Path) -> dict[str, float]:
    """The build of a small network, unrolled, at 8 bits; the run-time library of Verilator is compiled already."""
    path = dense_network(folder, MLP)
    settings = {"Model": {"Precision": "fixed<8,3>", "ReuseFactor": 1}}
    spent = []
    for name in ("first", "second"):  # the first one may compile what is kept in the user's cache
        start = tools()
        bitsmith.convert(path, folder / name, settings).build(synth=False, force=True)
        spent.append(tools() - start)
    return {"verilate, compile and simulate": spent[-1]}


def prediction(folder: Path) -> dict[str, float]:
    """Calls of ``predict`` with few samples."""
    model = bitsmith.convert(dense_network(folder, MLP), folder / "project", {"Model": {"Precision": "fixed<16,6>"}})
    rows = {}
    for batch in (1, 10):
        x = np.random.default_rng(batch).normal(0.0, 1.0, (batch, MLP[0])).astype(np.float32)
        model.predict(x)
        rows[f"predict {batch} sample{'s' * (batch > 1)}"] = spent(partial(model.predict, x), 2000)
    return rows


def dense_floats() -> Callable[[], object]:
    """The dense network in single precision for ``CHUNK`` samples."""
    rng = np.random.default_rng(0)
    weights = [drawn(rng, *pair) for pair in itertools.pairwise(MLP)]
    x, bias = drawn(rng, CHUNK, MLP[0]), np.float32(0.1)

    def work() -> object:
        y = x
        for matrix in weights:
            y = np.maximum(y @ matrix + bias, 0)
        return np.exp(y) / np.exp(y).sum(-1, keepdims=True)

    return work


def recurrent_floats() -> Callable[[], object]:
    """The LSTM layer in single precision for ``CHUNK`` samples."""
    rng = np.random.default_rng(0)
    kernel, recurrent = drawn(rng, FEATURES, 4 * UNITS), drawn(rng, UNITS, 4 * UNITS)
    x, bias = drawn(rng, CHUNK, STEPS, FEATURES), np.float32(0.1)

    def work() -> object:
        state = cell = np.zeros((CHUNK, UNITS), np.float32)
        for time_ in range(STEPS):
            gates = x[:, time_] @ kernel + state @ recurrent + bias
            first, forget, candidate, last = np.split(gates, 4, -1)
            cell = cell / (1 + np.exp(-forget)) + np.tanh(candidate) / (1 + np.exp(-first))
            state = np.tanh(cell) / (1 + np.exp(-last))
        return state

    return work


def bulk(folder: Path) -> dict[str, float]:
    """Many samples, relative to the time that the network takes in single precision with numpy."""
    kinds = {
        "dense": (dense_network(_made(folder / "dense"), MLP), dense_floats()),
        "LSTM": (recurrent_network(_made(folder / "lstm")), recurrent_floats()),
    }
    rows = {}
    for name, (path, floats) in kinds.items():
        for bits in (8, 16):
            model = bitsmith.convert(path, folder / f"{name}{bits}", {"Model": {"Precision": f"fixed<{bits},6>"}})
            shape = model.program.input_ops()[0].shape
            x = np.random.default_rng(0).normal(0.0, 1.0, (10 * CHUNK, *shape)).astype(np.float32)
            model.predict(x)
            with threadpool_limits(1, user_api="blas"):  # threads that wait take time as those that work do
                ours, bound = spent(partial(model.predict, x)), spent(floats, 10)
            rows[f"{name}, {bits} bits: times of single precision"] = ours / len(x) * CHUNK / bound
    return rows


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


MEASURES = {
    "bulk": Measure(bulk, 1.0),
    "conversion": Measure(conversion, 2.0, rounds=2),
    "cosimulation": Measure(cosimulation, 2.0, rounds=1),
    "prediction": Measure(prediction, 10.0),
}


def source(commit: str, folder: Path) -> Path:
    """``src`` of ``commit``, unpacked into ``folder``."""
    archive = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "src"


def rounds(name: str, trees: list[Path]) -> Iterator[list[dict[str, float]]]:
    """For each round, the rows of each tree."""
    for _ in range(MEASURES[name].rounds):
        found = []
        for tree in trees:
            environment = {**os.environ, "PYTHONPATH": str(tree)}
            command = [sys.executable, __file__, "--here", name]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
        yield found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--against", default=SEED, metavar="COMMIT")
    parser.add_argument("--here", action="store_true", help="print the figures of this process alone")
    given = parser.parse_args()
    if given.here:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(MEASURES[given.measures[0]].run(Path(folder))))
        return
    table = Table("CPU seconds", given.against, "now", "ratio", "at least")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        trees = [source(given.against, Path(folder)), ROOT / "src"]
        for name in given.measures or MEASURES:
            pairs = list(rounds(name, trees))
            for row in pairs[0][0]:
                before, after = (min(pair[k][row] for pair in pairs) for k in range(2))
                least = MEASURES[name].least
                table.add_row(row, f"{before:.3g}", f"{after:.3g}", f"{before / after:.2f}", f"{least:g}")
                failed |= before / after < least or after > TIMES_OF_SINGLES.get(row.partition(",")[0], math.inf)
    Console().print(table)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
