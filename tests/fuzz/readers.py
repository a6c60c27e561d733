"""What is fuzzed: readers of untrusted files, and the files that mutations begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

import bitsmith
from bitsmith import converters
from bitsmith.config.model import read_hls_config
from bitsmith.emulate.batches import read_array
from bitsmith.frontends.read import read_model
from bitsmith.report import read_report
from tests.report.vendor_projects import DATA, READERS

Case = dict[str, bytes]
"""Files by their names; a reader is given the first one, and finds the others."""

ROOT = Path(__file__).parents[2]
_SEEDS = Path(__file__).parent / "seeds"
_MODELS = ROOT / "src/bitsmith/data/models"
_SMALL = 80_000


@dataclass(frozen=True, slots=True)
class Reader:
    """Cases to begin with, and what reads the first file of one."""

    seeds: Callable[[], Iterator[Case]]
    read: Callable[[Path], object]


def _files(*patterns: str) -> Callable[[], Iterator[Case]]:
    """A case for each file of the repository that matches, of those that are small."""

    def seeds() -> Iterator[Case]:
        for pattern in patterns:
            for path in sorted(ROOT.glob(pattern)):
                if path.stat().st_size <= _SMALL:
                    yield {path.name: path.read_bytes()}

    return seeds


def _json_and_weights() -> Iterator[Case]:
    pairs = [("bitsmith_3layer.json", "bitsmith_3layer_weights.h5")]
    for name, weights in pairs:
        yield {name: (_MODELS / name).read_bytes(), weights: (_MODELS / weights).read_bytes()}
    series = (_SEEDS / "series.weights.h5").read_bytes()
    yield {"series.json": (_SEEDS / "series.json").read_bytes(), "series_weights.h5": series}
    for path in sorted((ROOT / "tests/quantized").glob("*/models/*.h5")):
        with h5py.File(path) as file:
            if "model_config" in file.attrs and path.stat().st_size <= _SMALL:
                text = file.attrs["model_config"]
                yield {"m.json": text if isinstance(text, bytes) else text.encode(), "m_weights.h5": path.read_bytes()}


def _saved() -> Iterator[Case]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "saved.json"
        for model in (_MODELS / "digits.keras", _SEEDS / "mlp.pt2"):
            bitsmith.convert(model, path.parent / "out", check=False).save(path)
            yield {name: (path.parent / name).read_bytes() for name in ("saved.json", "saved.npz")}


def _configurations() -> Iterator[Case]:
    project = b"""
KerasJson: bitsmith_3layer.json
KerasH5: bitsmith_3layer_weights.h5
OutputDir: out
ProjectName: jets
Part: LFE5U-85F-6BG381C
ClockPeriod: 10
ClockUncertainty: 12.5%
IOType: io_parallel
Backend: rtl
HLSConfig:
  Model: {Precision: &wide 'fixed<16,6>', ReuseFactor: 1, Strategy: Latency}
  LayerType: {Dense: {Precision: {weight: 'fixed<8,2>', bias: *wide}}}
  LayerName: {fc1_relu: {Trace: true, ReuseFactor: 2}, output_softmax_softmax: {TableSize: 512, Precision: {exp_table: auto}}}
"""
    files = {name: (_MODELS / name).read_bytes() for name in ("bitsmith_3layer.json", "bitsmith_3layer_weights.h5")}
    yield {"p.yml": project, **files}


def _reports(name: str) -> Reader:
    """A vendor's project, whose files have their paths as names."""

    def seeds() -> Iterator[Case]:
        folder = DATA / name
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for first in files:
            yield {str(path.relative_to(folder)): path.read_bytes() for path in (first, *files)}

    def read(first: Path) -> Mapping[str, object]:
        folder = next(parent for parent in first.parents if parent.name == CASE)
        return READERS[name](folder)

    return Reader(seeds, read)


def _own_reports() -> Iterator[Case]:
    yield {
        "report.json": b'{"Synthesis": {"luts": 10, "seconds": 1.5}, "Design": {"name": "a"}, "Stages": {"rows": []}}'
    }


def _arrays() -> Iterator[Case]:
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", np.arange(12.0).reshape(3, 4))
        yield {"x.npy": (Path(folder) / "x.npy").read_bytes()}


CASE = "case"
"""The name of the folder that a case is written to."""

FUZZED: Mapping[str, Reader] = {
    "keras-archive": Reader(_files("tests/fuzz/seeds/*.keras", "tests/quantized/*/models/*.keras"), read_model),
    "keras-h5": Reader(_files("tests/fuzz/seeds/series.h5", "tests/quantized/*/models/*.h5"), read_model),
    "keras-json": Reader(_json_and_weights, read_model),
    "onnx": Reader(_files("tests/frontends/exported/*.onnx", "tests/quantized/*/models/*.onnx"), read_model),
    "torch": Reader(_files("tests/fuzz/seeds/*.pt2", "tests/quantized/torch/models/*.pt2"), read_model),
    "tflite": Reader(_files("tests/quantized/tflite/models/*.tflite"), read_model),
    "saved": Reader(_saved, bitsmith.Model.load),
    "project": Reader(_configurations, lambda path: converters.keras_to_hls(path)),
    "configuration": Reader(_files("src/bitsmith/data/models/*config.json"), read_hls_config),
    "arrays": Reader(_arrays, read_array),
    "reports": Reader(_own_reports, lambda path: read_report(path.parent)),
    **{f"{name}-reports": _reports(name) for name in READERS},
}
