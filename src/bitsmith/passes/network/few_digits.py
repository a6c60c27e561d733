"""Rounds weights to values of few signed digits, which cost few adders, and lets other weights make up for the errors.

Before: a network with float weights. After: the same with kernels on the grid that ``auto`` would give them, of layers with a
``digit_price`` whose weights nothing else decides; zeros for channels that are not worth their ``channel_price``
(:mod:`bitsmith.passes.network.dear_channels`). A column is rounded to the values at which the error that its sum makes in the
outputs, plus the price of its digits, is least. Errors are those beside the float model's sums, for operands that rounded layers
before give, so that these are made up for, too. They count as much as outputs show them
(:mod:`bitsmith.passes.network.sensitivity`), and the bias takes their mean off. Weights are rounded one after another, the one
whose operand is strongest first. What is left of the error is taken off those that follow, as E. Frantar et al. (GPTQ, 2023) do
it. Then each is looked at again beside all others. Rows and columns of unlike scale are like each other for that (as M. Nagel et
al. equalize layers, 2019), so that their weights have steps of their own: :attr:`NetworkNode.fracs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.blas import one_thread
from bitsmith.base.project import digest
from bitsmith.ir.types import Fracs
from bitsmith.layers.auto import constant_frac
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import FACTORS, Weights
from bitsmith.passes.network.calibration import input_batches
from bitsmith.passes.network.dear_channels import rows_that_stay, weights_of_channels
from bitsmith.passes.network.sensitivity import Sensitivity

_SAMPLES, _ROWS = 2048, 1 << 14
"""Most samples, and rows of operands, that are looked at, evenly spaced."""

_DAMPING = 0.01
"""Share of the mean variance of operands that is added to each."""

_PARTS = 256
"""Most parts of the samples whose moments are compared."""

_EXACT = 1e-9
"""Share of the mean square of operands below which their variance may be what rounding leaves of constants."""

_UNSEEN = 0.1
"""Weight of rows at which outputs show nothing of a small error, beside the mean: larger ones, or other samples, may."""

_MOMENTS = 1 << 24
"""Most numbers in the moments of columns that are weighted each for itself."""

_ALIKE = 3
"""Bits by which scales of rows, and those of sums, differ at most where all weights have one step."""

_SWEEPS = 3
"""Times that each weight is looked at again."""


@dataclass(slots=True)
class Known:
    """Knowledge of one float network and its calibration data: the ``content`` of both, and what follows from it.

    Attributes:
        wanted: what layers are to give, by node and variable.
        channels: the weights of each channel that a layer reads, by the layer's name.
        rounded: layers with weights of few digits, by what decided them.
    """

    content: str = ""
    wanted: dict[str, dict[str, _Wanted | None]] = field(default_factory=dict)
    channels: dict[str, Floats | None] = field(default_factory=dict)
    rounded: dict[tuple[_Choice, ...], tuple[Layer, dict[str, Fracs]]] = field(default_factory=dict)


def few_digits(network: Network, calibration: Sequence[Floats] | None, known: Known | None = None) -> Network:
    """``network`` with weights of few digits where layers have a price for these.

    What is ``known`` is not computed again, and what is computed is known then.
    """
    priced = {node.name: free for node in network.nodes if _has_price(node) and (free := _free(node))}
    if not priced:
        return network
    inputs, _ = input_batches(network, calibration)
    few = [batch[_evenly(len(batch), _SAMPLES)] for batch in inputs]
    with np.errstate(all="ignore"), one_thread():
        known = _of_content(known or Known(), network, few)
        _learn(known, network, few, priced)
        rounded, choices = dict[str, NetworkNode](), _choices(network, priced)

        def revised(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
            if node.name not in priced:
                return result
            decided = choices[node.name]
            if decided not in known.rounded:
                wanted = {each: known.wanted[node.name][each] for each in priced[node.name]}
                known.rounded[decided] = _rounded(node, operands, wanted, known.channels[node.name])
            layer, fracs = known.rounded[decided]
            rounded[node.name] = replace(node, layer=layer, fracs={**node.fracs, **fracs})
            return rounded[node.name].layer.reference(operands)

        for _ in network.evaluation(few, revised):
            pass
    return network.with_nodes([rounded.get(node.name, node) for node in network.nodes])


def _learn(known: Known, network: Network, inputs: Sequence[Floats], priced: Mapping[str, tuple[str, ...]]) -> None:
    """Let ``known`` have what is wanted of each of the ``priced`` variables."""
    if all(each in known.wanted.get(name, ()) for name, free in priced.items() for each in free):
        return
    sensitivity = Sensitivity.of(network, inputs)
    for node, operands, _ in network.evaluation(inputs):
        wanted = known.wanted.setdefault(node.name, {})
        if node.name in priced and node.name not in known.channels:
            known.channels[node.name] = weights_of_channels(network, node, sensitivity.results)
        for each in priced.get(node.name, ()):
            if each not in wanted:
                wanted[each] = _Wanted.of(node, each, operands, sensitivity)


_Choice: TypeAlias = tuple[str, tuple[str, ...], int, float, float, bool]
"""A node, the variables that are rounded, their bits, the prices of digits and channels, and whether a mean error stays."""


def _choices(network: Network, priced: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[_Choice, ...]]:
    """All that decides the weights of each node: its own choice, and those of the nodes that it depends on."""
    choices = dict[str, tuple[_Choice, ...]]()
    for node in network.nodes:
        before = dict.fromkeys(choice for name in node.inputs for choice in choices[name])
        if node.name in priced:
            settings = node.settings
            own = settings.bits.weight, settings.digit_price, settings.channel_price, _stays(node)
            before[node.name, priced[node.name], *own] = None
        choices[node.name] = tuple(before)
    return choices


def _of_content(known: Known, network: Network, inputs: Sequence[Floats]) -> Known:
    """Return what is known of a network with such inputs: nothing if it was another."""
    parts = [part for node in network.nodes for part in _content((node.name, node.inputs, node.layer))]
    content = digest(*parts, *network.outputs, *(batch.tobytes() for batch in inputs))
    if known.content != content:
        known.content = content
        known.wanted.clear()
        known.channels.clear()
        known.rounded.clear()
    return known


def _content(value: object) -> Iterator[str | bytes]:
    """The parts of a digest that tell a value from others."""
    if isinstance(value, np.ndarray):
        yield from (f"{value.dtype}{value.shape}", value.tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__qualname__
        for each in fields(value):
            yield from _content(getattr(value, each.name))
    elif isinstance(value, Mapping):
        yield from (part for pair in value.items() for part in _content(pair))
    elif isinstance(value, tuple | list):
        yield str(len(value))
        yield from (part for each in value for part in _content(each))
    else:
        yield repr(value)


def _stays(node: NetworkNode) -> bool:
    """Return True if no bias may take a mean error off."""
    return not (node.layer.trained.keys() - FACTORS).isdisjoint(node.settings.precision)


def _has_price(node: NetworkNode) -> bool:
    """Return True if weights of few digits, or fewer channels, are worth an error."""
    return node.settings.digit_price > 0 or ("channel_price" in node.layer.options and node.settings.channel_price > 0)


def _free(node: NetworkNode) -> tuple[str, ...]:
    """The variables of a layer whose values nothing but the rules of ``auto`` decides."""
    layer, settings = node.layer, node.settings
    if "digit_price" not in layer.options or settings.weights is not Weights.ONCHIP:
        return ()
    factors = [name for name in layer.weights() if name in FACTORS]
    decided = {*settings.precision, *node.quantizers}
    return tuple(
        name for name in factors if name not in decided and layer.weight_exponents(name, settings.bits.weight) is None
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A float model's products (groups, count, columns) with a trained tensor, and the effects of their errors on outputs."""

    products: Floats
    effects: Floats
    scales: tuple[Floats, Floats]

    @classmethod
    def of(
        cls, node: NetworkNode, variable: str, operands: Sequence[Floats], sensitivity: Sensitivity
    ) -> _Wanted | None:
        """Those of a layer; None if its tensor does other things than to multiply."""
        trained = node.layer.trained_products(variable, operands)
        if trained is None:
            return None
        products, effects = trained.rows @ trained.matrices, sensitivity.at(node.name)
        groups, count, columns = products.shape
        if trained.effects is None:
            of_sums = effects.reshape(count, groups, columns).transpose(1, 0, 2)
            return cls(products, of_sums, _scales(trained.rows, of_sums))
        of_columns = trained.effects() @ effects.reshape(-1, effects.shape[-1]).mean(axis=0)
        plain = np.ones(trained.matrices.shape[:2]), np.ones((groups, columns))
        return cls(products, np.broadcast_to(of_columns.reshape(groups, 1, columns), products.shape), plain)


