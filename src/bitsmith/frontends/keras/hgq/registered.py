"""All layers of HGQ2, by the names under which they are registered with Keras."""

from __future__ import annotations

from bitsmith.frontends.keras.call import Translation
from bitsmith.frontends.keras.hgq.attention import ATTENTION
from bitsmith.frontends.keras.hgq.functions import FUNCTIONS
from bitsmith.frontends.keras.hgq.layers import LAYERS
from bitsmith.frontends.keras.hgq.recurrent import RECURRENT
from bitsmith.frontends.keras.hgq.spiking import SPIKING
from bitsmith.frontends.keras.hgq.tables_of_edges import TABLES_OF_EDGES

_LATER = {"QConvT1D": "hgq2", "QConvT2D": "hgq2"}
"""The packages of classes that are registered under another name than the rest."""

REGISTERED: dict[str, Translation] = {
    f"{_LATER.get(name, 'hgq')}>{name}": one
    for name, one in {**LAYERS, **FUNCTIONS, **ATTENTION, **TABLES_OF_EDGES, **RECURRENT, **SPIKING}.items()
}
"""Layers by registered name."""
