"""The demonstration: the digits classifier that the package carries, from its Keras file to a circuit on a real part."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitsmith.conversion.conversion import convert
from bitsmith.model import Model
from bitsmith.report import Report
from bitsmith.report.folder import write_report
from bitsmith.report.summary import Design, rows

_RANDOM_INPUTS = 640
"""Inputs of the equality check beyond the test images."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Results of the demonstration: the report with both accuracies, and the page that shows it."""

    model: Model
    report: Report
    page: Path


def run(
    output_dir: Path, *, cosim: bool = True, synth: bool = True, pnr: bool = True, bitstream: bool = True
) -> Demonstration:
    """Convert, verify, synthesize, place and route the digits classifier into ``output_dir``.

    The float model and the circuit's emulator classify 360 held-out images; the circuit itself is compared with the
    emulator on these and on random inputs.

    Raises:
        ToolMissingError, ToolFailedError, VerificationError, ProjectError.
    """
    files = resources.files("bitsmith") / "data" / "models"
    with resources.as_file(files) as folder:
        model = convert(folder / "digits.keras", output_dir, folder / "digits.config.json", project_name="digits")
        with np.load(folder / "digits_test.npz", allow_pickle=False) as data:
            images, labels = data["inputs"], data["labels"]
    fixed = np.asarray(model.predict(images))
    floating = model.network.evaluate([images.astype(np.float64)])[model.network.outputs[0]]
    noise = np.random.default_rng(0).uniform(0.0, 1.0, (_RANDOM_INPUTS, *images.shape[1:])).astype(np.float32)
    inputs = np.concatenate([images, noise])
    report = model.build(cosim=cosim, synth=synth, pnr=synth and pnr, bitstream=synth and bitstream, inputs=inputs)
    accuracy = {"Float": _accuracy(floating, labels), "Fixed": _accuracy(fixed, labels), "Samples": len(labels)}
    report = Report({**report, "Accuracy": accuracy}, _observed(model, report, images))
    _, page = write_report(report, output_dir)
    return Demonstration(model, report, page)


def _observed(model: Model, report: Report, images: npt.NDArray[np.float32]) -> Design | None:
    """The report's design with the ranges that the layers' results take on the test images."""
    if report.design is None:
        return None
    _, results = model.trace(images)
    seen = {name: (float(values.min()), float(values.max())) for name, values in results.items()}
    return replace(report.design, layers=rows(model.network, model.program, seen))


def _accuracy(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]) -> float:
    return float(np.mean(np.argmax(scores, axis=1) == labels))
