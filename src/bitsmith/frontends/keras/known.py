"""The layers of Keras, and those that other packages add to it, by name."""

from collections.abc import Mapping

from bitsmith.frontends.keras.call import Translation
from bitsmith.frontends.keras.garnet import GARNET, GARNET_MODULES
from bitsmith.frontends.keras.hgq.attention import ATTENTION
from bitsmith.frontends.keras.hgq.functions import FUNCTIONS
from bitsmith.frontends.keras.hgq.layers import LAYERS as HGQ
from bitsmith.frontends.keras.hgq.recurrent import RECURRENT
from bitsmith.frontends.keras.hgq.spiking import SPIKING
from bitsmith.frontends.keras.hgq.tables_of_edges import TABLES_OF_EDGES
from bitsmith.frontends.keras.hgq1 import PROXIES
from bitsmith.frontends.keras.layers import LAYERS
from bitsmith.frontends.keras.live import PACKAGES
from bitsmith.frontends.keras.qkeras.layers import QKERAS
from bitsmith.frontends.keras.qkeras.recurrent import EITHER
from bitsmith.frontends.keras.wrappers import time_distributed

HGQ_PACKAGES = ("hgq", "hgq2")
"""The packages under which classes of HGQ2 are registered; which of them differs between classes and versions."""

REGISTERED: dict[str, Translation] = {
    f"{package}>{name}": one
    for package in HGQ_PACKAGES
    for name, one in {**HGQ, **FUNCTIONS, **ATTENTION, **TABLES_OF_EDGES, **RECURRENT, **SPIKING}.items()
}
"""Layers of HGQ2 by registered name."""

KNOWN: Mapping[str, Translation] = {
    **QKERAS,
    **LAYERS,
    **{f"qkeras>{name}": translation for name, translation in QKERAS.items()},
    **{f"{module}>{name}": translation for module in GARNET_MODULES for name, translation in GARNET.items()},
    **REGISTERED,
    **PROXIES,
    "Bidirectional": EITHER,
    "TimeDistributed": time_distributed(lambda: KNOWN),
}
"""Layers by class name; those that other packages add to Keras, by the name that they have registered.

A Keras 2 model names the classes of QKeras without their package.
"""

KNOWN_PACKAGES = frozenset({*PACKAGES, *(name.partition(">")[0] for name in KNOWN if ">" in name)})
"""Packages of which all layers have translations, or are rejected by name."""
