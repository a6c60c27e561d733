"""The reader of all frameworks: a file or a live model -> the network of its layers.

A framework's own reader is imported when a model of it is read: all of them together take longer than a small conversion.
"""

import os
from pathlib import Path

from bitsmith.errors import ConfigError
from bitsmith.frontends.framework import NO_OPTIONS, TAKEN, Framework, ReadOptions
from bitsmith.frontends.frameworks import AnyModel, check_file, framework_of, frameworks
from bitsmith.layers.network import Network

__all__ = ["AnyModel", "read_as", "read_model"]


def read_model(model: AnyModel, options: ReadOptions = NO_OPTIONS) -> Network:
    """The network of ``model``.

    Raises:
        ModelFileError, UnsupportedError, ToolMissingError: as of the framework's own reader; or a model of no known framework.
        ConfigError: an option that models of this framework do not take, or one that a live module lacks.
    """
    return read_as(framework_of(model), model, options)


def read_as(framework: Framework, model: AnyModel, options: ReadOptions) -> Network:
    """The network of a model of ``framework``.

    Raises:
        as :func:`read_model`.
    """
    for name in sorted(TAKEN - framework.takes):
        if getattr(options, name) is not None:
            takers = ", ".join(record.name for record in frameworks() if name in record.takes)
            raise ConfigError(
                f"given with a model of {framework.name}", where=name, accepted=f"it with models of {takers} only"
            )
    model = framework.with_inputs(model, None)
    if isinstance(model, str | os.PathLike):
        check_file(Path(model), framework)
    return framework.read(model, options)
