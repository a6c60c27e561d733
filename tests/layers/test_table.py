"""The table of layers names every layer of the package."""

from __future__ import annotations

import pkgutil
from dataclasses import fields, replace
from importlib import import_module
from inspect import isabstract

import pytest

import bitsmith.layers
from bitsmith.compiler import compile_network
from bitsmith.layers.layer import Layer
from bitsmith.layers.settings import FACTORS
from bitsmith.layers.table import LAYERS
from tests.layers import test_traits
from tests.layers.lowered import network_of


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


@pytest.mark.parametrize("layer", test_traits.CLASSES, ids=lambda layer: layer.__name__)
def test_states_live_on_between_samples_where_the_layer_says_so(layer: type[Layer]) -> None:
    for example in test_traits.examples(layer):
        formats = dict.fromkeys(range(len(example.shapes)), example.format)
        may_keep = any(field.name == "stateful" for field in fields(layer))
        for one in [example.layer, *([replace(example.layer, stateful=True)] if may_keep else [])]:  # type: ignore[call-arg]
            program = compile_network(network_of(one, example.shapes, formats=formats)).program
            assert bool(program.keeping) == one.stateful