def _scales(rows: Floats, effects: Floats) -> tuple[Floats, Floats]:
    """Powers of two (groups, n) and (groups, columns) by which ``rows`` and sums are like each other; 1 where they are anyway.

    Scales of rows are their ranges, those of sums are such that errors have the same ``effects``.
    """
    exponents = [_exponents(np.ptp(rows, axis=1) ** 2), _exponents(1.0 / effects.mean(axis=1))]
    alike = max(int(np.ptp(each)) for each in exponents) <= _ALIKE
    above, below = (np.ldexp(1.0, 0 * each if alike else each) for each in exponents)
    return above, below


def _exponents(squares: Floats) -> npt.NDArray[np.int64]:
    """The powers of two next to the roots of ``squares``, beside the middle one; 0 for those that are 0 or infinite."""
    shown = (squares > 0.0) & np.isfinite(squares)
    roots = np.log2(np.where(shown, squares, 1.0)) / 2.0
    middle = np.median(roots[shown]) if np.any(shown) else 0.0
    return np.asarray(np.where(shown, np.rint(roots - middle), 0.0), dtype=np.int64)


def _rounded(
    node: NetworkNode, operands: Sequence[Floats], wanted: Mapping[str, _Wanted | None], channels: Floats | None
) -> tuple[Layer, dict[str, Fracs]]:
    """The layer of a node with weights of few digits, and their fractional bits where one step for all would not do.

    The node reads ``channels`` of so many weights.
    """
    layer, bits, fixed, fracs = node.layer, node.settings.bits.weight, _stays(node), dict[str, Fracs]()
    prices = None if channels is None else node.settings.channel_price * channels
    for variable, goal in wanted.items():
        products = layer.trained_products(variable, operands)
        if goal is None or products is None:
            continue
        chosen, centered = _evenly(products.rows.shape[1], _ROWS), products.biased and not fixed
        of_rows, of_columns = goal.scales
        matrices = products.matrices * of_rows[..., None] / of_columns[:, None]
        step = 2.0 ** -constant_frac(matrices, bits)
        revised, shifts = [], []
        for matrix, rows, sums, effects, above, below in zip(
            matrices,
            products.rows / of_rows[:, None],
            goal.products / of_columns[:, None],
            goal.effects * of_columns[:, None] ** 2,
            of_rows,
            of_columns,
            strict=True,
        ):
            parts = _parts(chosen, rows, len(operands[0]))
            fit = _Fit.of(matrix / step, rows[chosen] * step, sums[chosen], effects[chosen], parts, centered=centered)
            integers = fit.rounded(bits, node.settings.digit_price, prices)
            revised.append(step * integers * below / above[:, None])
            shifts.append(fit.shift(integers) * below)
        layer = products.revised(np.stack(revised), np.concatenate(shifts))
        if np.any(of_rows != 1.0) or np.any(of_columns != 1.0):
            steps = products.revised(step * of_columns[:, None] / of_rows[..., None], np.zeros(of_columns.size))
            fracs[variable] = -np.frexp(steps.weights()[variable])[1] + 1
    return layer, fracs


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Least squares of ``m`` columns of ``n`` weights, in steps: the moments of operands, all alike or one for each column.

    Attributes:
        moments: of operands, (m, n, n) or (1, n, n).
        targets: of operands with the sums that are wanted, (m, n).
        means: of operands, (m, n) or (1, n), which moments are about.
        sums: means of the sums, (m,).
        effects: what a squared error of each sum makes of the outputs, (m,).
    """

    moments: Floats
    targets: Floats
    means: Floats
    sums: Floats
    effects: Floats

    @classmethod
    def of(
        cls,
        matrix: Floats,
        rows: Floats,
        sums: Floats,
        effects: Floats,
        parts: npt.NDArray[np.int64],
        *,
        centered: bool,
    ) -> _Fit:
        """The fit of a ``matrix`` (n, m) that ``rows`` (count, n) are multiplied by, whose errors have ``effects`` (count, m).

        Weights without a reason to change stay near the matrix. The mean error does not count where it is ``centered``, as a bias
        takes it off. Correlations count as far as other samples would show them, as ``parts`` of these tell.
        """
        n, m = matrix.shape
        total = effects.mean(axis=0)
        weights = effects / np.where(total > 0.0, total, 1.0) + _UNSEEN
        if m * n * n > _MOMENTS:
            weights = weights.mean(axis=1, keepdims=True)
        weights = weights / weights.mean(axis=0) / len(rows)
        moments = np.stack([(rows * weight[:, None]).T @ rows for weight in weights.T])
        targets, means, wanted = (weights * sums).T @ rows, weights.T @ rows, (weights * sums).sum(axis=0)
        place = np.arange(n)
        least = _EXACT * moments[:, place, place].mean(axis=1)
        if not centered:
            means, wanted = np.zeros_like(means), np.zeros_like(wanted)
        moments -= means[:, :, None] * means[:, None, :]
        targets -= means * wanted[:, None]
        kept = 1.0 - _chance(rows - means.mean(axis=0), weights.mean(axis=1), parts)
        nearby = (moments @ matrix.T[:, :, None])[..., 0]
        diagonal = moments[:, place, place]
        moments *= kept
        moments[:, place, place] = diagonal
        targets = kept * (targets - nearby) + (moments @ matrix.T[:, :, None])[..., 0]
        damping = np.maximum(_DAMPING * moments[:, place, place].mean(axis=1), least)
        damping = np.where(damping > 0.0, damping, 1.0)
        moments[:, place, place] += damping[:, None]
        return cls(moments, targets + damping[:, None] * matrix.T, means, wanted, total)

    def rounded(self, bits: int, price: float, channels: Floats | None = None) -> Floats:
        """Integers (n, m) of at most ``bits`` bits; each digit costs ``price``, in units of the outputs' variance.

        They are zero for ``channels`` of operands that are not worth these prices of theirs.
        """
        if channels is not None and np.any(channels):
            rows = rows_that_stay(self.moments, self.targets, self.effects, channels)
            some = replace(self, moments=self.moments[:, rows][:, :, rows], targets=self.targets[:, rows])
            integers = np.zeros(self.targets.shape[::-1])
            integers[rows] = some.rounded(bits, price)
            return integers
        place = np.arange(self.targets.shape[1])
        strength = self.moments[:, place, place]
        order = np.argsort(-strength.mean(axis=0), kind="stable")
        prices = price / np.maximum(self.effects, np.finfo(np.float64).tiny)
        inverse = np.linalg.inv(self.moments[:, order][:, :, order])
        factor = np.linalg.cholesky(inverse).transpose(0, 2, 1)
        left = (inverse @ self.targets[:, order, None])[..., 0]
        integers = np.empty_like(left)
        for row, weight in enumerate(order):
            scale = factor[:, row, row]
            integers[:, weight] = nearest = _nearest(left[:, row], bits, prices * scale**2)
            left[:, row + 1 :] -= factor[:, row, row + 1 :] * ((left[:, row] - nearest) / scale)[:, None]
        for weight in np.tile(order, _SWEEPS if len(self.moments) > 1 else 0):
            others = (self.moments[:, weight] * integers).sum(axis=1) - strength[:, weight] * integers[:, weight]
            best = (self.targets[:, weight] - others) / strength[:, weight]
            integers[:, weight] = _nearest(best, bits, prices / strength[:, weight])
        return np.asarray(integers.T)

    def shift(self, found: Floats) -> Floats:
        """The mean error of each sum, which a bias takes off."""
        return np.asarray(self.sums - (self.means * found.T).sum(axis=1))


def _parts(rows: npt.NDArray[np.int64], every: Floats, samples: int) -> npt.NDArray[np.int64]:
    """The places at which parts of ``rows`` begin, each of a sample or some, among ``every`` row of so many samples."""
    of_sample = rows * samples // len(every)
    part = of_sample * min(samples, _PARTS) // samples
    return np.flatnonzero(np.diff(part, prepend=-1))


def _chance(rows: Floats, weights: Floats, parts: npt.NDArray[np.int64]) -> float:
    """The share of correlations of operands that other samples would not show.

    It is the mean squared error of these moments beside their mean square, as J. Schafer and K. Strimmer (2005) shrink them. How
    much moments differ between ``parts`` of the samples tells the error.
    """
    if len(parts) < 2:
        return 0.0
    total, squares = np.zeros((2, rows.shape[1], rows.shape[1]))
    for some, weight in zip(np.split(rows, parts[1:]), np.split(weights, parts[1:]), strict=True):
        moment = (some * weight[:, None]).T @ some
        total += moment
        squares += moment**2
    apart = ~np.eye(len(total), dtype=np.bool_)
    error = (squares - total**2 / len(parts))[apart].sum() * len(parts) / (len(parts) - 1)
    return float(min(error / max((total**2)[apart].sum(), np.finfo(np.float64).tiny), 1.0))


def _nearest(values: Floats, bits: int, price: Floats) -> Floats:
    """Integers of at most ``bits`` bits at which the squared distance plus the price of all digits is least."""
    best, least = np.zeros_like(values), values**2
    for digits, integers in _of_digits(bits).items():
        above = np.clip(np.searchsorted(integers, values), 1, len(integers) - 1)
        low, high = integers[above - 1], integers[above]
        near = np.where(values - low <= high - values, low, high)
        cost = (values - near) ** 2 + price * digits
        best, least = np.where(cost < least, near, best), np.minimum(cost, least)
    return best


@lru_cache(maxsize=32)
def _of_digits(bits: int) -> Mapping[int, Floats]:
    """Integers of at most ``bits`` bits by their number of non-zero digits in canonical signed form, from one digit on."""
    most = 1 << (bits - 1)
    integers = np.arange(-most, most + 1)
    digits = _digits(np.abs(integers))
    return {count: integers[digits == count].astype(np.float64) for count in range(1, int(digits.max()) + 1)}


def _digits(magnitudes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The non-zero digits of the canonical signed form: those of ``v ^ 3 v``."""
    places = np.arange(int(magnitudes.max()).bit_length() + 2)
    return np.asarray(((magnitudes ^ (3 * magnitudes))[:, None] >> places & 1).sum(axis=1), dtype=np.int64)


def _evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
