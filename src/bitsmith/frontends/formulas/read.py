"""The network of formulas: one layer, or a few, for each function; equal parts are computed once.

All inputs are elements of one vector, in the order of their names, and all results are elements of another. Ranges of all parts
follow from bounds of the inputs by interval arithmetic on many small boxes. One box would be enough for a proof, but intervals of
numbers that depend on each other are wider than need be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.formulas.expression import Call, Expression, Name, Number, names_of, parts, shown
from bitsmith.frontends.formulas.functions import FUNCTIONS, Interval
from bitsmith.frontends.input_shapes import NamedInputs
from bitsmith.frontends.ops.selection import concatenate
from bitsmith.frontends.ops.selection import part as picked
from bitsmith.layers.enclosure import boxes
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network

INPUT, RESULT = "inputs", "results"
"""Names of the two vectors."""

_MOST_INPUTS = 1024
_NAMES = {"+": "sum", "*": "product", "-": "difference", "/": "quotient", "^": "power"}
_ACCEPTED = "names, as ['x', 'y'], or names with ranges, as {'x': (-1, 1), 'y': (0, 4)}"

Bounds = Mapping[str, tuple[float, float]]
"""The least and the greatest number of each input."""


def check_inputs(inputs: object) -> NamedInputs | None:
    """``inputs``, if they are names, or names with ranges.

    Raises:
        ConfigError: anything else.
    """
    if inputs is None:
        return None
    names = list(inputs) if isinstance(inputs, Mapping | list | tuple) else []
    if not 0 < len(names) <= _MOST_INPUTS or len(set(names)) < len(names) or not all(map(_is_name, names)):
        raise ConfigError(f"{str(inputs)[:60]}", where="inputs", accepted=_ACCEPTED)
    return {name: _range(name, inputs[name]) for name in names} if isinstance(inputs, Mapping) else tuple(names)


def _range(name: str, ends: object) -> tuple[float, float]:
    """The least and the greatest number of an input."""
    listed = list(ends) if isinstance(ends, Sequence | np.ndarray) else []
    if len(listed) != 2 or not all(isinstance(end, int | float | np.number) and math.isfinite(end) for end in listed):
        raise ConfigError(f"the range {str(ends)[:60]} of {name!r}", where="inputs", accepted=_ACCEPTED)
    least, most = float(listed[0]), float(listed[1])
    if not least < most:
        raise ConfigError(
            f"the range {least:g} to {most:g} of {name!r}", where="inputs", accepted="the least number first"
        )
    return least, most


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name)


def read_formulas(expressions: Sequence[Expression], inputs: NamedInputs | None, *, allow_approximate: bool) -> Network:
    """The network of expressions, whose results are its one output.

    Raises:
        ConfigError: inputs that the expressions do not have, or the other way round.
        ApproximateError: a function that is not defined on all of the ranges, unless such are allowed.
        UnsupportedError: expressions without inputs, or what cannot be translated.
    """
    used = names_of(*expressions)
    names = used if inputs is None else tuple(inputs)
    if missing := [name for name in used if name not in names]:
        raise ConfigError(f"inputs {', '.join(names)} without {missing[0]!r}", where="inputs", accepted=", ".join(used))
    if not used or len(names) > _MOST_INPUTS:
        found = f"formulas of {len(used)} inputs"
        raise UnsupportedError(found, where=shown(expressions[0]), accepted=f"1 to {_MOST_INPUTS}")
    reading = _Reading(names, inputs if isinstance(inputs, Mapping) else {}, allow_approximate=allow_approximate)
    return reading.network(expressions)


class _Reading:
    """The translation of formulas."""

    def __init__(
        self, names: Sequence[str], bounds: Mapping[str, tuple[float, float]], *, allow_approximate: bool
    ) -> None:
        self._draft = Draft(allow_approximate=allow_approximate)
        self._taken = UniqueNames()
        self._names, self._bounds = names, {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
        self._values: dict[Expression, Value] = {}
        self._open: list[str] = []

    def network(self, expressions: Sequence[Expression]) -> Network:
        """The network."""
        features = self._features()
        self._check(expressions)
        for part in parts(*expressions):
            if isinstance(part, Call):
                self._values[part] = self._called(part)
            elif isinstance(part, Number):
                self._values[part] = constant(part.value)
        build = self._builder(RESULT, "", RESULT)
        before = len(self._draft.nodes)
        elements = [self._element(self._values[expression], features.batch) for expression in expressions]
        results = build.named(concatenate(build, elements, -1), before)
        if not isinstance(results.node, int):
            raise UnsupportedError("formulas that depend on no input", where=shown(expressions[0]))
        kept = self._draft.needed([0, results.node])
        return self._draft.network(
            self._draft.named(kept, self._taken), [0], [results.node], "formulas", self._notes(expressions)
        )

    def _builder(self, name: str, kind: str, where: str) -> Builder:
        return Builder(self._draft, self._draft.begin(self._taken.take(name), kind), where)

    def _features(self) -> Value:
        """The input, after its elements have got their names."""
        build, low, high = self._builder(INPUT, "Input", INPUT), None, None
        if self._bounds:
            low, high = (as_weights([self._bounds[name][end] for name in self._names]) for end in (0, 1))
        layer = Input((len(self._names),), least=low, most=high, columns=tuple(self._names))
        x = Value(build.emit(layer).node, (len(self._names),), Batch(0))
        for number, name in enumerate(self._names):
            here = self._builder(name, "", f"input {name!r}")
            self._values[Name(name)] = picked(here, x, {1: range(number, number + 1)})
        return x

    def _element(self, x: Value, batch: Batch | None) -> Value:
        """A result as a vector of one element for each sample."""
        if x.constant is None:
            return x
        return Value(as_weights(np.broadcast_to(x.elements, (1,))), (1,), batch)

    def _called(self, part: Call) -> Value:
        name = part.function if part.function.isidentifier() else _NAMES.get(part.function, "comparison")
        build = self._builder(name, shown(part), f"{shown(part)!r}")
        before = len(self._draft.nodes)
        operands = [replace(self._values[operand], kind=Kind.REAL) for operand in part.operands]
        return build.named(FUNCTIONS[part.function].emit(build, *operands), before)

    def _check(self, expressions: Sequence[Expression]) -> None:
        """Reject functions outside their domains, or note what these compute there."""
        limited = [part for part in parts(*expressions) if isinstance(part, Call) and FUNCTIONS[part.function].domain]
        if not self._bounds:
            self._open = [shown(part) for part in limited if names_of(part)]
            return
        found = ranges(expressions, self._bounds)
        for part in limited:
            assert isinstance(part, Call)
            if said := undefined(part, found):
                Builder(self._draft, 0, f"{shown(part)!r}").approximate(
                    said, "the nearest number is taken for which it is defined", "ranges in inputs= within which it is"
                )

    def _notes(self, expressions: Sequence[Expression]) -> tuple[str, ...]:
        notes = [f"Elements of {INPUT!r}: {', '.join(self._names)}."]
        if len(expressions) > 1:
            notes.append(f"Elements of {RESULT!r}: {'; '.join(map(shown, expressions))}.")
        if self._open:
            listed = ", ".join(self._open[:4]) + ("" if len(self._open) <= 4 else ", ...")
            notes.append(
                f"No ranges of inputs are given, so that operands may be outside of where {listed} is defined: the nearest "
                "number is taken for which it is. With inputs={'x': (0, 1), ...} such are found out."
            )
        return tuple(notes)


def ranges(expressions: Sequence[Expression], bounds: Bounds) -> dict[Expression, Interval]:
    """Intervals of all parts of expressions, for each of the boxes."""
    low, high = boxes([np.array(ends) for ends in zip(*bounds.values(), strict=True)])
    intervals: dict[Expression, Interval] = {
        Name(name): (low[:, number], high[:, number]) for number, name in enumerate(bounds)
    }
    size = len(low)
    with np.errstate(all="ignore"):
        for part in parts(*expressions):
            if isinstance(part, Call):
                operands = [intervals[operand] for operand in part.operands]
                low, high = FUNCTIONS[part.function].span(*operands)
                intervals[part] = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
            elif not isinstance(part, Name):
                intervals[part] = np.full(size, part.value), np.full(size, part.value)
    return intervals


def undefined(part: Call, intervals: Mapping[Expression, Interval]) -> str:
    """The text on operands with which a function may not be defined; empty if there are none."""
    domain = FUNCTIONS[part.function].domain
    if domain is None:
        return ""
    operands = [intervals[operand] for operand in part.operands]
    wrong = ~domain.holds(*operands)
    if not np.any(wrong):
        return ""
    reached = " and ".join(
        f"{operand} may be from {x[0][wrong].min():.4g} to {x[1][wrong].max():.4g}"
        for operand, x in zip(map(_short, part.operands), operands, strict=True)
        if not np.all(x[0] == x[1]) or len(operands) == 1
    )
    return f"{reached}, and it is defined for {domain.words}"


def _short(expression: Expression) -> str:
    text = str(expression)
    return text if len(text) <= 40 else f"{text[:37]}..."
