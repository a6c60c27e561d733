"""Packages whose names are imported when they are first used: models need few of them."""

import importlib
from collections.abc import Callable, Mapping, Sequence

from bitsmith.base.familiar import unknown


def imported_from(
    package: str, homes: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> Callable[[str], object]:
    """The ``__getattr__`` of a package, by the modules that its names are in, and those ``modules`` that are names of it."""
    known = {name: home for home, names in homes.items() for name in names}

    def attribute(name: str) -> object:
        if name in known:
            return getattr(importlib.import_module(known[name]), name)
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise unknown(package, name)

    return attribute
