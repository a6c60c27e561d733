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
from typing import Unpack, cast

from bitsmith.config.values import BackendName
from bitsmith.conversion.conversion import convert
from bitsmith.emulate.batches import Arrays, float_batches
from bitsmith.errors import FidelityError, InputDataError
from bitsmith.fidelity.certificate import FRAMEWORK_ERROR
from bitsmith.fidelity.deviation import deviation, spans
from bitsmith.frontends.custom.call import Call, Layers, Operator, Translate
from bitsmith.frontends.custom.tensor import Tensor, concatenate, einsum, maximum, minimum, where
from bitsmith.frontends.frameworks import AnyModel
from bitsmith.model import Model
from bitsmith.options.table import Arguments
from bitsmith.report import Report

__all__ = [
    "Call",
    "Checked",
    "Layers",
    "Operator",
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

    ``framework_error`` compares the translated layers, in floating point, with the framework's own results (or the expected
    ones). It is the largest mean difference as a share of their range; None if the framework could not be run.
    """

    backend: str
    framework_error: float | None
    report: Report


def check(  # type: ignore[misc]  # formulas, whose inputs have names, have no layers of the user's
    model: AnyModel,
    inputs: Arrays,
    backends: Iterable[BackendName] = ("rtl", "vitis"),
    output_dir: str | Path | None = None,
    *,
    expected: Arrays | None = None,
    **arguments: Unpack[Arguments],
) -> list[Checked]:
    """Compare a model with layers of your own in all forms: the framework, the float layers, the emulator, and each backend.

    Args:
        inputs: real inputs, an array or one per input: ``auto`` precision takes ranges from them, and all are compared.
        backends: those that are built: ``rtl`` is simulated, C++ of vendors' tools is compiled and run.
        output_dir: where the projects stay, in a folder for each backend; by default they are not kept.
        expected: the model's results for the inputs, an array or one per output, where no framework can run it: onnxruntime does
            not know an operator of your own.
        arguments: more arguments of :func:`bitsmith.convert`, ``layers`` among them.

    Raises:
        FidelityError: the layers do not compute what the framework does or what is expected, or the emulator does not what the
            layers do.
        VerificationError: a backend does not compute what the emulator does.

    Examples:
        ```python
        class Swish(torch.nn.Module):
            def forward(self, x):
                return x * torch.sigmoid(1.5 * x)

        def swish(call):
            (x,) = call.inputs
            return x * (x * 1.5).sigmoid()

        module = torch.nn.Sequential(torch.nn.Linear(4, 3), Swish()).eval()
        inputs = np.random.default_rng(0).normal(size=(50, 4))
        (found,) = bitsmith.custom.check(module, inputs, ["rtl"], layers={Swish: swish})
        print(found.framework_error, found.report["Verification"]["Mismatches"])
        ```
    """
    checked = []
    options: Arguments = {
        "calibration": inputs,
        "check": expected is None,
        **cast("Arguments", arguments),
        "strict": True,
    }
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            place = Path(output_dir or folder) / backend
            options["backend"] = backend
            converted = convert(model, place, **options)
            agreement = converted.fidelity.agreement
            if agreement.problem is not None:
                raise FidelityError(agreement.problem.found, where=backend)
            error = agreement.error if expected is None else _error(converted, inputs, expected, backend)
            checked.append(Checked(backend, error, converted.build(synth=False)))
    return checked


def _error(converted: Model, inputs: Arrays, expected: Arrays, backend: str) -> float:
    """The largest mean difference of the layers' float results from the expected ones, as a share of the range."""
    network = converted.network
    results = network.evaluate(float_batches(network.input_shapes(), network.columns(), inputs))
    outputs = {name: results[name] for name in network.outputs}
    wanted = float_batches({name: y.shape[1:] for name, y in outputs.items()}, {}, expected)
    if len(wanted[0]) != len(outputs[network.outputs[0]]):
        raise InputDataError(f"results of {len(wanted[0])} samples", where="expected", accepted="one for each input")
    errors = [deviation(y, x, spans(y).whole.size).error for x, y in zip(outputs.values(), wanted, strict=True)]
    if max(errors) > FRAMEWORK_ERROR:
        raise FidelityError(f"the layers differ from what is expected by {max(errors):.1%} of its range", where=backend)
    return max(errors)
