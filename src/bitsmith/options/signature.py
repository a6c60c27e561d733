"""Signatures and documentation of functions that take options, from the records of these."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import ForwardRef, TypeVar, cast

from bitsmith.config.reading import plain, shown
from bitsmith.errors import ConfigError
from bitsmith.options.option import Option, check_arguments
from bitsmith.options.table import OPTIONS

_Function = TypeVar("_Function", bound=Callable[..., object])
_Class = TypeVar("_Class", bound=type)

_Test = Callable[[object], bool]
_TYPES: Mapping[str, tuple[_Test, str]] = {
    "None": (lambda value: value is None, "None"),
    "bool": (lambda value: isinstance(plain(value), bool), "True or False"),
    "int": (lambda value: _is_integer(value), "an integer"),
    "float": (lambda value: _is_integer(value) or isinstance(plain(value), float), "a number"),
    "str": (lambda value: isinstance(value, str), "a text"),
    "Path": (lambda value: isinstance(value, os.PathLike), "the path of a file or folder"),
    "Progress": (callable, "a function that is called with a line"),
    "Sequence[int]": (lambda value: _are(_is_integer, value), "a list of integers"),
    "Sequence[str]": (lambda value: _are(lambda each: isinstance(each, str), value), "a list of texts"),
    "Mapping[str, Json]": (lambda value: isinstance(value, Mapping), "a dictionary"),
    "Client": (lambda value: hasattr(value, "get_executor"), "a distributed.Client"),
    "Model": (
        lambda value: any(base.__module__ == "bitsmith.model.model" for base in type(value).__mro__),
        "a converted model, as bitsmith.convert returns it",
    ),
}
"""Tests of values by the types of signatures, and these in words."""

_READ = frozenset(
    (
        *("AnyModel", "Model", "ModelLike", "OnnxModel", "TfliteModel", "TorchModel"),
        *("Arrays", "Samples", "InputShapes", "Example", "Sequence[Example]", "npt.ArrayLike"),
        *("ConfigLike", "Layers", "BitsLike", "Goal", "Plot", "Comparison", "Grid"),
        *("Mapping[str, object]", "Mapping[str, str]", "Mapping[str, npt.ArrayLike]"),
    )
)
"""Types of signatures whose values are checked where these are read, since a test would be a second reader."""

_HEAD = "Args:\n"
_WIDTH = 118


def taking(options: type, records: Sequence[Option] = OPTIONS) -> Callable[[_Function], _Function]:
    """A decorator of functions with ``**options: Unpack[...]`` of that dictionary: help shows each option, with its meaning."""
    types: Mapping[str, ForwardRef | object] = options.__annotations__

    def described(function: _Function) -> _Function:
        plain = inspect.signature(function)
        *own, rest = plain.parameters.values()
        more = [
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=getattr(types[option.name], "__forward_arg__", types[option.name]),
            )
            for option in records
            if option.name in types and option.name not in plain.parameters
        ]
        signature = plain.replace(parameters=[*own, *more])
        vars(function)["__signature__"] = signature
        function.__doc__ = _documented(function.__doc__ or "", signature, rest.name, records)
        return answering(function, {option.name for option in records})

    return described


def answering(function: _Function, read: Collection[str] = ()) -> _Function:
    """A decorator of functions that users call: arguments that there are not are rejected with what would do instead.

    So are values of other types than the signature says, but of arguments that are checked where they are ``read``.
    """
    names = inspect.signature(function).parameters
    typed = {name: types for name in names if name not in read and (types := _types(names[name].annotation))}

    @wraps(function)
    def answered(*placed: object, **named: object) -> object:
        check_arguments(named, names, function.__qualname__)
        for name, value in (*zip(names, placed, strict=False), *named.items()):
            if name in typed and not any(_TYPES[kind][0](value) for kind in typed[name]):
                accepted = " or ".join(_TYPES[kind][1] for kind in typed[name])
                raise ConfigError(shown(value), where=name, accepted=accepted)
        return function(*placed, **named)

    return cast("_Function", answered)


def _types(annotation: object) -> Sequence[str]:
    """The types of an annotation, if values of all of them can be tested; none of what has no annotation.

    Raises:
        LookupError: for a type that neither table has, so that no argument of a user is left unchecked.
    """
    if annotation is inspect.Parameter.empty:
        return ()
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    types = text.removeprefix("pathlib.").split(" | ")
    if unknown := set(types) - _TYPES.keys() - _READ:
        raise LookupError(f"{', '.join(sorted(unknown))}: add a test of its values, or name it among what is read")
    return types if all(kind in _TYPES for kind in types) else ()


def _is_integer(value: object) -> bool:
    """Return True of an integer, also of one of numpy."""
    return isinstance(plain(value), int) and not isinstance(plain(value), bool)


def _are(test: _Test, values: object) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | Iterator) and all(map(test, values))


def with_answers(cls: _Class) -> _Class:
    """A decorator of classes whose public methods are :func:`answering`."""
    for name, method in list(vars(cls).items()):
        if not name.startswith("_") and inspect.isfunction(method) and not hasattr(method, "__wrapped__"):
            setattr(cls, name, answering(method))
    return cls


def _documented(text: str, signature: inspect.Signature, rest: str, records: Sequence[Option]) -> str:
    """A docstring whose arguments are told to the end, in place of what it says of ``rest``."""
    before, head, after = inspect.cleandoc(text).partition(_HEAD)
    if not head:
        return text
    own, _, behind = after.partition(f"    {rest}: ")
    lines = [
        textwrap.fill(f"{option.name}: {option.doc}", _WIDTH, initial_indent="    ", subsequent_indent="        ")
        for option in records
        if option.name in signature.parameters
    ]
    return before + head + own + "\n".join(lines) + behind[behind.find("\n") :]
