"""The user's configuration: dictionaries and YAML in the familiar shape -> typed settings, and the other way round.

In: untrusted dictionaries and files. Out: a network whose layers carry :class:`~bitsmith.layers.settings.Settings`. Whatever
is written takes effect, is refused with its key, or is listed in a note. Knows no file format of models and no backend.
"""

from typing import TYPE_CHECKING

from bitsmith.base.homes import imported_from

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

# The command line reads values of options without knowing any layer.
__getattr__ = imported_from(
    __name__,
    {
        "bitsmith.config.building": ("config_from_network",),
        "bitsmith.config.model": ("HLSConfig", "read_hls_config"),
        "bitsmith.config.resolving": ("BitsLike", "ConfigLike", "resolve"),
        "bitsmith.config.values": ("BackendName", "IOType", "IOTypeName"),
    },
)
