"""The options that say how a model is converted, for all commands that convert one.

A command takes them as one parameter, a :class:`ModelOptions`; :class:`Expanded` shows Typer each of them instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bitsmith.options.building import BUILD_OPTIONS
from bitsmith.options.option import Flag
from bitsmith.options.table import OPTIONS

FLAGS: Mapping[str, Flag] = {option.name: option.flag for option in OPTIONS if option.flag is not None}
"""Options of conversions that can be typed, by name."""

BUILD_FLAGS: Mapping[str, Flag] = {option.name: option.flag for option in BUILD_OPTIONS if option.flag is not None}
"""Those of builds."""

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def completing(words: Sequence[str] | Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    """Completion of an option's value in the case that is typed: typer drops words that begin otherwise."""

    def completed(incomplete: str) -> list[str]:
        known = words() if callable(words) else words
        return [incomplete + word[len(incomplete) :] for word in known if word.lower().startswith(incomplete.lower())]

    return completed


class Building:
    """A project folder, and what is asked of its build: ``asked`` are values of options by name, those that were typed."""

    def __init__(
        self,
        *,
        project: Annotated[Path, typer.Argument(metavar="DIR", help="A project folder that convert wrote.")],
        **asked: object,
    ) -> None:
        self.project = project
        self.asked = {name: value for name, value in asked.items() if value is not None}


class ModelOptions:
    """A model, and how it is to be converted: ``chosen`` are values of options by name, those that were typed."""

    def __init__(
        self,
        *,
        file: Annotated[
            Path | None,
            typer.Argument(
                metavar="FILE",
                help="A trained model, such as a .keras or .onnx file, or the .yml of a whole project.",
                show_default=False,
            ),
        ] = None,
        config: Annotated[
            Path | None, typer.Option("--config", "-c", help="Precision and more, or a whole project, as YAML or JSON.")
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="One key, such as LayerName.fc1.Precision.weight=fixed<8,2>."
            ),
        ] = None,
        **chosen: object,
    ) -> None:
        self.file = file
        self.config = config
        self.set_ = set_
        self.chosen: Mapping[str, object] = {name: value for name, value in chosen.items() if value is not None}

    def path(self, name: str) -> Path | None:
        """The value of an option that is a file."""
        path = self.chosen.get(name)
        return path if isinstance(path, Path) else None

    def meant(self, name: str) -> object:
        """The value that is meant by what was typed for an option."""
        typed, read = self.chosen[name], FLAGS[name].read
        return typed if read is None else read(typed)

    def without(self, names: Collection[str]) -> ModelOptions:
        """The same with some options left out."""
        chosen = {name: value for name, value in self.chosen.items() if name not in names}
        return ModelOptions(file=self.file, config=self.config, set_=self.set_, **chosen)


def _parameter(name: str, flag: Flag) -> inspect.Parameter:
    """An option as Typer reads parameters of functions."""
    words = None if flag.values is None or isinstance(flag.values, str) else completing(flag.values)
    metavar = flag.values if isinstance(flag.values, str) else None
    option = typer.Option(None, *flag.names, help=flag.help, metavar=metavar, autocompletion=words)
    return inspect.Parameter(name, _KEYWORD, default=option, annotation=flag.kind | None)


class Expanded:
    """A command whose first parameter is made from many options, with each of these as a parameter, as Typer reads them."""

    def __init__(
        self,
        command: Callable[..., None],
        values: Callable[..., ModelOptions | Building] = ModelOptions,
        flags: Mapping[str, Flag] = FLAGS,
    ) -> None:
        self.__name__ = command.__name__
        self.__doc__ = command.__doc__
        self._command = command
        self._made = values
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        file, *files, _ = inspect.signature(values, eval_str=True).parameters.values()
        options = [_parameter(name, flag) for name, flag in flags.items()]
        parameters = [file, *(parameter.replace(kind=_KEYWORD) for parameter in own), *files, *options]
        self._own = tuple(parameter.name for parameter in own)
        self.__signature__ = inspect.Signature(parameters)
        self.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}

    def __call__(self, **values: object) -> None:
        own = {name: values.pop(name) for name in self._own}
        self._command(self._made(**values), **own)
