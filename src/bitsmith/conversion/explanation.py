"""Explanations of a model, without writing anything: its layers and types, or all that keeps it from being translated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from bitsmith.config.resolving import ConfigLike
from bitsmith.config.values import IOType
from bitsmith.conversion.conversion import Conversion
from bitsmith.emulate.samples import Samples
from bitsmith.errors import BitsmithError, RangeError, UnsupportedError
from bitsmith.errors.remedies import Call, given, in_python
from bitsmith.estimate.fit import Fit
from bitsmith.estimate.obstacle import Obstacle, way_out
from bitsmith.frontends.frameworks import AnyModel
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.layers.input import DEFAULT_INPUT
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network
from bitsmith.model import Model
from bitsmith.model.estimates import Estimate, planned_cycles
from bitsmith.model.fitting import choices, obstacle_of, tries_bits
from bitsmith.model.points import Layouts, Point
from bitsmith.options.signature import taking
from bitsmith.options.table import Arguments, Further
from bitsmith.passes.network.calibration import calibrate
from bitsmith.report.shown import Shown
from bitsmith.report.summary import LayerRow, rows

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Explanation", "Proposal"]


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
            **({"Strategy": "Shared"} if self.fit.in_turn else {}),
            "ReuseFactor": dict(self.fit.reuse),
            "LatencyCycles": self.latency,
            "II": self.interval,
            "Estimate": self.fit.size.section(),
        }


@dataclass(frozen=True, slots=True)
class Explanation(Shown):
    """A model's layers as far as they can be translated; ``model`` and ``estimate`` are there if there are no ``problems``.

    It prints as the layers, the fidelity, the size and what would fit, or as all that keeps the model from being translated.

    Args:
        estimate: the circuit as it is configured: its size, its speed, and whether it fits the part.
        proposal: if it does not fit, reuse factors with which it does; None if there are none.
        choices: if not, all that would, the nearest to what was asked for first.
        obstacle: the layer and the resource that are in the way if there are no choices.
    """

    layers: tuple[LayerRow, ...]
    problems: tuple[BitsmithError, ...]
    model: Model | None = None
    estimate: Estimate | None = None
    proposal: Proposal | None = None
    choices: tuple[Point, ...] = ()
    obstacle: Obstacle | None = None

    def __str__(self) -> str:
        from bitsmith.report.terminal import as_text

        if self.estimate is None:
            return "\n".join(as_text(part) for part in refused(self))
        return f"{self.model}\n{in_words(self)}"

    def __repr__(self) -> str:
        return f"<Explanation: {len(self.layers)} layers, {len(self.problems)} problems>"


def in_words(explained: Explanation, typed: Callable[[Call], str] = in_python) -> str:
    """The size of the circuit, and if it does not fit what would, with calls as ``typed`` has them."""
    assert explained.estimate is not None
    lines = [f"Circuit as configured: {explained.estimate}"]
    if explained.estimate.fits:
        return "\n".join(lines)
    if not explained.choices:
        tried_bits = explained.model is not None and tries_bits(explained.model.source)
        bits = "fewer bits, " if tried_bits else ""
        lines.append(f"It does not fit, nor does it with {bits}any reuse factors, or layers in turn.")
        if explained.obstacle is not None:
            ways = way_out(explained.obstacle, explained.estimate.target.known_part, tried_bits=tried_bits)
            lines += [
                f"The smallest circuit takes {explained.obstacle} (estimate).",
                f"What to do: {ways.rendered(typed)}.",
            ]
        return "\n".join(lines)
    first = typed(given(fit=True))
    lines.append(f"Estimated to fit (the first by {first}):")
    lines += [f"- {choice}: {typed(choice.argued)}" for choice in explained.choices]
    lines += [f"  {choice.margin}" for choice in explained.choices if choice.margin]
    if explained.proposal is not None:
        lines.append(
            f"  with reuse factors a result every {explained.proposal.interval:,} cycles, after {explained.proposal.latency:,}"
        )
    return "\n".join(lines)


def refused(explained: Explanation, worded: Callable[[BitsmithError], str] = str) -> list[RenderableType]:
    """The layers, and all that cannot be translated."""
    from rich.text import Text

    from bitsmith.report.terminal import LayersTable

    table = [LayersTable("Layers", explained.layers)] if explained.layers else []
    heading = Text("These cannot be translated:", style="bold")
    return [*table, heading, *(Text(f"- {worded(problem)}") for problem in explained.problems)]


@taking(Further)
def explain(
    model: AnyModel,
    weights: str | Path | None = None,
    config: ConfigLike = None,
    calibration: Samples | None = None,
    part: str | None = None,
    clock_period: float | str | None = None,
    **further: Unpack[Further],
) -> Explanation:
    """Read and translate ``model``, a file or a live one.

    Args:
        model: as of :func:`bitsmith.convert`.
        config: precision and more per layer, as of :func:`bitsmith.convert`.
        further: the rest (``docs/options.md``).

    Raises:
        ConfigError, InputDataError: the arguments are wrong; what is wrong with the model itself is in the result.
    """
    arguments = Arguments(weights=weights, calibration=calibration, part=part, clock_period=clock_period, **further)
    return explained(Conversion.of(model, Path(), config, arguments, {}))


def explained(conversion: Conversion) -> Explanation:
    """Return the explanation of a model that is converted so; raises as :func:`explain`."""
    converted = translated(conversion)
    return converted if isinstance(converted, Explanation) else of_model(converted)


def translated(conversion: Conversion) -> Model | Explanation:
    """Return a model that is converted so, or the explanation why it cannot be; raises as :func:`explain`."""
    try:
        return conversion.model()
    except (UnsupportedError, RangeError) as first:
        try:
            network = conversion.network()
            network.shapes()
        except UnsupportedError as error:
            return Explanation((), (error,))
        program, found = _translated(network)
        return Explanation(rows(network, program), found or (first,))


def of_model(converted: Model) -> Explanation:
    """Return the explanation of a model that has been converted, for its target."""
    layers = rows(converted.network, converted.program)
    estimate = converted.estimate()
    if estimate.fits:
        return Explanation(layers, (), converted, estimate)
    laid_out = Layouts.of(converted, converted.target, estimate.size)
    ways = tuple(choices(converted.source, laid_out))
    if not ways:
        return Explanation(layers, (), converted, estimate, obstacle=obstacle_of(laid_out))
    shared = next((choice.fit for choice in ways if choice.bits is None), None)
    proposed = (
        None
        if shared is None
        else Proposal(shared, *planned_cycles(laid_out.program, shared.directives, converted.target))
    )
    return Explanation(layers, (), converted, estimate, proposed, ways)


def _translated(network: Network) -> tuple[Program, tuple[BitsmithError, ...]]:
    """The program of the layers that can be translated, and the error of each that cannot.

    Such a layer is replaced by an input of its shape, so that those after it are looked at too.
    """
    builder, shapes, observed = ProgramBuilder(), network.shapes(), calibrate(network, None)
    values: dict[str, Value] = {}
    good: list[tuple[str, Value]] = []
    problems: list[BitsmithError] = []
    for node in network.nodes:
        lowering = Lowering(node.name, builder, node.settings, observed[node.name], (), ())
        try:
            with builder.layer(node.name):
                values[node.name] = node.layer.lower(lowering, [values[name] for name in node.inputs])
            good.append((node.name, values[node.name]))
        except (UnsupportedError, RangeError) as error:
            problems.append(error)
            values[node.name] = builder.input(node.name, shapes[node.name], DEFAULT_INPUT)
    return builder.program([(name, values[name]) for name in network.outputs], good), tuple(problems)
