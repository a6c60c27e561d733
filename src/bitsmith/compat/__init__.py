"""Scripts of hls4ml as they are: ``import bitsmith.compat`` before ``import hls4ml`` makes that name bitsmith's.

Modules have what bitsmith has under the same names. A name that hls4ml has and bitsmith has not is an error that says what to use
instead.
"""

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from bitsmith.base.familiar import INSTEAD, MODULES, NAME, missing

_LOADS, _CONFIGURES = "load_saved_model", "config_from_pytorch_model"


class Alias(ModuleType):
    """A module of hls4ml whose names are those of a module here."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The module ``{MODULES[name]}`` under the name ``{name}``.")
        self.__path__: list[str] = []

    def __getattr__(self, attribute: str) -> object:
        name = f"{self.__name__}.{attribute}"
        if name in MODULES:
            return importlib.import_module(name)
        if name in INSTEAD:
            # No AttributeError, whose message an import from a module would not show.
            raise ModuleNotFoundError(missing(name), name=name)
        found = getattr(importlib.import_module(MODULES[self.__name__]), attribute, None)
        if found is None:
            raise AttributeError(missing(name))
        return _as_there(attribute, found) if callable(found) else found

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(MODULES[self.__name__]))


@cache
def _as_there(attribute: str, member: object) -> object:
    """A name of bitsmith, the one that hls4ml has it for: models have its arrays, and configurations say which."""
    makes_models = attribute.startswith("convert_from_") or attribute.endswith("_to_hls")
    if not callable(member) or not (makes_models or attribute in (_LOADS, _CONFIGURES)):
        return member
    from bitsmith.compat import familiar

    return familiar.with_layout(member) if attribute == _CONFIGURES else familiar.flat(member)


class Finder(MetaPathFinder, Loader):
    """The importer of modules of hls4ml."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the way to import a module of hls4ml; None of all others.

        Raises:
            ModuleNotFoundError: one without a counterpart.
        """
        if fullname in MODULES:
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(f"{NAME}."):
            raise ModuleNotFoundError(missing(fullname), name=fullname)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the alias."""
        return Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the names are looked up when they are used."""


def install() -> None:
    """Let ``import hls4ml`` give bitsmith, in this process.

    Raises:
        ImportError: hls4ml itself is imported already.
    """
    if NAME in sys.modules and not isinstance(sys.modules[NAME], Alias):
        raise ImportError(f"{NAME} is imported already: import bitsmith.compat before it")
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


install()
