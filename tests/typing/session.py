"""A user's script, with types: it is checked, not run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import bitsmith
from bitsmith.report.sections import Latency, Resources


def accuracy(path: str, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    model = bitsmith.convert(path, "project", calibration=images, backend="rtl", io_type="io_stream", bits=8)
    scores = model.predict(images)
    return float((scores.argmax(axis=-1) == labels).mean())


def several(path: str, x: npt.NDArray[np.float64], backend: str) -> list[float]:
    model = bitsmith.convert(path, backend=backend, config={"Model": {"ReuseFactor": 4}})
    first, second = model.predict([x, x])
    outputs, layers = model.trace({"x": x})
    means: dict[str, float] = {name: float(values.mean()) for name, values in layers.items()}
    return [float(first.max()), float(second.max()), float(outputs.mean()), *means.values()]


def figures(model: bitsmith.Model) -> tuple[int, int]:
    report = model.build(pnr=True, synth=True)
    resources, latency = report.find(Resources), report.find(Latency)
    if resources is None or latency is None:
        raise bitsmith.errors.BitsmithError("nothing was measured")
    return resources.lut or 0, latency.cycles or 0


def six_bits(path: str) -> bitsmith.Model:
    config = bitsmith.utils.config_from_keras_model(path, granularity="name")
    config["LayerName"]["fc1"]["Precision"]["weight"] = "fixed<6,2>"
    return bitsmith.convert(path, "six-bits", config)


def in_parts(path: str, x: npt.NDArray[np.float64]) -> list[float]:
    parts = bitsmith.split(bitsmith.convert(path), at=["front_relu"])
    return [float(part.predict(x).mean()) for part in parts]


def familiar() -> None:
    config = bitsmith.utils.fetch_example_model("KERAS_3layer.json")
    model = bitsmith.converters.keras_to_hls(config)
    model.build()
    bitsmith.report.read_vivado_report("my-hls-test")
