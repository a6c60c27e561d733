"""All layers of HGQ2, by the names under which they are registered with Keras."""

from __future__ import annotations

from bitsmith.frontends.keras.call import Translation
from bitsmith.frontends.keras.hgq.attention import ATTENTION
from bitsmith.frontends.keras.hgq.functions import FUNCTIONS
from bitsmith.frontends.keras.hgq.layers import LAYERS
from bitsmith.frontends.keras.hgq.recurrent import RECURRENT
from bitsmith.frontends.keras.hgq.spiking import SPIKING
from bitsmith.frontends.keras.hgq.tables_of_edges import TABLES_OF_EDGES

PACKAGES = ("hgq", "hgq2")
"""The packages under which classes are registered; which of them differs between classes and versions of HGQ2."""

REGISTERED: dict[str, Translation] = {
    f"{package}>{name}": one
    for package in PACKAGES
    for name, one in {**LAYERS, **FUNCTIONS, **ATTENTION, **TABLES_OF_EDGES, **RECURRENT, **SPIKING}.items()
}
"""Layers by registered name."""
