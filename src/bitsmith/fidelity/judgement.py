"""Where results differ from the float model's by more than the user's formats excuse, why, and what to do about it.

In: what was measured. Out: problems, each with the layer at which it starts. Of a network whose formats are all of ``auto``
nearly nothing is excused but what its budget costs; formats of the user's may cost a lot, but not the results. Limits are well
away from what ordinary networks show: those of ``auto`` stay below 0.1 % of the range in 16 bits, and in fewer below 2 to the
power of (16 - bits) times that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bitsmith.fidelity.losses import Loss
from bitsmith.fidelity.measure import Measured, Span, span
from bitsmith.ir.types import FixedFormat, Overflow
from bitsmith.layers.auto import AUTO_BITS
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import FACTORS
from bitsmith.report.sections import LayerFidelity
from bitsmith.report.terminal import percent

AUTO_ERROR = 0.01
"""Mean error of an output that formats of ``auto`` never cause."""

AUTO_OWN_ERROR, AUTO_OWN_WORST = 5e-4, 4e-3
"""A layer's own mean and greatest error, as shares of its range or greatest magnitude, that formats of ``auto`` never cause: with
16 bits most stay below 1e-4, and a quotient near its pole below 3e-4."""

LEAST_SNR_DB, LEAST_ERROR = 10.0, 0.02
"""Signal to noise below which an output is of no use, if its mean error exceeds the other as well."""

WRAPPED_WORST = 0.25
"""Own error of a layer that shows that values which wrap matter: an accumulator's may, if the result is right again."""

_SUMS = ("accum", "result")
"""Variables whose formats must all hold a layer's sums."""

_STEPS = 128
"""Steps that a proposed format has within the range of a result."""


_GOOD_ERROR = 0.005
"""Own error to which a proposed budget brings a layer down."""

_MOST_BITS = 128
"""Bits on either side of the point beyond which no format is proposed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A layer at which results go wrong: what is wrong with it, and the remedy."""

    layer: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"layer {self.layer!r}: {self.found}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with the results as a whole, and the layers where it starts; both empty if nothing is."""

    found: str = ""
    problems: tuple[Problem, ...] = ()


def judge(network: Network, measured: Measured, *, calibrated: bool) -> Verdict:
    """The verdict on a network as it was compiled. Rare wraps are held against it only if the data are the user's."""
    nodes = {node.name: node for node in network.nodes}
    rows = {row.layer: row for row in measured.rows if row.layer is not None}
    causes = _Causes(nodes, measured)
    bad = [
        rows[name]
        for name in network.outputs
        if name in rows and _is_bad(rows[name], measured.spans[name], network, name)
    ]
    if bad:
        starts = _starts(network, measured, rows, [str(row.layer) for row in bad])
        return Verdict(_said(bad), tuple(map(causes.of, starts)))
    wrong = [row for name, row in rows.items() if _mistranslated(row, measured.spans[name], _made_by(nodes, name))]
    if calibrated:
        wrong += [row for row in rows.values() if row not in wrong and _wraps(row)]
    if not wrong:
        return Verdict()
    return Verdict("results inside differ from the float model's", tuple(map(causes.of, wrong)))


def _is_bad(row: LayerFidelity, of: Span, network: Network, name: str) -> bool:
    error, before = row.error or 0.0, _ancestors(network, [name])
    # Where a layer jumps the last place decides, even of 16 bits.
    useless = row.snr_db is not None and row.snr_db < LEAST_SNR_DB and error > LEAST_ERROR
    if any(node.settings.precision or node.layer.jumps for node in before):
        return useless
    # The steps go by the greatest magnitude: of results that hardly vary, they are a large share of the range.
    too_large = error * of.size / of.largest > AUTO_ERROR * _allowance(before)
    return too_large or (useless and _allowance(before) > 1.0)


def _mistranslated(row: LayerFidelity, of: Span, makers: Sequence[NetworkNode]) -> bool:
    """True if neither a format nor a budget of the user's excuses the layer's own error."""
    share = of.size / of.largest / _allowance(makers)
    wrong = share * (row.own or 0.0) > AUTO_OWN_ERROR or share * (row.own_worst or 0.0) > AUTO_OWN_WORST
    return wrong and not any(node.settings.precision for node in makers)


