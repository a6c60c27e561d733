"""Backends by name, as hls4ml has them: the configuration that each begins with."""

from dataclasses import dataclass
from typing import Any

from bitsmith.backends import BACKENDS
from bitsmith.base.familiar import NAME, missing
from bitsmith.config.accelerators import ACCELERATORS
from bitsmith.options.project import create_config


@dataclass(frozen=True, slots=True)
class NamedBackend:
    """The name of a backend, which ``convert`` takes."""

    name: str

    def create_initial_config(self, **arguments: Any) -> dict[str, Any]:
        """Return a project configuration with the settings of the backend, to be edited and given to ``convert_from_config``.

        Raises:
            ConfigError: an argument that the backend does not have, or a value that is not accepted.
        """
        return create_config(backend=self.name, **arguments)

    def __getattr__(self, name: str) -> object:
        raise AttributeError(missing(f"{NAME}.backends.Backend.{name}"))


def get_available_backends() -> list[str]:
    """Return all names, in lower case."""
    return [name.lower() for name in (*BACKENDS, *(each.name for each in ACCELERATORS.values()))]


def get_backend(name: str) -> NamedBackend:
    """Return the backend of a name, in any case.

    Raises:
        ConfigError: there is none.
    """
    create_config(backend=name)
    return NamedBackend(name)
