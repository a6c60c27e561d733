"""The compiler, read from top to bottom: a network with settings in, a core program out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.ir.program import Program
from bitsmith.layers.input import DEFAULT_INPUT, Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.passes import simplify
from bitsmith.passes.fold_batchnorm import fold_batchnorm
from bitsmith.passes.lower import lower
from bitsmith.passes.observe import observe


@dataclass(frozen=True, slots=True)
class Compiled:
    """A network as it was laid out, its exact meaning, and what the user should know about the choices made."""

    network: Network
    program: Program
    notes: tuple[str, ...]


def compile_network(network: Network, calibration: Sequence[Floats] | None = None) -> Compiled:
    """Translate ``network``, whose nodes carry the user's settings.

    Args:
        network: what a frontend read and :func:`bitsmith.config.resolve` annotated.
        calibration: one batch per input, of real inputs of the float model; None: ``auto`` works on generated ones.

    Raises:
        UnsupportedError, RangeError, InputDataError: each naming the layer or input.
    """
    notes = _notes(network, calibrated=calibration is not None)
    network = fold_batchnorm(network)
    observed = observe(network, calibration)
    program = lower(network, observed)
    return Compiled(network, simplify(program), notes)


def _notes(network: Network, calibrated: bool) -> tuple[str, ...]:
    unknown = [
        node.name for node in network.nodes if isinstance(node.layer, Input) and "result" not in node.settings.precision
    ]
    if calibrated or not unknown:
        return ()
    return (
        f"No calibration data and no precision for input {', '.join(map(repr, unknown))}: it is {DEFAULT_INPUT}. "
        "Inputs beyond +-32 saturate and steps below 2**-10 are lost; pass calibration=X, or give the input a precision.",
    )
