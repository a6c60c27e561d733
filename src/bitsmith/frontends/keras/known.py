"""The layers of Keras, and those that other packages add to it, by name."""

from __future__ import annotations

from collections.abc import Mapping

from bitsmith.frontends.keras.call import Translation
from bitsmith.frontends.keras.garnet import GARNET, GARNET_MODULES
from bitsmith.frontends.keras.hgq.registered import REGISTERED
from bitsmith.frontends.keras.hgq1 import PROXIES
from bitsmith.frontends.keras.layers import LAYERS
from bitsmith.frontends.keras.live import PACKAGES
from bitsmith.frontends.keras.qkeras.layers import QKERAS
from bitsmith.frontends.keras.qkeras.recurrent import EITHER
from bitsmith.frontends.keras.wrappers import time_distributed

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
