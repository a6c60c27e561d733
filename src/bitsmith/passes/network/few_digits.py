"""Rounds weights to values of few signed digits, which cost few adders, and lets other weights make up for the errors.

Before: a network with float weights. After: the same with kernels on the grid that ``auto`` would give them, of layers with a
``digit_price`` whose weights nothing else decides. Weights are rounded one row after another, the one whose operand is strongest
first. Each is the value at which the error of the result plus the price of its digits is least; what is left of the error is
taken off the rows that follow, as E. Frantar et al. (GPTQ, 2023) do it, and the mean of what remains off the bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bitsmith.base.blas import one_thread
from bitsmith.layers.auto import constant_frac
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import FACTORS, Weights
from bitsmith.passes.network.calibration import input_batches

_SAMPLES, _ROWS = 1024, 1 << 14
"""Most samples, and rows of operands, that are looked at, evenly spaced."""

_DAMPING = 0.01
"""Share of the mean variance of operands that is added to each: correlations of few samples are not trusted."""


_WEIGHTS = 1 / 64, 64
"""Least and most that errors of a column count beside those of others."""


def few_digits(network: Network, calibration: Sequence[Floats] | None) -> Network:
    """``network`` with weights of few digits where layers have a price for these."""
    priced = {node.name: free for node in network.nodes if node.settings.digit_price > 0 and (free := _free(node))}
    if not priced:
        return network
    inputs, _ = input_batches(network, calibration)
    few = [batch[_evenly(len(batch), _SAMPLES)] for batch in inputs]
    with one_thread():
        wanted = {
            node.name: {variable: _Wanted.of(node, variable, operands) for variable in priced[node.name]}
            for node, operands, _ in network.evaluation(few)
            if node.name in priced
        }
        rounded: dict[str, NetworkNode] = {}

        def revised(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
            if node.name not in priced:
                return result
            rounded[node.name] = _rounded(node, operands, wanted[node.name])
            return rounded[node.name].layer.reference(operands)

        for _ in network.evaluation(few, revised):
            pass
    return network.with_nodes([rounded.get(node.name, node) for node in network.nodes])


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
    """The means (groups, columns) of a float model's products with a trained tensor, and their variance in each group."""

    means: Floats
    variances: Floats

    @classmethod
    def of(cls, node: NetworkNode, variable: str, operands: Sequence[Floats]) -> _Wanted | None:
        """Those of a layer; None if its tensor does other things than to multiply."""
        found = node.layer.trained_products(variable, operands)
        if found is None:
            return None
        products = found.rows @ found.matrices
        return cls(products.mean(axis=1), products.var(axis=1).mean(axis=1))


def _rounded(node: NetworkNode, operands: Sequence[Floats], wanted: Mapping[str, _Wanted | None]) -> NetworkNode:
    """The node with weights of few digits; digits are worth a share of the variance of all its products."""
    layer, bits, price = node.layer, node.settings.bits.weight, node.settings.digit_price
    spreads = np.sum([each.variances for each in wanted.values() if each is not None], axis=0)
    for variable, each in wanted.items():
        products = layer.trained_products(variable, operands)
        if each is None or products is None:
            continue
        matrices, rows = products.matrices, products.rows[:, _evenly(products.rows.shape[1], _ROWS)]
        step = 2.0 ** -constant_frac(matrices, bits)
        found = np.stack(
            [
                _few_digits(matrix, part, step, bits, price * spread / np.clip(products.weight, *_WEIGHTS))
                for matrix, part, spread in zip(matrices, rows, spreads, strict=True)
            ]
        )
        shift = each.means - (products.rows.mean(axis=1, keepdims=True) @ found)[:, 0]
        fixed = not (layer.trained.keys() - FACTORS).isdisjoint(node.settings.precision)
        layer = products.revised(found, np.zeros(shift.size) if fixed else shift.ravel())
    return replace(node, layer=layer)


def _few_digits(matrix: Floats, rows: Floats, step: float, bits: int, price: Floats) -> Floats:
    """A matrix (n, m) rounded to multiples of ``step``; ``rows`` (count, n) are what it is multiplied by.

    ``price`` (m,) of a digit of each column is in units of the result's variance.
    """
    moments = rows.T @ rows / len(rows)
    strength = np.diag(moments)
    damped = moments + _DAMPING * (float(strength.mean()) or 1.0) * np.eye(len(matrix))
    order = np.argsort(-strength, kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left, found = matrix[order] / step, np.empty_like(matrix)
    for row, weights in enumerate(left):
        scale = factor[row, row]
        found[order[row]] = nearest = _nearest(weights, bits, price * (scale / step) ** 2)
        left[row + 1 :] -= np.outer(factor[row, row + 1 :], (weights - nearest) / scale)
    return found * step


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
