"""All layers with their options, small, as property tests of layers take them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.elementwise import Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.logic import Comparison
from bitsmith.layers.power import Divide, Logarithm, Power, VariablePower
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.reduction import ArgMax, Reduce, Reduction
from bitsmith.layers.sample_norm import LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.settings import Binning, Settings, SoftmaxImplementation
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.table import LAYERS

FINE = FixedFormat(True, 60, 14, Rounding.RND, Overflow.SAT)
_AUTO = Settings()
INDEX = frozenset({"Embedding", "OneHot"})
RECURRENT = frozenset({"SimpleRNN", "LSTM", "GRU", "Neurons"})


@dataclass(frozen=True, slots=True)
class Case:
    """A layer on operands of ``shapes``.

    Args:
        positive: whether it is for operands that are not negative only.
        index: the number of indices that operands may be, or 0.
        bits: most integer bits of operands.
        steps: errors that are allowed, in steps of the result; one and more only where roundings follow each other.
    """

    name: str
    layer: Layer
    shapes: tuple[Shape, ...] = ((4,),)
    settings: Settings = _AUTO
    positive: bool = False
    index: int = 0
    bits: int = 12
    steps: float = 1.0


def _examples() -> list[Case]:
    modules = {layer.__module__: sys.modules[layer.__module__] for layer in LAYERS.values()}
    found = [example for module in modules.values() for example in module.EXAMPLES]
    return [
        Case(
            type(each.layer).__name__,
            each.layer,
            each.shapes,
            positive=isinstance(each.layer, Logarithm | Power | VariablePower),
            index=4 if type(each.layer).__name__ in INDEX else 0,
            # Gates that are nearly shut are as coarse as those that are open, so that their product has few bits.
            bits=1 if type(each.layer).__name__ in RECURRENT else 12,
            steps=8.0 if type(each.layer).__name__ in RECURRENT else 1.0,
        )
        for each in found
        # A look-up has entries for its own grid only.
        if not isinstance(each.layer, Input | Constant | Lookup)
    ]


def _functions() -> list[Case]:
    cases = [
        Case(name, Activation(name), bits=5 if name in ("exponential", "exp2", "expm1", "sinh", "cosh") else 20)
        for name in FUNCTIONS
    ]
    cases += [Case(f"elu {alpha}", Activation("elu", alpha)) for alpha in (0.01, 8.0)]
    cases += [Case(f"celu {alpha}", Activation("celu", alpha)) for alpha in (0.01, 8.0)]
    cases += [
        Case(f"power {exponent:.2g}", Power(exponent), positive=True)
        for exponent in (0.5, -0.5, 1 / 3, 1.5, -2.7, 0.0, 3.0)
    ]
    cases += [Case(f"power {exponent:.2g}", Power(exponent)) for exponent in (-1.0, -2.0, -3.0, 2.0)]
    cases += [Case(f"log {base:.3g}", Logarithm(base), positive=True) for base in (2.0, math.e, 10.0)]
    cases += [Case(wave.value, Sinusoid(wave)) for wave in Wave]
    cases += [Case(way.value, WholeNumber(way)) for way in Whole]
    cases += [
        Case("leaky", ReLU(None, 0.25, 0.0)),
        Case("threshold", ReLU(None, 0.25, 1.5)),
        Case("prelu", PReLU(as_weights([[0.5], [-0.25]])), ((2, 3),)),
        Case("hard tanh", HardActivation(1.0, 0.0, -1.0, 1.0)),
        Case("clip", HardActivation(1.0, 0.0, None, 2.5)),
        Case("quotients", Divide(), ((2, 3), (3,))),
    ]
    return cases


def _vectors() -> list[Case]:
    half, quarter = as_weights([0.5, 1.0, -0.25]), as_weights([0.25, 0.0, -2.0])
    mask = as_weights([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    latency = Settings(implementation=SoftmaxImplementation.LATENCY)
    cases = [
        Case("softmax of rows", Softmax(), ((2, 3),)),
        Case("softmax of columns", Softmax(0), ((3, 2),)),
        Case("masked softmax", Softmax(-1, mask), ((2, 3),)),
        Case("latency softmax", Softmax(), ((3,),), latency, bits=2),
        Case("rows normalized", LayerNormalization((-1,), half, quarter, 0.125), ((2, 3),)),
        Case("rows scaled", LayerNormalization((-1,), half, quarter, 0.125, centered=False), ((2, 3),)),
        Case("all normalized", LayerNormalization((0, 1), half, quarter, 2.0**-20), ((2, 3),)),
        Case("root mean square", RMSNormalization((-1,), half, 2.0**-20), ((2, 3),)),
        Case("unit", UnitNormalization((0,)), ((3, 2),)),
        Case("last greatest", ArgMax(0, keepdims=True, least=True), ((3, 2),)),
    ]
    for reduction in Reduction:
        for axes in ((0,), (-1,), (0, 1)):
            # The product of six operands has to fit, and so has its relative accuracy.
            bits = 3 if reduction is Reduction.PROD else 12
            cases.append(Case(f"{reduction.value} {axes}", Reduce(reduction, axes), ((2, 3),), bits=bits))
    cases += [Case(f"compare {each.value}", Comparison(each), ((2, 3), (3,))) for each in Relation]
    return cases


def _tables() -> list[Case]:
    """Tables of the user's choice, within their own accuracy: the share of a bin that the function changes by."""
    cases = []
    for name in ("tanh", "sigmoid", "softplus"):
        for binning in (None, *Binning):
            settings = Settings({"result": FINE}, table_size=1024, table_range=(-8.0, 8.0), binning=binning)
            each = {None: 2.0**-6, Binning.LINEAR: 2.0**-6, Binning.CENTER: 2.0**-6}.get(binning, 2.0**-5.5)
            cases.append(Case(f"{name} {binning}", Activation(name), ((4,),), settings, bits=3, steps=each * 2.0**14))
    return cases


def _given() -> list[Case]:
    """With a given precision of the result."""
    return [
        Case(
            f"{case.name} given",
            case.layer,
            case.shapes,
            Settings({"result": FINE}),
            case.positive,
            case.index,
            min(case.bits, 6),
            case.steps,
        )
        for case in (*_functions(), *_vectors())
        if not case.settings.implementation
    ]


CASES = (*_examples(), *_functions(), *_vectors(), *_tables(), *_given())


def test_every_layer_has_one() -> None:
    assert {type(case.layer).__name__ for case in CASES} == set(LAYERS) - {"Input", "Constant"}
