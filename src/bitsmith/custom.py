"""Layers of your own: what a translation gets and gives, and a check that all backends agree with the layer.

A translation is a function of a :class:`Call` that says with operators what a layer computes. Every backend has the layer at once
(``docs/custom-layers.md``)::

    def translate(call):
        (x,), (scale,) = call.inputs, call.weights()
        return (x * scale).tanh()

    bitsmith.convert(model, layers={MyLayer: translate})
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from bitsmith.arguments import Arguments
from bitsmith.config import BackendName
from bitsmith.conversion import convert
from bitsmith.emulate.batches import Arrays
from bitsmith.errors import FidelityError
from bitsmith.frontends.custom.call import Call, Layers, Translate
from bitsmith.frontends.custom.tensor import Tensor, concatenate, einsum, maximum, minimum, where
from bitsmith.frontends.read import AnyModel
from bitsmith.report import Report

__all__ = [
    "Call",
    "Checked",
    "Layers",
    "Tensor",
    "Translate",
    "check",
    "concatenate",
    "einsum",
    "maximum",
    "minimum",
    "where",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """A backend that computes what the model does.

    ``framework_error`` is the largest difference between the translated layers, in floating point, and the framework's own
    results, as a share of their range; None if the framework could not be run.
    """

    backend: str
    framework_error: float | None
    report: Report


def check(
    model: AnyModel,
    inputs: Arrays,
    backends: Iterable[BackendName] = ("rtl", "vitis"),
    output_dir: str | Path | None = None,
    **arguments: Unpack[Arguments],
) -> list[Checked]:
    """Compare a model with layers of your own in all forms: the framework, the float layers, the emulator, and each backend.

    Args:
        inputs: real inputs, an array or one per input: ``auto`` precision takes ranges from them, and all are compared.
        backends: those that are built: ``rtl`` is simulated, C++ of vendors' tools is compiled and run.
        output_dir: where the projects stay, in a folder for each backend; by default they are not kept.
        arguments: more arguments of :func:`bitsmith.convert`, ``layers`` among them.

    Raises:
        FidelityError: the layers do not compute what the framework does, or the emulator does not what the layers do.
        VerificationError: a backend does not compute what the emulator does.
    """
    found = []
    given: Arguments = {"calibration": inputs, "check": True, **arguments, "strict": True}
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            place = Path(output_dir or folder) / backend
            given["backend"] = backend
            converted = convert(model, place, **given)
            agreement = converted.fidelity.agreement
            if agreement.problem is not None:
                raise FidelityError(agreement.problem.found, where=backend)
            found.append(Checked(backend, agreement.error, converted.build(synth=False)))
    return found
