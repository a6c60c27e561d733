"""The user's configuration: dictionaries and YAML in the familiar shape -> typed settings, and the other way round.

In: untrusted dictionaries and files. Out: a network whose layers carry :class:`~bitsmith.layers.settings.Settings`. Whatever
is written takes effect, is refused with its key, or is listed in a note. Knows no file format of models and no backend.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bitsmith.config.building import config_from_network
    from bitsmith.config.model import HLSConfig, read_hls_config
    from bitsmith.config.resolving import BitsLike, ConfigLike, resolve
    from bitsmith.config.values import BackendName, IOType, IOTypeName

__all__ = [
    "BackendName",
    "BitsLike",
    "ConfigLike",
    "HLSConfig",
    "IOType",
    "IOTypeName",
    "config_from_network",
    "read_hls_config",
    "resolve",
]

_HOMES = {
    "building": ("config_from_network",),
    "model": ("HLSConfig", "read_hls_config"),
    "resolving": ("BitsLike", "ConfigLike", "resolve"),
    "values": ("BackendName", "IOType", "IOTypeName"),
}


def __getattr__(name: str) -> object:
    """Import a module when a name of it is first used: the command line reads values of options without knowing any layer."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"bitsmith.config.{module}"), name)
    raise AttributeError(f"module 'bitsmith.config' has no attribute {name!r}")
