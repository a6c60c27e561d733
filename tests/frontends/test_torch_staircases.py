"""Functions of live modules that are quantizers, and those that are almost."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from bitsmith.frontends.torch.staircases import ROUNDINGS, staircase, uniform, uniform_parts

_SCALE = torch.tensor([2.0**-3])
_RANGES = {"few": (-8, 7), "uneven": (-3, 255), "many": (-(1 << 15), (1 << 15) - 1)}


def _quantized(x: torch.Tensor, ends: tuple[int, int], rounding: str, missing: int | None = None) -> torch.Tensor:
    """Values of codes, of which one may be left out for the next."""
    codes = ROUNDINGS[rounding](x / _SCALE).clamp(*ends)
    return (codes + (codes == missing)) * _SCALE


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("ends", _RANGES.values(), ids=_RANGES)
def test_quantizers_are_found_and_no_code_may_be_missing(ends: tuple[int, int], rounding: str) -> None:
    least, most = ends
    parts = uniform_parts(lambda x: _quantized(x, ends, rounding), _SCALE, torch.zeros(1))
    assert parts is not None
    assert (parts[0].item(), parts[1].item(), parts[2]) == (least, most, rounding)
    for missing in (least + 1, least + 2, -1, 0, 1, most - 2, most - 1):
        almost = partial(_quantized, ends=ends, rounding=rounding, missing=missing)
        assert uniform_parts(almost, _SCALE, torch.zeros(1)) is None, missing


@pytest.mark.parametrize("zero_point", [0.0, 3.0])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_functions_become_operators_that_compute_the_same(rounding: str, zero_point: float) -> None:
    shift = torch.tensor([zero_point])

    def function(x: torch.Tensor) -> torch.Tensor:
        return (ROUNDINGS[rounding](x / _SCALE + shift).clamp(-4, 11) - shift) * _SCALE

    x = torch.arange(-3.0, 3.0, 2.0**-6)
    found = [uniform(function, _SCALE, shift), staircase(function, _SCALE)]
    for operator in found:
        assert operator is not None
        assert torch.equal(operator(x), function(x))


def test_what_falls_or_never_steps_is_not_a_staircase() -> None:
    steps = staircase(lambda x: torch.floor(x.clamp(-2.0, 2.0)), _SCALE)
    assert steps is not None and torch.equal(
        steps(torch.tensor([-9.0, -0.5, 1.5, 9.0])), torch.tensor([-2.0, -1.0, 1.0, 2.0])
    )
    for function in (
        torch.zeros_like,
        lambda x: x,
        lambda x: -torch.floor(x.clamp(-2.0, 2.0)),
        lambda x: torch.floor(x).remainder(3.0),
    ):
        assert staircase(function, _SCALE) is None
