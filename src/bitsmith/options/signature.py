"""Signatures and documentation of functions that take options, from the records of these."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ForwardRef, TypeVar, cast

from bitsmith.options.option import Option, check_arguments
from bitsmith.options.table import OPTIONS

_Function = TypeVar("_Function", bound=Callable[..., object])
_Class = TypeVar("_Class", bound=type)

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
        return answering(function)

    return described


def answering(function: _Function) -> _Function:
    """A decorator of functions that users call: arguments that there are not are rejected with what would do instead."""
    names = inspect.signature(function).parameters

    @wraps(function)
    def answered(*given: object, **named: object) -> object:
        check_arguments(named, names, function.__qualname__)
        return function(*given, **named)

    return cast("_Function", answered)


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
