"""The user's configuration: dictionaries and YAML in the familiar shape -> typed settings, and the other way round.

In: untrusted dictionaries and files. Out: a network whose layers carry :class:`~bitsmith.layers.settings.Settings`, or a
:class:`ProjectConfig`. Whatever is written takes effect, is refused with its key, or is listed in a note. Knows no file
format of models and no backend.
"""

from bitsmith.config.building import config_from_network
from bitsmith.config.files import parse_yaml_config
from bitsmith.config.model import HLSConfig, read_hls_config
from bitsmith.config.project import BackendName, IOType, IOTypeName, ProjectConfig, create_config, read_project
from bitsmith.config.resolving import BitsLike, ConfigLike, resolve

__all__ = [
    "BackendName",
    "BitsLike",
    "ConfigLike",
    "HLSConfig",
    "IOType",
    "IOTypeName",
    "ProjectConfig",
    "config_from_network",
    "create_config",
    "parse_yaml_config",
    "read_hls_config",
    "read_project",
    "resolve",
]
