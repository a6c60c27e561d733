"""Functions of one number that are one layer each, by names that the frameworks' vocabularies share."""

from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.layer import Layer
from bitsmith.layers.power import Logarithm, Power

FUNCTIONS: dict[str, Layer] = {
    "abs": Absolute(),
    "sign": Sign(),
    "floor": WholeNumber(Whole.FLOOR),
    "ceil": WholeNumber(Whole.CEIL),
    "trunc": WholeNumber(Whole.TRUNC),
    "round": WholeNumber(Whole.ROUND),
    "square": Power(2.0),
    "sqrt": Power(0.5),
    "rsqrt": Power(-0.5),
    "reciprocal": Power(-1.0),
    "log": Logarithm(),
    "log2": Logarithm(2.0),
    "log10": Logarithm(10.0),
    "log1p": Logarithm(offset=1),
    "exp": Activation("exponential"),
    "sin": Sinusoid(Wave.SIN),
    "cos": Sinusoid(Wave.COS),
    "relu": ReLU(),
    "relu1": ReLU(max_value=1.0),
    "relu6": ReLU(max_value=6.0),
    "hard_tanh": HardActivation(1.0, 0.0, -1.0, 1.0),
    "hard_sigmoid": HardActivation(1.0 / 6.0, 0.5, 0.0, 1.0),
    **{
        name: Activation(name)
        for name in (
            *("exp2", "expm1", "erf", "sigmoid", "tanh", "softplus", "softsign", "selu", "elu", "celu", "gelu"),
            *("gelu_tanh", "silu", "mish", "hard_silu", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink"),
            *("exponential", "squareplus", "sparse_plus", "sparse_sigmoid", "sinh", "cosh", "asinh", "atan"),
        )
    },
}
"""Layers by name."""
