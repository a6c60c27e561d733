"""Causes of a layer's wrong results, and remedies: formats of enough range, in steps that are fine enough."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.fidelity.budgets import budgets, explains, made_by
from bitsmith.fidelity.channels import Channel
from bitsmith.fidelity.deviation import Span, spans
from bitsmith.fidelity.losses import MOST_PLACES, Loss, holding
from bitsmith.fidelity.measure import Measured
from bitsmith.ir.types import FixedFormat, Overflow
from bitsmith.layers.auto import AUTO_BITS
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.recurrence import Recurrent
from bitsmith.layers.settings import MOST_BITS, SUMS, SoftmaxImplementation
from bitsmith.report.sections import LayerFidelity, percent

_GROWS = 8
"""Times a layer's own error beyond which the error of its result comes from what it reads."""

_COARSE = 32
"""Steps within the range of a channel that are too few."""

_GOOD_ERROR = 0.005
"""Own error to which a proposed budget brings a layer down."""

_CANCELED, _NOTICED = 0.01, 1e-4
"""Own error up to which the rounding of weights may explain it, and one that is far below what is a fault."""

_SPARE_BITS = 2
"""Bits beyond those that errors of today need: others are as large as steps allow."""

_DEEP, _LEVEL = -1000.0, 100.0
"""Least value of an input that is taken for a mask's level, and its ratio to the input's greatest number."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A layer at which results go wrong: what is wrong with it, and the remedy."""

    layer: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"layer {self.layer!r}: {self.found}; {self.remedy}"


def would_wrap(node: NetworkNode, reached: Span) -> bool:
    """True if the float model's results wrap in the format of the layer's."""
    fmt = node.settings.precision.get("result")
    return fmt is not None and fmt.overflow is Overflow.WRAP and not _holds(fmt, reached)


def _asked_for(node: NetworkNode) -> str | None:
    """A setting by which a layer is to compute something else, and what that is."""
    if node.settings.skip:
        return "it is left out, as Skip asks"
    if node.settings.implementation is SoftmaxImplementation.ARGMAX:
        return "it gives 1 to the largest and 0 to all others, as Implementation: argmax asks"
    return None


def _off(row: LayerFidelity) -> str:
    return f"it differs from its float meaning by {percent(row.own)} of its range, at worst by {percent(row.own_worst)}"


def _enough(bits: int, error: float, most: int) -> int:
    """The budget that brings an error down to a good one, where one of ``bits`` leaves it."""
    return min(bits + math.ceil(math.log2(max(error / _GOOD_ERROR, 2.0))), most)


