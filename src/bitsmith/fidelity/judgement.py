"""Judgement of results that differ from the float model's by more than the user's formats excuse: causes and remedies.

In: what was measured. Out: problems, each with the layer at which it starts. Of a network whose formats are all of ``auto``
nearly nothing is excused but what its budget costs; formats of the user's may cost a lot, but not the results. Limits are well
away from what ordinary networks show: those of ``auto`` stay below 0.1 % of the range in 16 bits, and in fewer below 2 to the
power of (16 - bits) times that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bitsmith.fidelity.budgets import allowance, excused, made_by
from bitsmith.fidelity.causes import Causes, Problem, would_wrap
from bitsmith.fidelity.channels import Channel
from bitsmith.fidelity.measure import AUTO_WORST, Comparison, Measured
from bitsmith.fidelity.shortfall import LEAST_ERROR, LEAST_SNR_DB, SATURATED_ERROR
from bitsmith.fidelity.ties import decides_anew
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.report.sections import LayerFidelity, percent

AUTO_ERROR = 0.01
"""Mean error of an output that formats of ``auto`` never cause."""

MOST_STEP = 2.0**-9
"""The step of ten bits, as a share of a range: ``auto`` gives no coarser ones."""

AUTO_OWN_ERROR, AUTO_OWN_WORST = 4e-4, 4e-3
"""A layer's own mean and greatest error, as shares of its range or greatest magnitude, that formats of ``auto`` never cause: with
16 bits most stay below 1e-4, and a quotient near its pole below 3e-4. A step of the format is allowed besides: beside an outlier
it is a tenth of a percent."""

CHANNEL_OWN_ERROR, CHANNEL_OWN_WORST = 1e-3, 8e-3
"""A layer's own mean and greatest error of a channel beyond the steps of its format, as shares of the channel's range or greatest
magnitude: in 324 networks of all kinds 3e-5 and 8e-5 at most."""

RIGHT_ERROR, RIGHT_WORST = AUTO_OWN_ERROR, AUTO_OWN_WORST / 4.0
"""Mean and greatest error of an output below which nothing before it can be wrong in a way that counts."""

FEW_OFF = 1 / 32
"""Share of values that decisions may make others in generated samples, or anew in each step, where one moves all that come."""

WRAPPED_WORST = 0.25
"""Own error of a layer that shows that values which wrap matter: an accumulator's may, if the result is right again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Faults of the results as a whole, and the layers where they start; both empty without a fault."""

    found: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wrong:
    """An output that is of no use, one of its channels, or samples of it that are decided otherwise, of how many.

    It may be values that ``saturate`` which make it so.
    """

    row: LayerFidelity
    channel: Channel | None = None
    samples: str = ""
    saturate: bool = False

    @property
    def name(self) -> str:
        """The layer whose result it is."""
        return str(self.row.layer)

    def __str__(self) -> str:
        which, figures = (
            (f"output {self.name!r}", (self.row.error, self.row.worst))
            if self.channel is None
            else (f"channel {self.channel.index} of output {self.name!r}", (self.channel.error, self.channel.worst))
        )
        mean, worst = map(percent, figures)
        if self.samples:
            return f"{self.samples} samples are decided otherwise before {which}, which is off by up to {worst} of its range"
        return f"{which} differs from the float model's by {mean} of its range, at worst by {worst}"