def _made_by(nodes: Mapping[str, NetworkNode], name: str) -> list[NetworkNode]:
    """The node called ``name``, and those that are folded into it."""
    found, waiting = [], [name]
    while waiting:
        node = nodes[waiting.pop()]
        found.append(node)
        waiting += [before for before in node.inputs if nodes[before].folded]
    return found


def _budgets(nodes: Iterable[NetworkNode]) -> dict[str, int]:
    """The least budgets of ``nodes``, of results and, if they have any, of weights."""
    found: dict[str, int] = {}
    for node in nodes:
        bits = node.settings.bits
        found["result"] = min(bits.result, found.get("result", bits.result))
        if FACTORS.intersection(node.layer.variables()):
            found["weight"] = min(bits.weight, found.get("weight", bits.weight))
    return found


def _allowance(nodes: Iterable[NetworkNode]) -> float:
    """How many times the error of 16 bits the budgets of ``nodes`` may cost."""
    return 2.0 ** max(AUTO_BITS - min(_budgets(nodes).values()), 0)


def _wraps(row: LayerFidelity) -> bool:
    return bool(row.wrapped) and (row.own_worst or 0.0) > WRAPPED_WORST


def _said(bad: Sequence[LayerFidelity]) -> str:
    first = bad[0]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return (
        f"output {first.layer!r}{more} differs from the float model's by {percent(first.error)} of its range, "
        f"at worst by {percent(first.worst)}"
    )


def _ancestors(network: Network, names: Sequence[str]) -> list[NetworkNode]:
    """The nodes that ``names`` depend on, and these."""
    wanted, found = set(names), []
    for node in reversed(network.nodes):
        if node.name in wanted:
            found.append(node)
            wanted.update(node.inputs)
    return found[::-1]


def _starts(
    network: Network, measured: Measured, rows: dict[str, LayerFidelity], bad: Sequence[str]
) -> list[LayerFidelity]:
    """The layers that add most of the error, or would if those before them did not, in the order of evaluation."""
    before = [node for node in _ancestors(network, bad) if node.name in rows]
    most = max(rows[node.name].own or 0.0 for node in before)
    least = max(most / 4, LEAST_ERROR / 4)
    starts = [
        rows[node.name]
        for node in before
        if (rows[node.name].own or 0.0) >= least or _would_wrap(node, measured.spans[node.name])
    ]
    # Where no layer stands out the error has gathered: it is named where half of it is reached.
    whole = max(rows[name].error or 0.0 for name in bad)
    return starts or [row for row in (rows[node.name] for node in before) if (row.error or 0.0) >= whole / 2][:1]


def _would_wrap(node: NetworkNode, reached: Span) -> bool:
    """True if the float model's results wrap in the format of the layer's."""
    fmt = node.settings.precision.get("result")
    return fmt is not None and fmt.overflow is Overflow.WRAP and not _holds(fmt, reached)