@dataclass(frozen=True, slots=True)
class Causes:
    """Finds out why a layer's results are wrong."""

    nodes: dict[str, NetworkNode]
    measured: Measured

    def of(self, row: LayerFidelity, channel: Channel | None = None) -> Problem:
        """The most likely cause, and the remedy; where only a ``channel`` is wrong, of that."""
        name = str(row.layer)
        node = self.nodes[name]
        losses = sorted(
            (loss for loss in self.measured.losses if loss.layer == name and loss.format is not None),
            key=lambda loss: (loss.overflow is not Overflow.WRAP, -loss.share),
        )
        if losses:
            return self._lost(losses[0])
        if (asked := _asked_for(node)) is not None:
            return Problem(name, asked, "compare classes, not probabilities")
        fmt = node.settings.precision.get("result")
        if would_wrap(node, self._span(name)):
            reached = self._span(name)
            symptom = f"its float results reach {reached.lo + 0.0:.4g} .. {reached.hi:.4g}, beyond {fmt}"
            return Problem(name, symptom, self._room(name, "result", reached))
        if channel is not None and (finer := self.finer_formats(node, channel)):
            symptom = f"its steps are too large for a range of {channel.size:.3g} (channel {channel.index})"
            return Problem(name, symptom, f"give it {_listed(finer)}")
        if fmt is not None and 2.0**-fmt.frac * 8 > self._span(name).size:
            wanted = holding(fmt, self._span(name))
            symptom = f"the steps of {fmt} are too large for a range of {self._span(name).size:.3g}"
            return Problem(name, symptom, f"give it result: {wanted}")
        for variable, values in node.layer.weights().items():
            given = node.settings.precision.get(variable)
            if given is not None and not _holds(given, _span(values)):
                return self._clipped(node, variable, values)
        if row.zeroed and node.layer.weights().keys() & node.settings.precision.keys():
            return self._rounded_away(row, node)
        if node.settings.precision:
            given_all = ", ".join(f"{variable} {format_}" for variable, format_ in node.settings.precision.items())
            # A sixteenth of their steps.
            finer = {
                name: replace(given, width=given.width + 4, frac=given.frac + 4)
                for name, given in node.settings.precision.items()
            }
            return Problem(name, f"its formats lose too much ({given_all})", f"give it {_listed(finer)}, or auto")
        if isinstance(node.layer, Input) and node.layer.integer:
            return Problem(
                name, "the model declares integers, and the data have others", "give it integers, in its range"
            )
        own = (row.own or 0.0) if channel is None else channel.added
        if explains(made_by(self.nodes, name), own):
            return self._short_of_bits(name, own)
        if isinstance(node.layer, Recurrent) and (few := min(budgets([node]).values())) < MOST_BITS:
            enough = _enough(few, row.own_worst or own, MOST_BITS)
            return Problem(
                name, f"its states feed back, which makes their rounding larger: {_off(row)}", f"give it Bits: {enough}"
            )
        if (level := self._level_before(node)) is not None:
            return level
        if (more := self.measured.layers[name].bits) != 0:
            return self._near(name, more)
        if own * _GROWS < ((row.error or 0.0) if channel is None else channel.error):
            return Problem(
                name, "small errors of what it reads become large in it", "give the layers before it more bits"
            )
        return self._unexplained(row, channel, own)

    def _unexplained(self, row: LayerFidelity, channel: Channel | None, own: float) -> Problem:
        """A layer with an error of its own for which no setting of the user's is to blame."""
        name, off = str(row.layer), _off(row)
        few = budgets(made_by(self.nodes, name)).get("weight", MOST_BITS)
        if channel is None and few < MOST_BITS and _NOTICED < own < _CANCELED:
            enough = min(few + math.ceil(math.log2(own / _NOTICED)), MOST_BITS)
            why = f"{few} bits of weights may be few for it, as where large offsets of its inputs cancel: {off}"
            return Problem(name, why, f"give it Bits: {enough}; if that does not help, please report it with the model")
        if channel is not None:
            off = f"its channel {channel.index} differs from its float meaning by {percent(channel.added)} of that one's range"
        return Problem(name, off, "no format of yours is to blame: please report it with the model")

    def _level_before(self, node: NetworkNode) -> Problem | None:
        """An input that the layer is computed of, or is, whose steps are those of a mask's level far below its numbers."""
        for name in reached([node.name], lambda one: self.nodes[one].inputs):
            span, layer = self._span(name) if name in self.measured.layers else None, self.nodes[name]
            auto = isinstance(layer.layer, Input) and "result" not in layer.settings.precision
            if auto and span is not None and span.lo <= min(_DEEP, -_LEVEL * abs(span.hi)):
                return Problem(
                    name,
                    f"its data reach down to {span.lo:.4g}, as a mask does, so that little is left for other numbers",
                    "give the mask as an input of its own, or this one a format that saturates, as result: fixed<16,7,RND,SAT>",
                )
        return None

    def _short_of_bits(self, name: str, own: float) -> Problem:
        """A layer whose budget costs an error of ``own``."""
        kept = budgets(made_by(self.nodes, name))
        few = min(kept.values())
        enough = _enough(few, own, AUTO_BITS)
        short = [budget for budget, bits in kept.items() if bits == few]
        every = len(short) == len(kept)
        of, wanted = ("", f"{enough}") if every else (f" of {short[0]}s", f"{{{short[0]}: {enough}}}")
        found = f"auto keeps {few} bits{of}, and it differs from its float meaning by {percent(own)} of its range"
        return Problem(name, found, f"give it Bits: {wanted}")

    def _near(self, name: str, more: int | None) -> Problem:
        """A layer that decides by operands which lack so many bits of their budget."""
        bits = min(budgets(self.nodes.values()).values()) + (MOST_PLACES if more is None else more + _SPARE_BITS)
        remedy = f"with bits={bits} these samples are decided as in the float model"
        symptom = "it decides by numbers that are nearer to its threshold than they are accurate"
        return Problem(name, symptom, remedy if bits <= MOST_BITS else "give the layers before it formats of more bits")

    def finer_formats(self, node: NetworkNode, channel: Channel) -> dict[str, FixedFormat]:
        """The formats of a layer that are too coarse for a channel, made finer; those of ``auto`` as if they were given."""
        trained, asked = node.layer.weights(), node.settings.precision
        finer: dict[str, FixedFormat] = {}
        for variable in asked or ("result", *trained):
            if variable in trained:
                size, reached = _least_column(trained[variable]), _span(trained[variable])
                step = math.ldexp(reached.largest, -node.settings.bits.of(variable))
            elif variable in SUMS:
                size, reached, step = channel.size, self._span(node.name), channel.step
            else:
                continue
            fmt = asked.get(variable, FixedFormat(True, 1, 0))
            step = 2.0**-fmt.frac if asked else step
            if step * _COARSE > size:
                finer[variable] = holding(fmt, reached, size)
        return finer

    def _span(self, name: str) -> Span:
        return self.measured.layers[name].span

    def _lost(self, loss: Loss) -> Problem:
        reached = self._span(loss.layer) if loss.variable == "result" else Span(loss.lo, loss.hi)
        reached = Span(min(reached.lo, loss.lo), max(reached.hi, loss.hi))
        found = str(replace(loss, lo=reached.lo, hi=reached.hi)).partition(": ")[2]
        return Problem(loss.layer, found, self._room(loss.layer, loss.variable, reached))

    def _room(self, layer: str, variable: str, reached: Span) -> str:
        """The remedy: formats of a layer that hold what is ``reached``."""
        formats = {
            name: holding(fmt, reached)
            for name, fmt in self.nodes[layer].settings.precision.items()
            if name == variable or (name in SUMS and not _holds(fmt, reached))
        }
        return f"give it {_listed(formats)}"

    def _clipped(self, node: NetworkNode, variable: str, values: Floats) -> Problem:
        fmt, reached = node.settings.precision[variable], _span(values)
        found = f"its {variable} reaches {reached.lo + 0.0:.4g} .. {reached.hi:.4g} and saturates in {fmt}"
        return Problem(node.name, found, f"give it {variable}: {holding(fmt, reached)}")

    def _rounded_away(self, row: LayerFidelity, node: NetworkNode) -> Problem:
        trained = node.layer.weights()
        variable, fmt = next((v, f) for v, f in node.settings.precision.items() if v in trained)
        values = trained[variable]
        wanted = holding(fmt, _span(values))
        total = sum(each.size for each in trained.values())
        found = f"{row.zeroed:,} of {total:,} weights are rounded to 0 in {fmt}"
        return Problem(str(row.layer), found, f"give it {variable}: {wanted}")


def _listed(formats: Mapping[str, FixedFormat]) -> str:
    """Formats by variable as text; variables of the same format together."""
    names: dict[str, list[str]] = {}
    for variable, fmt in formats.items():
        names.setdefault(str(fmt), []).append(variable)
    return ", ".join(f"{' and '.join(variables)}: {fmt}" for fmt, variables in names.items())


def _holds(fmt: FixedFormat, reached: Span) -> bool:
    """True if values within ``reached`` are within the range of ``fmt``, but for less than a step."""
    return math.ldexp(fmt.lo - 1, -fmt.frac) < reached.lo and reached.hi < math.ldexp(fmt.hi + 1, -fmt.frac)


def _span(values: Floats) -> Span:
    return spans(values.reshape(-1)).whole


def _least_column(values: Floats) -> float:
    """The greatest magnitude of that element of the last axis which has the least, unless all are 0 there."""
    columns = np.abs(values).reshape(-1, values.shape[-1] if values.ndim else 1).max(axis=0)
    return float(columns[columns > 0.0].min(initial=_span(values).largest))
