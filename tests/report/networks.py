"""Small networks with branches, for tests of what the user sees."""

from __future__ import annotations

import numpy as np

from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower

INPUT = FixedFormat(True, 12, 8, Rounding.RND, Overflow.SAT)
HIDDEN = FixedFormat(False, 9, 6, Rounding.RND, Overflow.SAT)


def _kernel(seed: int, *shape: int) -> Floats:
    """Multiples of 1/8 in -1 .. 1."""
    return as_weights(np.random.default_rng(seed).integers(-8, 9, shape) / 8)


def residual(name: str = "residual") -> Network:
    """input -> dense -> relu -> dense, added to the relu's result."""
    return Network(
        nodes=(
            NetworkNode("x", Input((4,)), (), "InputLayer", Settings({"result": INPUT})),
            NetworkNode("hidden", Dense(_kernel(0, 4, 6), _kernel(1, 6)), ("x",), "Dense"),
            NetworkNode("relu", ReLU(), ("hidden",), "Activation", Settings({"result": HIDDEN})),
            NetworkNode(
                "mix", Dense(_kernel(2, 6, 6)), ("relu",), "Dense", Settings({"weight": FixedFormat(True, 6, 4)})
            ),
            NetworkNode("sum", Add(), ("relu", "mix"), "Add"),
        ),
        inputs=("x",),
        outputs=("sum",),
        name=name,
    )


def lowered(network: Network) -> Program:
    """The core program of ``network`` without calibration data."""
    return lower(network, calibrate(network, None))