@dataclass(frozen=True, slots=True)
class _Causes:
    """Finds out why a layer's results are wrong."""

    nodes: dict[str, NetworkNode]
    measured: Measured

    def of(self, row: LayerFidelity) -> Problem:
        """The most likely cause, and the remedy."""
        name = str(row.layer)
        node = self.nodes[name]
        losses = sorted(
            (loss for loss in self.measured.losses if loss.layer == name and loss.format is not None),
            key=lambda loss: (loss.overflow is not Overflow.WRAP, -loss.share),
        )
        if losses:
            return self._lost(losses[0])
        fmt = node.settings.precision.get("result")
        if _would_wrap(node, self._span(name)):
            reached = self._span(name)
            found = f"its float results reach {reached.lo + 0.0:.4g} .. {reached.hi:.4g}, beyond {fmt}"
            return Problem(name, found, self._room(name, "result", reached))
        if fmt is not None and 2.0**-fmt.frac * 8 > self._span(name).size:
            wanted = _enough(fmt, self._span(name))
            found = f"the steps of {fmt} are too large for a range of {self._span(name).size:.3g}"
            return Problem(name, found, f"give it result: {wanted}")
        for variable, values in node.layer.weights().items():
            given = node.settings.precision.get(variable)
            if given is not None and not _holds(given, span(values)):
                return self._clipped(node, variable, values)
        if row.zeroed and node.layer.weights().keys() & node.settings.precision.keys():
            return self._rounded_away(row, node)
        if node.settings.precision:
            given_all = ", ".join(f"{variable} {format_}" for variable, format_ in node.settings.precision.items())
            finer = {name: _finer(given) for name, given in node.settings.precision.items()}
            return Problem(name, f"its formats lose too much ({given_all})", f"give it {_listed(finer)}, or auto")
        makers = _made_by(self.nodes, name)
        if _allowance(makers) > 1.0 and not _mistranslated(row, self._span(name), makers):
            return self._short_of_bits(row, makers)
        found = f"it differs from its float meaning by {percent(row.own)} of its range, at worst by {percent(row.own_worst)}"
        return Problem(name, found, "no format of yours is to blame: please report it with the model")

    def _short_of_bits(self, row: LayerFidelity, makers: Sequence[NetworkNode]) -> Problem:
        budgets = _budgets(makers)
        few = min(budgets.values())
        enough = min(few + math.ceil(math.log2(max((row.own or 0.0) / _GOOD_ERROR, 2.0))), AUTO_BITS)
        short = [name for name, bits in budgets.items() if bits == few]
        of = "" if len(short) == len(budgets) else f" of {short[0]}s"
        found = f"auto keeps {few} bits{of}, and it differs from its float meaning by {percent(row.own)} of its range"
        remedy = f"give it Bits: {enough}" if not of else f"give it Bits: {{{short[0]}: {enough}}}"
        return Problem(str(row.layer), found, remedy)

    def _span(self, name: str) -> Span:
        return self.measured.spans[name]

    def _lost(self, loss: Loss) -> Problem:
        reached = self._span(loss.layer) if loss.variable == "result" else Span(loss.lo, loss.hi)
        reached = Span(min(reached.lo, loss.lo), max(reached.hi, loss.hi))
        found = str(replace(loss, lo=reached.lo, hi=reached.hi)).partition(": ")[2]
        return Problem(loss.layer, found, self._room(loss.layer, loss.variable, reached))

    def _room(self, layer: str, variable: str, reached: Span) -> str:
        """The remedy: formats of a layer that hold what is ``reached``."""
        formats = {
            name: _enough(fmt, reached)
            for name, fmt in self.nodes[layer].settings.precision.items()
            if name == variable or (name in _SUMS and not _holds(fmt, reached))
        }
        return f"give it {_listed(formats)}"

    def _clipped(self, node: NetworkNode, variable: str, values: Floats) -> Problem:
        fmt, reached = node.settings.precision[variable], span(values)
        found = f"its {variable} reaches {reached.lo + 0.0:.4g} .. {reached.hi:.4g} and saturates in {fmt}"
        return Problem(node.name, found, f"give it {variable}: {_enough(fmt, reached)}")

    def _rounded_away(self, row: LayerFidelity, node: NetworkNode) -> Problem:
        trained = node.layer.weights()
        variable, fmt = next((v, f) for v, f in node.settings.precision.items() if v in trained)
        values = trained[variable]
        wanted = _enough(fmt, span(values))
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


def _finer(fmt: FixedFormat) -> FixedFormat:
    """``fmt`` with a sixteenth of its step."""
    return replace(fmt, width=fmt.width + 4, frac=fmt.frac + 4)


def _enough(fmt: FixedFormat, reached: Span) -> FixedFormat:
    """``fmt`` with as many more bits as hold what is ``reached``, in not too few steps."""
    signed = fmt.signed or reached.lo < 0
    integer = min(math.frexp(max(reached.hi, -reached.lo, 2.0**-fmt.frac))[1] + int(signed), _MOST_BITS)
    frac = max(fmt.frac, min(math.ceil(math.log2(_STEPS) - math.log2(reached.size)), _MOST_BITS))
    return replace(fmt, signed=signed, width=max(integer + frac, 1), frac=frac)
