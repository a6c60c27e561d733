"""The table of layers names every layer of the package."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import isabstract

import bitsmith.layers
from bitsmith.layers.layer import Layer
from bitsmith.layers.settings import FACTORS
from bitsmith.layers.table import LAYERS


def test_every_layer_is_in_the_table() -> None:
    names = (found.name for found in pkgutil.walk_packages(bitsmith.layers.__path__, "bitsmith.layers."))
    modules = list(map(import_module, names))
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    layers = {value for value in classes if issubclass(value, Layer) and not isabstract(value)}
    assert set(LAYERS.values()) == layers
    assert list(LAYERS) == sorted(LAYERS)


def test_every_trained_tensor_is_a_factor_or_is_known_to_be_none() -> None:
    """Budgets of weights are for factors: a new variable has to be put on one side."""
    others = {"bias", "recurrent_bias", "rest", "threshold", "param"}
    variables = {variable for layer in LAYERS.values() for variable in layer.trained}
    assert variables == FACTORS | others
