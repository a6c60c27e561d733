"""Quantizers of live modules, found by running them, as operators that an export shows.

- ``quantize(x, scale, zero_point, lo, hi, step, rounding)``: the code ``clamp(round(x / scale + zero_point), lo, hi)``, and the
  value ``(code - zero_point) * step``;
- ``staircase(x, thresholds, levels)``: ``levels[number of thresholds <= x]``, both along a last axis of their own;
- ``parameter(values, scale, lo, hi)``: trained values, whose codes are from ``lo`` to ``hi``.

The tensors but ``x`` broadcast to it. Only live modules need this module, which imports torch.
"""

import contextlib
from collections.abc import Callable
from typing import TypeAlias

import torch

Function: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""Index of each element of points along a first axis; the others are those of the scales."""

ROUNDINGS: dict[str, Function] = {"round": torch.round, "floor": torch.floor, "trunc": torch.trunc, "ceil": torch.ceil}
"""The roundings of ``quantize``."""

MOST_LEVELS = 1 << 10

_FAR = 2.0**60
_KEYS = 0x7F7FFFFF
"""The greatest number of single precision, by its bits."""

_LIBRARY = torch.library.Library("bitsmith", "DEF")


def _quantize(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor,
    lo: torch.Tensor,
    hi: torch.Tensor,
    step: torch.Tensor,
    rounding: str,
) -> torch.Tensor:
    codes = ROUNDINGS[rounding](x / scale + zero_point)
    return (torch.minimum(torch.maximum(codes, lo), hi) - zero_point) * step


def _staircase(x: torch.Tensor, thresholds: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    places = torch.sum(x.unsqueeze(-1) >= thresholds, -1, keepdim=True)
    return torch.take_along_dim(levels.expand(*x.shape, levels.shape[-1]), places, -1).squeeze(-1).to(x.dtype)


for _schema, _function in (
    ("quantize(Tensor x, Tensor scale, Tensor zero_point, Tensor lo, Tensor hi, Tensor step, str rounding)", _quantize),
    ("staircase(Tensor x, Tensor thresholds, Tensor levels)", _staircase),
    ("parameter(Tensor values, Tensor scale, Tensor lo, Tensor hi)", lambda values, scale, lo, hi: values.clone()),
):
    _LIBRARY.define(f"{_schema} -> Tensor")
    _LIBRARY.impl(_schema.partition("(")[0], _function, "CPU")
    _LIBRARY.impl(_schema.partition("(")[0], lambda x, *_: torch.empty_like(x), "Meta")


def uniform(function: Function, scale: torch.Tensor, zero_point: torch.Tensor) -> Function | None:
    """``function`` as the operator ``quantize``, if it is that."""
    found = uniform_parts(function, scale, zero_point)
    if found is None:
        return None
    lowest, highest, rounding = found
    return lambda x: torch.ops.bitsmith.quantize(x, scale, zero_point, lowest, highest, scale, rounding)


def uniform_parts(
    function: Function, scale: torch.Tensor, zero_point: torch.Tensor, *, integers: bool = False
) -> tuple[torch.Tensor, torch.Tensor, str] | None:
    """The least and the greatest code and the rounding of a quantizer, perhaps of integers only; None of another function."""
    with contextlib.suppress(RuntimeError):  # a function of several channels does not take the points
        axes = scale.shape[1:]
        far = torch.tensor([-_FAR, _FAR]).reshape(2, *(1 for _ in axes)) * torch.ones(axes)
        lowest, highest = (torch.round(value / scale) + zero_point for value in function(far)[:, None])
        points = _quarters(float((lowest - zero_point).min()), float((highest - zero_point).max()))
        points = points.reshape(-1, *(1 for _ in axes)) * scale
        points = torch.round(points) if integers else points
        wanted = function(points)
        for rounding in ROUNDINGS:
            given = torch.ops.bitsmith.quantize(points, scale, zero_point, lowest, highest, scale, rounding)
            if torch.equal(given, wanted):
                return lowest, highest, rounding
    return None


def _quarters(lowest: float, highest: float) -> torch.Tensor:
    """Quarters of steps around the codes ``lowest..highest``, all of them if there are few, and places without a pattern."""
    few = highest - lowest < MOST_LEVELS
    ends = [(lowest, highest)] if few else [(lowest, lowest + 256.0), (-256.0, 256.0), (highest - 256.0, highest)]
    ranges = [torch.arange(first - 2.0, last + 2.0, 0.25) for first, last in ends]
    return torch.cat([*ranges, lowest + _anywhere() * (highest - lowest)])


def _anywhere() -> torch.Tensor:
    """Places from 0 to 1 and a little beyond, always the same."""
    return torch.rand(4096, generator=torch.Generator().manual_seed(0)) * 1.25 - 0.125


def staircase(function: Function, scale: torch.Tensor) -> Function | None:
    """``function`` as the operator of this name, if it rises in at most :data:`MOST_LEVELS` steps."""
    with contextlib.suppress(RuntimeError):
        points = _everywhere(scale)
        values = function(points)
        flat = values.reshape(len(values), -1)
        levels = [torch.unique(column) for column in flat.T]
        count = len(levels[0])
        if (
            any(len(each) != count for each in levels)
            or not 1 < count <= MOST_LEVELS
            or bool((flat.diff(dim=0) < 0).any())
        ):
            return None
        steps = torch.stack(levels, -1).reshape(count, *values.shape[1:])
        thresholds, steps = (
            each.movedim(0, -1)[None] for each in (_first_at(function, steps[1:]), _multiples(steps, scale))
        )
        if torch.equal(torch.ops.bitsmith.staircase(points, thresholds, steps), values):
            return lambda x: torch.ops.bitsmith.staircase(x, thresholds, steps)
    return None


def _multiples(levels: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The multiples of ``scale`` that single precision rounded to ``levels``; these if they are no such multiples.

    What quantizes them again sees halves of its steps where they are, not next to them.
    """
    codes = torch.round(levels / scale)
    return codes.double() * scale.double() if torch.equal(codes * scale, levels) else levels


def _everywhere(scale: torch.Tensor) -> torch.Tensor:
    """Numbers of all magnitudes, and around the steps of a quantizer and where functions bend, in rising order."""
    axes = [1 for _ in scale.shape[1:]]
    powers = torch.logspace(-40, 40, 2001, base=2.0)
    plain = torch.cat([-powers, powers, torch.arange(-8.0, 8.0, 2.0**-10), 16.0 * _anywhere() - 8.0])
    near = torch.arange(-MOST_LEVELS, MOST_LEVELS + 0.25, 0.25).reshape(-1, *axes) * scale
    return torch.cat([plain.reshape(-1, *axes).expand(-1, *near.shape[1:]), near]).sort(dim=0).values


def _first_at(function: Function, levels: torch.Tensor) -> torch.Tensor:
    """The least numbers of single precision at which the function has the levels."""
    below, at = torch.full(levels.shape, -_KEYS), torch.full(levels.shape, _KEYS)
    while bool((at - below > 1).any()):
        middle = torch.div(below + at, 2, rounding_mode="floor")
        reached = function(_from_key(middle)) >= levels
        at, below = torch.where(reached, middle, at), torch.where(reached, below, middle)
    return _from_key(at)


def _from_key(keys: torch.Tensor) -> torch.Tensor:
    """The numbers of single precision in their order; 0 is the number 0."""
    return keys.abs().to(torch.int32).view(torch.float32) * keys.sign()
