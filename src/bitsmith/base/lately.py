"""Results kept as long as what they were made of lives: what does not fit is laid out once more to say what is in the way."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from weakref import ReferenceType, ref

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def lately(most: int) -> Callable[[Callable[_Given, _Made]], Callable[_Given, _Made]]:
    """Keep the ``most`` last results of a function, by its first argument itself, while that lives, and equal other ones."""

    def keeping(make: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
        kept: tuple[tuple[ReferenceType[object], object, _Made], ...] = ()  # which other calls may be going through

        def forget(gone: ReferenceType[object]) -> None:
            nonlocal kept
            kept = tuple(each for each in kept if each[0] is not gone)

        @wraps(make)
        def made(*args: _Given.args, **named: _Given.kwargs) -> _Made:
            nonlocal kept
            choices = args[1:], named
            for known, asked, result in kept:
                if known() is args[0] and asked == choices:
                    return result
            result = make(*args, **named)
            kept = (*kept, (ref(args[0], forget), choices, result))[-most:]
            return result

        return made

    return keeping