def judge(network: Network, measured: Measured, *, calibrated: bool) -> Verdict:
    """The verdict on a network as it was compiled. Rare wraps are held against it only if the data are the user's."""
    nodes = {node.name: node for node in network.nodes}
    layers = measured.layers
    causes = Causes(nodes, measured)
    outputs = (_wrong(measured, network, name, calibrated=calibrated) for name in network.outputs if name in layers)
    bad = [wrong for wrong in outputs if wrong is not None]
    if bad:
        more = f" (and {len(bad) - 1} more)" * (len(bad) > 1)
        return Verdict(f"{bad[0]}{more}", tuple(_problems(network, measured, causes, bad)))
    right, ends = all(_is_right(layers, name) for name in network.outputs), {*network.outputs}
    shown = _shown(network) if right else set[str]()
    problems = [
        causes.of(layers[node.name].row, channel)
        for node in network.ancestors(network.outputs)
        if node.name in layers
        for channel in _inside(
            layers[node.name], made_by(nodes, node.name), calibrated=calibrated, right=node.name in shown
        )
        # Inside, steps that are coarse for one of several channels cost nothing where outputs are right. Inputs are only rounded.
        if not (right and channel is not None and node.name not in ends)
        or not (node.name in network.inputs or causes.finer_formats(node, channel))
    ]
    return Verdict("results inside differ from the float model's", tuple(problems)) if problems else Verdict()


def _wrong(measured: Measured, network: Network, name: str, *, calibrated: bool) -> _Wrong | None:
    """Return the fault of an output, if any."""
    layers = measured.layers
    layer, before = layers[name], network.ancestors([name])
    # Elsewhere than in the float model.
    jumps = any(one.layer.jumps and (one.name not in layers or layers[one.name].row.error != 0.0) for one in before)
    vague = jumps and (not calibrated or any(map(decides_anew, before)))
    limit = None if vague or excused(before) else AUTO_ERROR * allowance(before)
    row, lost = layer.row, layer.lost
    # The values that make the mean error if these are off by the worst, and the others right.
    if vague and (not row.error or not row.worst or (row.error / row.worst) ** 2 <= FEW_OFF):
        return None
    if jumps and limit == AUTO_ERROR and layer.samples:
        return _Wrong(row, samples=f"{layer.samples:,} of {layer.count:,}")
    varies = layer.span.size / layer.span.largest
    if _is_useless(row.error or 0.0, row.snr_db, varies, limit):
        return _Wrong(row)
    far = limit is not None and (row.worst or 0.0) * varies > AUTO_WORST * allowance(before)
    if far and name not in network.bounded():
        return _Wrong(row)
    if lost is not None and not jumps and _is_useless(lost.error, lost.snr_db, lost.size / lost.largest, limit):
        return _Wrong(row, lost)
    # Which values reach the limits of a format, only the user's data say.
    saturate = calibrated and name in measured.limited and (row.worst or 0.0) > SATURATED_ERROR
    return _Wrong(row, saturate=True) if saturate else None


def _is_useless(error: float, snr_db: float | None, varies: float, limit: float | None) -> bool:
    """True if a mean error is too large for results the range of which is that share of their greatest magnitude.

    ``limit`` is that of ``auto``; None where more is excused.
    """
    drowned = snr_db is not None and snr_db < LEAST_SNR_DB and error > LEAST_ERROR
    if limit is None:
        return drowned
    # The steps of auto go by the greatest magnitude: of results that hardly vary, they are a large share of the range.
    return error * varies > limit or (limit > AUTO_ERROR and drowned)


def _is_right(layers: Mapping[str, Comparison], name: str) -> bool:
    """True of an output that is as good as formats of ``auto`` make it."""
    if name not in layers or layers[name].lost is not None:
        return False
    row = layers[name].row
    return (row.error or 0.0) < RIGHT_ERROR and (row.worst or 0.0) < RIGHT_WORST


def _shown(network: Network) -> set[str]:
    """The nodes between inputs and outputs whose errors some output shows, because no layer jumps after them."""
    outputs = {*network.outputs}
    showing = {*outputs}
    for node in reversed(network.nodes):
        if node.name in showing and not node.layer.jumps:
            showing.update(node.inputs)
    return showing - outputs - {*network.inputs}


