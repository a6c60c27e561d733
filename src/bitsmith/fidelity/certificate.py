"""Certificates of a program's fidelity, as values that print: ``model.fidelity``.

Two comparisons, on the same few inputs: the program with the float model, layer by layer, and the float model, which is what was
read of the user's file or object, with the framework's own outputs. Where nothing is known of the inputs' scale a third one: the
outputs with the float model's, on inputs of several scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.errors import ConfigError, ModelFileError, ProjectError
from bitsmith.errors.remedies import given, remedy
from bitsmith.fidelity.bounds import Bound, bounds
from bitsmith.fidelity.causes import Problem
from bitsmith.fidelity.deviation import deviation, spans
from bitsmith.fidelity.framework import (
    Check,
    FrameworkRun,
    NotComparedError,
    aligned,
    framework_run,
    layer_results,
    share_by_others,
)
from bitsmith.fidelity.judgement import Verdict, judge
from bitsmith.fidelity.measure import Circuit, measure
from bitsmith.fidelity.samples import samples
from bitsmith.fidelity.scales import USUAL, AtScale, at_scales
from bitsmith.fidelity.shortfall import float_outputs, shaken
from bitsmith.fidelity.ties import in_single
from bitsmith.fidelity.words import in_words, limits
from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.frameworks import AnyModel
from bitsmith.ir.program import Program
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settled import is_quantized
from bitsmith.passes.network.quantized_inputs import quantized_inputs
from bitsmith.report.sections import Fidelity, LayerFidelity, percent, plain, section_of
from bitsmith.report.shown import Shown

if TYPE_CHECKING:
    from rich.console import RenderableType

FRAMEWORK_ERROR, ACCELERATOR_ERROR, HALF_ERROR = 3e-5, 5e-3, 0.05
"""Mean differences, as shares of the range, that a framework's precision cannot explain: single precision stays below 1e-6; an
accelerator may take fewer bits for products."""

_JUMPED = 0.05
"""Share of results by which those of networks that jump may differ: at a threshold the last place decides."""

_SHAKEN = 8.0
"""Times the effect of the inputs' last place that a framework's precision may cost: sums add to it."""

_LEAST_SIZE = 2.0**-102
"""Range below which frameworks have no more than a few bits: their single precision ends, and many take what is less for 0."""

_NAMED = 6
"""Most layers that a warning names."""

_SHOWN = 200
"""Characters of why nothing was compared."""

_CHANGED = 0.1
"""Share of results that rounding may change where a framework gets one sample alone."""

_TOGETHER = (
    "a circuit takes one sample after the other; have the model compute the same for each, whatever comes with it"
)

_KEPT = (
    "a circuit computes the same of a sample each time: give a model that neither counts its calls, nor draws random numbers, "
    "nor keeps anything from one call to the next"
)

_REPORT = "this is a defect of bitsmith: please report it with the model"

_OWN = "look at your translations in layers first; it may be a defect of bitsmith, too"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The float model beside its framework: the greatest mean difference of an output, or why nothing was compared.

    ``unjudged``: nothing was, and some of its layers are as a translation of the user's says.
    """

    framework: str = ""
    error: float | None = None
    reason: str = ""
    problem: Problem | None = None
    unjudged: bool = False


