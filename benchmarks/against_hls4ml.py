"""Emulation speed against hls4ml's compiled simulation, in one run on one machine.

Both convert the same 16-64-32-32-5 network with float weights at ``fixed<16,6>`` everywhere and predict standard normal inputs.
hls4ml is installed into an environment of its own (``.venv-hls4ml``) at the first run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).parents[1]
RIVAL = ROOT / ".venv-hls4ml"
LAYERS = ("fc1_relu", "fc2_relu", "fc3_relu", "output_softmax")
SIZES = (16, 64, 32, 32, 5)
RIVAL_SAMPLES = 20_000
SAMPLES = 400_000
ROUNDS = 5


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
    shipped = ROOT / "src" / "bitsmith" / "data" / "models" / "KERAS_3layer.json"
    path = folder / "KERAS_3layer.json"
    path.write_bytes(shipped.read_bytes())
    return path


def ours(path: Path) -> dict[str, float | str]:
    """Conversion with the first prediction, and the best of some rounds."""
    import bitsmith

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
    return {
        "tool": f"bitsmith {bitsmith.__version__}",
        "convert_and_first_predict_s": first,
        "samples_per_s": max(rates),
    }


def main() -> None:
    """Print both results and their ratio."""
    python = rival_python()
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(Path(folder))
        command = [python, Path(__file__).with_name("rival_hls4ml.py"), path.parent / "weights.npz", str(RIVAL_SAMPLES)]
        rival = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        )
        mine = ours(path)
    ratio = float(mine["samples_per_s"]) / rival["samples_per_s"]
    for result in (rival, mine):
        print(json.dumps(result))
    print(f"ratio {ratio:.0f}")
    sys.exit(0 if ratio >= 100 else 1)


if __name__ == "__main__":
    main()
