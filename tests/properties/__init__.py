"""Random programs and networks, and the properties that all of them have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from _pytest.mark import ParameterSet

JUDGED = (pytest.mark.slow, pytest.mark.ci)


def shares(count: int, fast: int = 1) -> pytest.MarkDecorator:
    """The argument ``share`` from 0 on, to divide seeds by; only the first ones are ``fast``."""
    return few("share", range(count), fast)


def few(names: str, cases: Iterable[object], fast: int, *, judged: bool = False) -> pytest.MarkDecorator:
    """Cases of the arguments ``names``; all but the first ones, which are ``fast``, are slow.

    With ``judged`` these run where a change is judged.
    """
    slow = JUDGED if judged else (pytest.mark.slow,)
    marked = [_marked(case, () if number < fast else slow) for number, case in enumerate(cases)]
    return pytest.mark.parametrize(names, marked)


def _marked(case: object, marks: tuple[pytest.MarkDecorator, ...]) -> ParameterSet:
    """The case with ``marks``, or with those of its own."""
    if isinstance(case, ParameterSet):
        return pytest.param(*case.values, id=case.id, marks=case.marks or marks)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks)


def every(names: str, cases: Sequence[object], step: int) -> pytest.MarkDecorator:
    """Cases of the arguments ``names``; each ``step``-th is fast, all others run where a change is judged."""
    fast = [*range(0, len(cases), step)]
    order = [*fast, *sorted({*range(len(cases))} - {*fast})]
    return few(names, [cases[index] for index in order], len(fast), judged=True)


def judged(*case: object) -> ParameterSet:
    """A case that is not fast, and runs where a change is judged."""
    return pytest.param(*case, marks=JUDGED)
