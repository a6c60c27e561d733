"""The scalar functions that are built as tables, by the names that the frameworks use.

Definitions: the Keras 3 and PyTorch reference pages of the functions of these names.
"""

import math
from functools import cache, partial

import numpy as np

from bitsmith.layers import wide
from bitsmith.layers.layer import Floats
from bitsmith.layers.tables import Function

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
"""G. Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017."""

_ERF_STEPS, _ERF_ONE, _ERF_TERMS = 1024, 6, 6
"""Points of a unit about which ``erf`` is a series, the number from which on it rounds to 1, and terms of a series.

What is left out is below 1e-20: terms fall as the powers of half the distance of points.
"""


@cache
def _erf_series() -> Floats:
    """The coefficients of all series, by term and point: derivatives follow the recurrence of Hermite polynomials."""
    points = np.arange(_ERF_ONE * _ERF_STEPS + 1) / _ERF_STEPS
    derivatives = [np.array([math.erf(x) for x in points]), 2.0 / math.sqrt(math.pi) * np.exp(-points * points)]
    for order in range(1, _ERF_TERMS - 1):
        derivatives.append(-2.0 * points * derivatives[order] - 2.0 * (order - 1) * derivatives[order - 1])
    return np.array([values / math.factorial(order) for order, values in enumerate(derivatives)])


def erf(x: Floats) -> Floats:
    """The error function, within a few units in the last place: an eighth of the time of a call for each number."""
    beyond = np.minimum(np.abs(x), float(_ERF_ONE)) * _ERF_STEPS
    nearest = np.rint(np.fmin(beyond, float(_ERF_ONE * _ERF_STEPS)))
    beyond, places = (beyond - nearest) / _ERF_STEPS, nearest.astype(np.intp)
    series = _erf_series()
    total = series[-1].take(places)
    for terms in series[-2::-1]:
        total = total * beyond + terms.take(places)
    return np.asarray(np.copysign(total, x))


def sigmoid(x: Floats) -> Floats:
    """``1 / (1 + exp(-x))``, without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def softplus(x: Floats) -> Floats:
    """``log(1 + exp(x))``, without overflow."""
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))), dtype=np.float64)


def _gelu(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1.0 + erf(x / math.sqrt(2.0))), dtype=np.float64)


def _gelu_tanh(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))), dtype=np.float64)


def _negative_part(x: Floats) -> Floats:
    return np.asarray(np.expm1(np.minimum(x, 0.0)), dtype=np.float64)


def elu(alpha: float) -> Function:
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""
    return Function("elu", lambda x: np.maximum(x, 0.0) + alpha * _negative_part(x), (0.0,), right=1.0)


def celu(alpha: float) -> Function:
    """``x`` above 0, ``alpha * (exp(x / alpha) - 1)`` below."""
    return Function("celu", lambda x: np.maximum(x, 0.0) + alpha * _negative_part(x / alpha), (0.0,), right=1.0)


FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        Function("sigmoid", sigmoid, (), bounded=True),
        Function("tanh", np.tanh, (), bounded=True),
        Function("softplus", softplus, (), right=1.0),
        Function("softsign", lambda x: x / (1.0 + np.abs(x)), (), bounded=True, wide=wide.softsign),
        Function("exponential", lambda x: np.exp(np.minimum(x, 700.0)), (), wide=partial(wide.powers, base=math.e)),
        Function("exp2", lambda x: np.exp2(np.minimum(x, 1000.0)), (), wide=partial(wide.powers, base=2.0)),
        Function(
            "expm1", lambda x: np.expm1(np.minimum(x, 700.0)), (), wide=partial(wide.powers, base=math.e, offset=1)
        ),
        Function("sinh", lambda x: np.sinh(np.clip(x, -700.0, 700.0)), (), wide=partial(wide.hyperbolic, odd=True)),
        Function(
            "cosh", lambda x: np.cosh(np.clip(x, -700.0, 700.0)), (0.0,), wide=partial(wide.hyperbolic, odd=False)
        ),
        Function("asinh", np.arcsinh, (), wide=wide.area, interpolates=True),
        Function("atan", np.arctan, (), wide=wide.arctangent, interpolates=True),
        Function("erf", erf, (), bounded=True),
        Function(
            "selu", lambda x: SELU_SCALE * (np.maximum(x, 0.0) + SELU_ALPHA * _negative_part(x)), (), right=SELU_SCALE
        ),
        elu(1.0),
        celu(1.0),
        Function("gelu", _gelu, (-0.7517915246935645,), right=1.0),
        Function("gelu_tanh", _gelu_tanh, (-0.7524614220710159,), right=1.0),
        Function("silu", lambda x: x * sigmoid(x), (-1.2784645427610738,), right=1.0),
        Function("mish", lambda x: x * np.tanh(softplus(x)), (-1.1924312645174585,), right=1.0),
        Function("hard_silu", lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0), (-1.5,), right=1.0),
        Function("log_sigmoid", lambda x: -softplus(-x), (), left=1.0),
        Function("tanh_shrink", lambda x: x - np.tanh(x), (), left=1.0, right=1.0),
        Function("soft_shrink", lambda x: x - np.clip(x, -0.5, 0.5), (), left=1.0, right=1.0),
        Function(
            "hard_shrink",
            lambda x: np.where(np.abs(x) > 0.5, x, 0.0),
            (),
            left=1.0,
            right=1.0,
            jumps=True,
            wide=wide.hard_shrink,
        ),
        Function(
            "squareplus",
            lambda x: (x + np.sqrt(x * x + 4.0)) / 2.0,
            (),
            right=1.0,
            wide=wide.squareplus,
            interpolates=True,
        ),
        Function("sparse_plus", lambda x: np.where(x < 1.0, np.maximum(x + 1.0, 0.0) ** 2 / 4.0, x), (), right=1.0),
        Function("sparse_sigmoid", lambda x: np.clip(0.5 * (x + 1.0), 0.0, 1.0), (), bounded=True),
    )
}
