"""Emulation, and the compile time of C simulation, against hls4ml's compiled simulation, in one run on one machine.

Both convert the same 16-64-32-32-5 network with float weights at ``fixed<16,6>`` everywhere and predict standard normal inputs.
Times of compilers are medians of three runs. Ends with 1 if a ratio is on the wrong side of its limit.
hls4ml is installed into an environment of its own (``.venv-hls4ml``) at the first run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.base.project import Project
from bitsmith.building.csim import LIBRARY

ROOT = Path(__file__).parents[1]
RIVAL = ROOT / ".venv-hls4ml"
LAYERS = ("fc1_relu", "fc2_relu", "fc3_relu", "output_softmax")
SIZES = (16, 64, 32, 32, 5)
RIVAL_SAMPLES = 20_000
SAMPLES = 400_000
ROUNDS = 5
COMPILATIONS = 3
LEAST_SPEEDUP = 100.0
MOST_COMPILE_TIME = 1.0
"""Of our whole ``build(csim=True)`` relative to the rival's ``compile()``."""


def rival_python() -> Path:
    """The interpreter of the rival's environment, made if need be."""
    python = RIVAL / "bin" / "python"
    if not python.exists():
        print("installing hls4ml into .venv-hls4ml (a minute) ...", flush=True)
        venv.create(RIVAL, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "hls4ml==1.3.0", "keras", "jax", "h5py"], check=True)
    return python


def write_model(folder: Path) -> Path:
    """A Keras file of the network with random weights; and the same weights as npz for the rival."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(folder / "KERAS_3layer_weights.h5", "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in LAYERS]
        for k, name in enumerate(LAYERS):
            arrays[f"kernel_{k}"] = rng.standard_normal(SIZES[k : k + 2], dtype=np.float32) / np.sqrt(SIZES[k] / 2)
            arrays[f"bias_{k}"] = 0.1 * rng.standard_normal(SIZES[k + 1], dtype=np.float32)
            group = file.create_group(name)
            names = [f"{name}/kernel:0", f"{name}/bias:0"]
            group.attrs["weight_names"] = [text.encode() for text in names]
            for text, part in zip(names, ("kernel", "bias"), strict=True):
                group.create_dataset(text, data=arrays[f"{part}_{k}"])
    np.savez(folder / "weights.npz", **arrays)
    shipped = ROOT / "src" / "bitsmith" / "data" / "models" / "bitsmith_3layer.json"
    path = folder / "KERAS_3layer.json"
    path.write_bytes(shipped.read_bytes())
    return path


def ours(path: Path) -> dict[str, float]:
    """Conversion with the first prediction, and the best of some rounds."""
    x = np.random.default_rng(0).standard_normal((SAMPLES, SIZES[0])).astype(np.float32)
    start = time.perf_counter()
    model = bitsmith.convert(path, path.parent / "project", {"Model": {"Precision": "fixed<16,6>"}})
    model.predict(x[:1])
    first = time.perf_counter() - start
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.predict(x)
        rates.append(SAMPLES / (time.perf_counter() - start))
    return {"convert_and_first_predict_s": first, "samples_per_s": max(rates)}


def our_csim(path: Path) -> dict[str, float]:
    """Seconds of ``build(csim=True)`` into a new folder, and of the compiler and ``csim_predict`` alone."""
    builds, compilers, calls = [], [], []
    x = np.zeros((1, SIZES[0]))
    for k in range(COMPILATIONS):
        folders = [path.parent / f"{kind}{k}" for kind in ("build", "predict")]
        built, called = (
            bitsmith.convert(path, folder, {"Model": {"Precision": "fixed<16,6>"}}, backend="vitis")
            for folder in folders
        )
        start = time.perf_counter()
        built.build(csim=True)
        builds.append(time.perf_counter() - start)
        with Project.open(folders[0], "myproject") as project:
            compilers.append(project.stages[LIBRARY].seconds)
        start = time.perf_counter()
        called.csim_predict(x)
        calls.append(time.perf_counter() - start)
    return {
        "build_s": statistics.median(builds),
        "compiler_s": statistics.median(compilers),
        "csim_predict_s": statistics.median(calls),
    }


def main() -> None:
    """Print all results and their ratios."""
    python = rival_python()
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(Path(folder))
        command = [python, Path(__file__).with_name("rival_hls4ml.py"), path.parent / "weights.npz", str(RIVAL_SAMPLES)]
        rival = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        )
        mine = ours(path) | our_csim(path)
    speedup = mine["samples_per_s"] / rival["samples_per_s"]
    compile_time = mine["build_s"] / rival["compile_s"]
    table = Table(
        "", f"bitsmith {bitsmith.__version__}", rival["tool"], "ratio", "limit", title="16-64-32-32-5, fixed<16,6>"
    )
    table.add_row(
        "predict, samples/s",
        f"{mine['samples_per_s']:,.0f}",
        f"{rival['samples_per_s']:,.0f}",
        f"{speedup:.0f}",
        f"at least {LEAST_SPEEDUP:g}",
    )
    table.add_row(
        "convert, s", f"{mine['convert_and_first_predict_s']:.2f} (with a prediction)", f"{rival['convert_s']:.2f}"
    )
    table.add_row(
        "build(csim=True) | compile(), s",
        f"{mine['build_s']:.2f}",
        f"{rival['compile_s']:.2f}",
        f"{compile_time:.2f}",
        f"at most {MOST_COMPILE_TIME:g}",
    )
    for name, key in (
        ("the compiler alone, s", "compiler_s"),
        ("first csim_predict() | compile(), s", "csim_predict_s"),
    ):
        table.add_row(name, f"{mine[key]:.2f}", "", f"{mine[key] / rival['compile_s']:.2f}")
    Console().print(table)
    sys.exit(0 if speedup >= LEAST_SPEEDUP and compile_time <= MOST_COMPILE_TIME else 1)


if __name__ == "__main__":
    main()
