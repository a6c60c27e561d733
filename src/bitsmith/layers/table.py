"""All layers by name: what a saved model may contain. A layer belongs to it by being defined in this package."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import isabstract

import bitsmith.layers
from bitsmith.layers.layer import Layer

MODULES = tuple(
    import_module(f"bitsmith.layers.{found.name}")
    for found in pkgutil.iter_modules(bitsmith.layers.__path__)
    if found.name != "table"
)
"""All modules of the package but this one."""


def _defined() -> dict[str, type[Layer]]:
    classes = {value for module in MODULES for value in vars(module).values() if isinstance(value, type)}
    layers = sorted((c for c in classes if issubclass(c, Layer) and not isabstract(c)), key=lambda c: c.__name__)
    return {layer.__name__: layer for layer in layers}


LAYERS = _defined()
