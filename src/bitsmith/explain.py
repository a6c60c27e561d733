"""What becomes of a model, without writing anything: its layers and types, or all that keeps it from being translated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.build.design import circuit
from bitsmith.config import BitsLike, ConfigLike, IOType
from bitsmith.conversion import configured, convert
from bitsmith.devices import Part, resolve_part
from bitsmith.emulate.batches import Arrays
from bitsmith.errors import BitsmithError, RangeError, UnsupportedError
from bitsmith.estimate.fit import Fit, fits, proposal
from bitsmith.estimate.size import Size, estimate_layout
from bitsmith.fidelity.framework import Check
from bitsmith.frontends.read import AnyModel
from bitsmith.frontends.torch.live import Example, InputShapes
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.layers.input import DEFAULT_INPUT
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network
from bitsmith.model import Model
from bitsmith.passes import drop_dead
from bitsmith.passes.calibration import calibrate
from bitsmith.report.summary import LayerRow, rows
from bitsmith.rtl.writer import Title


@dataclass(frozen=True, slots=True)
class Proposal:
    """Reuse factors with which a model is estimated to fit its part, and the cycles that follow."""

    fit: Fit
    latency: int
    interval: int

    def document(self) -> dict[str, object]:
        """The choice as keys of the configuration, and what follows."""
        io_type = IOType.PARALLEL if self.fit.directives.parallel else IOType.STREAM
        return {
            "IOType": io_type.value,
            "ReuseFactor": dict(self.fit.reuse),
            "LatencyCycles": self.latency,
            "II": self.interval,
            "Estimate": self.fit.size.section(),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """A model's layers as far as they can be translated; ``model`` and ``size`` are there if there are no ``problems``.

    Args:
        size: an estimate of the circuit as it is configured.
        fits: whether that fits the part, with room for routing.
        proposal: if not, what would; None if nothing does.
    """

    layers: tuple[LayerRow, ...]
    problems: tuple[BitsmithError, ...]
    model: Model | None = None
    size: Size | None = None
    fits: bool = True
    proposal: Proposal | None = None


def explain(
    model: AnyModel,
    weights: Path | None = None,
    config: ConfigLike = None,
    calibration: Arrays | None = None,
    part: str | None = None,
    clock_period: float | None = None,
    *,
    example: Example | Sequence[Example] | None = None,
    input_shape: InputShapes | None = None,
    bits: BitsLike = None,
    check: Check = "auto",
    override: bool = False,
    allow_approximate: bool = False,
) -> Explanation:
    """Read and translate ``model``, a file or a live one; arguments as of :func:`bitsmith.convert`.

    Raises:
        ConfigError, InputDataError: the arguments are wrong; what is wrong with the model itself is in the result.
    """
    try:
        converted = convert(
            model,
            Path(),
            config,
            calibration,
            part=part,
            clock_period=clock_period,
            weights=weights,
            example=example,
            input_shape=input_shape,
            bits=bits,
            check=check,
            override=override,
            allow_approximate=allow_approximate,
        )
    except (UnsupportedError, RangeError) as first:
        try:
            network = configured(
                *(model, config, weights, example, input_shape, bits),
                override=override,
                allow_approximate=allow_approximate,
            )
            network.shapes()
        except UnsupportedError as error:
            return Explanation((), (error,))
        program, found = _translated(network)
        return Explanation(rows(network, program), found or (first,))
    program, target_part = drop_dead(converted.program, keep_probes=False), resolve_part(converted.target.part)
    size = estimate_layout(program, converted.directives, target_part.family)
    fitting = fits(size, target_part)
    proposed = None if fitting else _proposed(converted, program, target_part)
    return Explanation(rows(converted.network, converted.program), (), converted, size, fitting, proposed)


def _proposed(model: Model, program: Program, part: Part) -> Proposal | None:
    """Reuse factors that fit, and the cycles of the circuit that they make."""
    found = proposal(program, part, model.directives)
    if found is None:
        return None
    target, delays = model.target, part.family.delays
    budget = delays.budget(target.clock_period_ns, target.clock_uncertainty * target.clock_period_ns)
    latency, interval = circuit(program, found.directives, delays, budget, target.project_name, Title("", "")).cycles
    return Proposal(found, latency, interval)


def _translated(network: Network) -> tuple[Program, tuple[BitsmithError, ...]]:
    """The program of the layers that can be translated, and the error of each that cannot.

    Such a layer is replaced by an input of its shape, so that those after it are looked at too.
    """
    builder, shapes, observed = ProgramBuilder(), network.shapes(), calibrate(network, None)
    values: dict[str, Value] = {}
    good: list[tuple[str, Value]] = []
    found: list[BitsmithError] = []
    for node in network.nodes:
        lowering = Lowering(node.name, builder, node.settings, observed[node.name])
        try:
            with builder.layer(node.name):
                values[node.name] = node.layer.lower(lowering, [values[name] for name in node.inputs])
            good.append((node.name, values[node.name]))
        except (UnsupportedError, RangeError) as error:
            found.append(error)
            values[node.name] = builder.input(node.name, shapes[node.name], DEFAULT_INPUT)
    return builder.program([(name, values[name]) for name in network.outputs], good), tuple(found)