@dataclass(frozen=True, slots=True)
class Certificate(Shown):
    """Distance of a circuit's results from those of the user's model.

    Attributes:
        rows: a row for each layer.
        outputs: the layers whose results the circuit returns.
        samples: how many inputs were compared.
        calibrated: they were the user's, not generated ones.
        verdict: what is wrong, and where it starts; empty if nothing is.
        agreement: the comparison with the framework.
        scales: the outputs for inputs of several scales, where nothing is known of the inputs'.
        words: what layers say of themselves, such as on how many inputs trees could decide otherwise.
        bounds: how far results can be from formulas', whatever the inputs within the ranges that the user states.
        limits: what equal codes on these samples do not say.
    """

    rows: tuple[LayerFidelity, ...]
    outputs: tuple[str, ...]
    samples: int
    calibrated: bool
    verdict: Verdict
    agreement: Agreement
    scales: tuple[AtScale, ...]
    words: tuple[str, ...]
    bounds: tuple[Bound, ...]
    limits: tuple[str, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong; a misread model first."""
        return (*filter(None, [self.agreement.problem]), *self.verdict.problems)

    @property
    def section(self) -> Fidelity:
        """The rows as a section of reports."""
        return Fidelity(self.rows)

    @property
    def message(self) -> str:
        """Return the text of a warning; empty if nothing is wrong."""
        if not self.problems:
            return "; ".join(filter(None, [self._beyond, self._unjudged]))
        wrong = [self.verdict.found] if self.verdict.found else []
        if self.agreement.problem is not None:
            wrong.insert(0, f"the model was not read as {self.agreement.framework} computes it")
        starts = [f"\n  {problem}" for problem in self.problems]
        if len(starts) > _NAMED:
            starts[_NAMED:] = [f"\n  and {len(starts) - _NAMED} more layers, which model.fidelity lists"]
        return f"{'; '.join(wrong)} (on {self._data}). It starts here:{''.join(starts)}"

    @property
    def _beyond(self) -> str:
        """Return the text on ordinary inputs of another scale than the generated ones."""
        wrong = [each for each in self.scales if each.wrong and each.inputs in USUAL]
        if not wrong:
            return ""
        return (
            "without calibration data formats are made for generated inputs, standard normal ones. "
            f"For inputs of another scale output {wrong[0].output!r} is off by {', '.join(map(str, wrong))}: "
            "give samples as calibration, or the inputs a precision"
        )

    @property
    def _unjudged(self) -> str:
        """Return the text on the user's translations that nothing was compared with."""
        if not self.agreement.unjudged:
            return ""
        return f"nothing was compared with your translations in layers: {self.agreement.reason}"

    @property
    def summary(self) -> str:
        """One line: how far the outputs are from the float model's, and what of."""
        # Steps that only bring results into another shape have no row.
        rows = [row for row in self.rows if row.layer in self.outputs] or self.rows[-1:]
        worst = max(rows, key=lambda row: row.error or 0.0, default=None)
        if worst is None:
            return f"fidelity: nothing to compare on {self._data}"
        # A layer's float meaning is itself off by some last places.
        same = "equal" if any((row.error or 0.0) > 1e-12 for row in self.rows) else "exact"
        error = f"error {percent(worst.error)} of range, at worst {percent(worst.worst)}"
        noise = same if worst.snr_db is None else error
        ratio = "" if worst.snr_db is None else f", {worst.snr_db:.0f} dB"
        wrong = ", ".join(str(each) for each in self.scales if each.wrong)
        others = f"; off by {wrong} for inputs of these ranges" if wrong else ""
        limits = "".join(f"; {each}" for each in self.limits)
        return f"fidelity: {worst.layer} {noise}{ratio}, on {self._data}{self._compared}{others}{limits}"

    @property
    def _data(self) -> str:
        return f"{self.samples} {'calibration' if self.calibrated else 'generated'} samples"

    @property
    def _compared(self) -> str:
        if self.agreement.problem is not None:
            return f"; misread, says {self.agreement.framework}"
        if self.agreement.reason:
            return f"; not compared with the framework: {self.agreement.reason[:_SHOWN]}"
        error, framework = self.agreement.error or 0.0, self.agreement.framework
        rounding = f", whose rounding differs by {percent(error)} of range" if error > FRAMEWORK_ERROR else ""
        return f"; read as {framework} computes it{rounding}" if self.agreement.error is not None else ""

    def document(self) -> dict[str, object]:
        """The certificate as plain values."""
        misread = self.agreement.problem
        return {
            "samples": self.samples,
            "calibrated": self.calibrated,
            "outputs": list(self.outputs),
            "framework": self.agreement.framework,
            "framework_error": self.agreement.error,
            "not_compared": self.agreement.reason,
            "misread": None if misread is None else asdict(misread),
            "found": self.verdict.found,
            "problems": [asdict(problem) for problem in self.verdict.problems],
            "scales": [asdict(each) for each in self.scales],
            "words": list(self.words),
            "bounds": [asdict(bound) for bound in self.bounds],
            "limits": list(self.limits),
            "layers": plain(self.section),
        }

    @staticmethod
    def of_document(document: Mapping[str, object], where: str) -> Certificate:
        """The certificate that :meth:`document` gave; untrusted.

        Raises:
            ModelFileError: something else; ``where`` names the file.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            known = TypeAdapter(_Document).validate_python(document)
            section = section_of("Fidelity", known.layers)
        except (ValidationError, ProjectError) as error:
            raise ModelFileError("a damaged certificate of fidelity", where=where) from error
        assert isinstance(section, Fidelity)
        agreement = Agreement(known.framework, known.framework_error, known.not_compared, known.misread)
        verdict = Verdict(known.found, known.problems)
        told = known.scales, known.words, known.bounds, known.limits
        return Certificate(section.rows, known.outputs, known.samples, known.calibrated, verdict, agreement, *told)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        from bitsmith.report.terminal import fidelity_table

        parts: list[RenderableType] = [
            fidelity_table(self.rows),
            Text(self.summary),
            *map(Text, (*self.words, *map(str, self.bounds))),
        ]
        if self.agreement.reason:
            parts.append(Text(f"not compared with the framework: {self.agreement.reason}"))
        return Group(*parts, *(Text(f"wrong: {problem}") for problem in self.problems))

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    def _repr_html_(self) -> str:
        """The table, and the errors as bars, for notebooks."""
        from bitsmith.report.bars import as_html, error_bar

        title = "Mean error of each result as a share of its range, on a scale of powers of ten"
        return Shown._repr_html_(self) + as_html(title, map(error_bar, self.rows))


@dataclass(frozen=True, slots=True)
class _Document:
    """Result of :meth:`Certificate.document`."""

    samples: int
    calibrated: bool
    outputs: tuple[str, ...]
    framework: str
    framework_error: float | None
    not_compared: str
    misread: Problem | None
    found: str
    problems: tuple[Problem, ...]
    layers: list[dict[str, str | int | float | None]]
    scales: tuple[AtScale, ...] = ()
    words: tuple[str, ...] = ()
    bounds: tuple[Bound, ...] = ()
    limits: tuple[str, ...] = ()


def certify(
    network: Network,
    compiled: Network,
    program: Program,
    calibration: Sequence[Floats] | None,
    model: AnyModel | None = None,
    check: Check = "auto",
    layers: Layers | None = None,
) -> Certificate:
    """Compare ``program``, which ``network`` became by way of ``compiled``, with it, and that with the framework of ``model``.

    ``layers`` are the user's translations, of which somebody should know that nothing judges them.

    Raises:
        ConfigError: ``check`` is none of its values, or insists on a framework that cannot run the model.
    """
    if not isinstance(check, bool) and check != "auto":
        raise ConfigError(f"check={check!r}", where="convert", accepted="True, False or 'auto'")
    network = quantized_inputs(network)  # what the model does to an input at once is not an error
    inputs = samples(compiled, calibration)
    circuit = Circuit(compiled, program)
    measured = measure(network, circuit, inputs)
    verdict = judge(compiled, measured, calibrated=calibration is not None)
    agreement = Agreement()
    if model is not None and check is not False:
        agreement = _agreement(
            model, network, _on_grids(network, inputs), measured.outputs, layers, insist=check is True
        )
    calibrated = calibration is not None
    scales = () if calibrated else at_scales(network, circuit)
    beside = tuple(limits(network, compiled, calibration))
    told = scales, in_words(compiled, program), bounds(compiled, program, measured.layers), beside
    return Certificate(measured.rows, compiled.outputs, len(inputs[0]), calibrated, verdict, agreement, *told)


def _on_grids(network: Network, inputs: Sequence[Floats]) -> list[Floats]:
    """The inputs as the float model has them: a framework rounds finer ones, which may fall on the other side of a step."""
    layers = [network.node(name).layer for name in network.inputs]
    quantizers = [layer.quantizer if isinstance(layer, Input) and not layer.rounds else None for layer in layers]
    return [x if grid is None else grid.applied(x) for x, grid in zip(inputs, quantizers, strict=True)]


def _agreement(
    model: AnyModel,
    network: Network,
    inputs: Sequence[Floats],
    wanted: Sequence[Floats],
    layers: Layers | None,
    *,
    insist: bool,
) -> Agreement:
    try:
        run = framework_run(model, network, inputs, layers, insist=insist)
        if run is None:
            return Agreement()
        if len(run.outputs) != len(wanted):
            raise NotComparedError(f"it returns {len(run.outputs)} outputs instead of {len(wanted)}")
        outputs = [aligned(x, y) for x, y in zip(wanted, run.outputs, strict=True)]
    except NotComparedError as error:
        if insist:
            raise ConfigError(
                f"the framework's outputs cannot be had: {error}",
                where="check",
                remedy=remedy("without ", given(check=True), " they are compared only where they can be had"),
            ) from error
        return Agreement(reason=str(error), unjudged=bool(layers))
    agreement = _compared(model, network, inputs, wanted, outputs, run)
    if (share := share_by_others(model, network, inputs, outputs, layers)) > _CHANGED:
        again = share_by_others(model, network, inputs, outputs, layers, again=True)
        how, cure = (
            ("for one sample alone than beside others", _TOGETHER) if again <= _CHANGED else ("at each call", _KEPT)
        )
        said = f"{run.framework} computes other results {how}: {percent(max(share, again))} of them"
        return replace(agreement, problem=Problem(network.outputs[0], said, cure))
    if agreement.problem is None or not layers:
        return agreement
    return replace(agreement, problem=replace(agreement.problem, remedy=_OWN))


def _compared(
    model: AnyModel,
    network: Network,
    inputs: Sequence[Floats],
    wanted: Sequence[Floats],
    outputs: Sequence[Floats],
    run: FrameworkRun,
) -> Agreement:
    limit = HALF_ERROR if run.half else ACCELERATOR_ERROR if run.accelerated else FRAMEWORK_ERROR
    # Rounding errors of single precision decide between two codes now and then.
    jumps = is_quantized(network) or any(node.layer.jumps for node in network.nodes)
    errors = [deviation(y, x, spans(y).whole.size).error for x, y in zip(wanted, outputs, strict=True)]

    def differing() -> list[int]:
        return [k for k, (x, y) in enumerate(zip(wanted, outputs, strict=True)) if _differ(x, y, limit, jumps=jumps)]

    bad = differing()
    if bad:
        others = [*shaken(network, inputs), *float_outputs(network, inputs, in_single)]
        shakes = zip([*wanted, *wanted], others, strict=True)
        limit = max(limit, *(_SHAKEN * deviation(x, y, spans(x).whole.size).error for x, y in shakes))
        bad = differing()
    if not bad:
        return Agreement(run.framework, max(errors))
    layer, error = network.outputs[bad[0]], errors[bad[0]]
    computed = layer_results(model, network, inputs)
    for name, result in network.evaluate(inputs).items():
        if (
            name in computed
            and computed[name].shape == result.shape
            and _differ(result, computed[name], limit, jumps=jumps)
        ):
            layer, error = name, deviation(computed[name], result, spans(computed[name]).whole.size).error
            break
    said = f"its float meaning differs from what {run.framework} computes by {percent(error)} of the range"
    return Agreement(run.framework, max(errors), problem=Problem(layer, said, _REPORT))


def _differ(x: Floats, y: Floats, limit: float, *, jumps: bool) -> bool:
    """True if ``x`` and the framework's ``y`` differ by more than rounding."""
    size = max(spans(y).whole.largest, _LEAST_SIZE)
    if not jumps:
        return deviation(y, x, size).error > limit
    with np.errstate(all="ignore"):
        return float((np.abs(x - y) > 10 * limit * size).mean()) > _JUMPED