def _inside(
    layer: Comparison, makers: Sequence[NetworkNode], *, calibrated: bool, right: bool
) -> Iterator[Channel | None]:
    """Return the fault of a layer in itself, if any: a channel, or more (None). ``makers`` are the node and those in it.

    Where outputs show that it is ``right``, formats of ``auto`` are not held against it.
    """
    row, allowed = layer.row, allowance(makers)
    free = not right and not any(node.settings.precision or decides_anew(node) for node in makers)
    wraps = calibrated and bool(row.wrapped) and (row.own_worst or 0.0) > WRAPPED_WORST
    if wraps or (free and _mistranslated(layer, allowed)):
        yield None
    elif free and _is_astray(layer.astray, allowed):
        yield layer.astray


def _mistranslated(layer: Comparison, allowed: float) -> bool:
    """True if the layer's own error is more than formats of ``auto`` cause, ``allowed`` times that of 16 bits."""
    share = layer.span.size / layer.span.largest / allowed
    mean, worst = ((own or 0.0) - min(layer.step, MOST_STEP) for own in (layer.row.own, layer.row.own_worst))
    return share * mean > AUTO_OWN_ERROR or share * worst > AUTO_OWN_WORST


def _is_astray(channel: Channel | None, allowed: float) -> bool:
    if channel is None:
        return False
    return channel.own > CHANNEL_OWN_ERROR * allowed or channel.own_worst > CHANNEL_OWN_WORST * allowed


def _problems(network: Network, measured: Measured, causes: Causes, bad: Sequence[_Wrong]) -> Iterator[Problem]:
    """Return the layers where outputs start to be ``bad``: those that decide otherwise, or make errors large.

    Channels count where no output is bad as a whole.
    """
    whole: dict[str, Channel | None] = {wrong.name: None for wrong in bad if wrong.channel is None}
    before = network.ancestors([wrong.name for wrong in bad if wrong.samples or wrong.saturate])
    starts: dict[str, Channel | None] = {}
    for node in before:
        decides = node.name in measured.layers and measured.layers[node.name].bits != 0
        if decides and starts.keys().isdisjoint(each.name for each in network.ancestors([node.name])):
            starts[node.name] = None
    if all(wrong.saturate for wrong in bad):
        starts = {node.name: None for node in before if any(node.name in measured.limited[one] for one in whole)}
    starts = starts or _starts(network, measured, whole or dict(_followed(network, measured, bad)))
    for name, channel in starts.items():
        yield causes.of(measured.layers[name].row, channel)


def _followed(network: Network, measured: Measured, bad: Sequence[_Wrong]) -> Iterator[tuple[str, Channel | None]]:
    """The layers that a lost channel goes through on its own: back to that which makes it of all channels before."""
    for wrong in bad:
        node = network.node(wrong.name)
        yield node.name, wrong.channel
        while len(node.inputs) == 1 and not node.layer.weights():
            node = network.node(node.inputs[0])
            if node.name in measured.layers:
                yield node.name, measured.layers[node.name].lost


def _starts(network: Network, measured: Measured, bad: Mapping[str, Channel | None]) -> dict[str, Channel | None]:
    """The layers that add most of the error, or would if those before them did not, in the order of evaluation.

    Of layers in ``bad`` it is a channel that matters, if they have one there.
    """
    before = [node.name for node in network.ancestors(list(bad)) if node.name in measured.layers]
    channels = {name: bad.get(name) for name in before}
    added = {
        name: measured.layers[name].row.own or 0.0 if channel is None else channel.added
        for name, channel in channels.items()
    }
    least = max(max(added.values()) / 4, LEAST_ERROR / 4)
    starts = {
        name: channel
        for name, channel in channels.items()
        if added[name] >= least or would_wrap(network.node(name), measured.layers[name].span)
    }
    if starts:
        return starts
    # Where no layer stands out the error has gathered: it is named where half of it is reached.
    errors = {
        name: measured.layers[name].row.error or 0.0 if channel is None else channel.error
        for name, channel in channels.items()
    }
    name = next(name for name in before if errors[name] >= max(errors[each] for each in bad) / 2)
    return {name: channels[name]}
