"""Writes the list of the public API with its signatures, and the reference page that shows their docstrings.

``make docs`` renews both; tests keep them and the code equal.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType

import bitsmith

LIST = Path(__file__).parents[1] / "public-api.txt"
_MODULES = {
    "converters": "Converters by framework and of project files, with the names that users of hls4ml know.",
    "custom": "Layers of your own ([custom-layers.md](custom-layers.md)).",
    "conversion.explanation": "Results of `bitsmith.explain`: layers and types of a model, and a layout that would fit.",
    "conversion.exploration": "Results of `bitsmith.explore`: circuits, sizes, accuracies ([choose bits](choose-bits.md)).",
    "conversion.fitted": "Results of `bitsmith.fit`: the circuit that meets a goal ([fit a model to a goal](fit.md)).",
    "sweeps.results": "Results of `bitsmith.sweep`: trials, the best trade-offs ([sweep configurations](sweep.md)).",
    "model.estimates": "Results of `model.estimate()`: size and speed before any tool has run.",
    "utils": "Configurations to begin with, example models and pictures.",
    "profiling": "Figures of a model's numbers; needs the extra `report`.",
    "report": "Figures that builds measured and vendors' tools reported.",
    "errors": "Every error that is raised on purpose; [errors and warnings](errors.md) says when.",
}
_UNCALLABLE = property, cached_property, staticmethod
_INTRODUCTION = """# API

These are public: all that `import bitsmith` has, and the modules below. A test compares [the list with all
signatures](public-api.txt) with the code, and the [deprecation policy](deprecation.md) says how it changes. Names that begin
with an underscore, and all other modules, are not public.
"""


def public_modules() -> dict[str, ModuleType]:
    """The public modules by their names, the package itself first."""
    return {
        "bitsmith": bitsmith,
        **{f"bitsmith.{name}": importlib.import_module(f"bitsmith.{name}") for name in _MODULES},
    }


def names(module: ModuleType) -> list[str]:
    """The public functions and classes of a module, in the order of its text or of ``__all__``."""
    listed: Sequence[str] = getattr(module, "__all__", ())
    if not listed:
        listed = [
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        ]
    return [name for name in listed if not isinstance(getattr(module, name), (ModuleType, str))]


def lines() -> Iterator[str]:
    """One line for each public function, class and method."""
    for title, module in public_modules().items():
        for name in names(module):
            yield from _described(f"{title}.{name}", getattr(module, name))


def _described(path: str, value: object) -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        yield f"class {path}({bases})"
        if not issubclass(value, Exception):
            for name, member in vars(value).items():
                if not name.startswith("_") and (callable(member) or isinstance(member, _UNCALLABLE)):
                    yield f"  {name}{_signature(getattr(value, name))}"
    elif inspect.isfunction(value):  # and no alias of a type
        yield f"{path}{_signature(value)}"
    else:
        yield path


class _Bare:
    """A text that shows itself without quotes."""

    def __init__(self, text: object) -> None:
        self._text = text

    def __repr__(self) -> str:
        return str(self._text)


def _signature(value: object) -> str:
    if not callable(value):
        return ""
    found = inspect.signature(value)
    bare = [
        one.replace(annotation=_Bare(one.annotation), default=_shown(one.default))
        if one.annotation is not one.empty
        else one
        for one in found.parameters.values()
    ]
    return str(found.replace(parameters=bare, return_annotation=_Bare(found.return_annotation)))


def _shown(default: object) -> object:
    if isinstance(default, enum.Enum):
        return default.value
    return str(default) if isinstance(default, Path) else default


def text() -> str:
    """The list."""
    return "".join(f"{line}\n" for line in lines())


def page() -> str:
    """The reference page: directives of mkdocstrings, which put the docstrings there."""
    parts = [_INTRODUCTION]
    for title, module in public_modules().items():
        parts.append(f"## {title}\n")
        parts += [f"{_MODULES[name]}\n" for name in _MODULES if title.endswith(f".{name}")]
        parts += [f"::: {title}.{name}\n" for name in names(module)]
    return "\n".join(parts)


if __name__ == "__main__":
    LIST.write_text(text(), encoding="utf-8")
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
