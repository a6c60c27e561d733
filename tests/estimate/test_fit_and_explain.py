"""Reuse factors that ``fit=True`` takes, beside what ``explain`` says of half of these: one rule for both.

Where data come as a stream, a layer has its factor at each token: half of it may fit, and be slower all the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bitsmith
from bitsmith.estimate import fit
from bitsmith.estimate.figures import Size
from bitsmith.estimate.needs import fits, limited
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.model.points import Layouts

PARTS = {"xc7z010clg400-1": 24, "LFE5U-25F-6BG256C": 28}
"""Multiplier blocks that there may be, by part; nextpnr routes half of those of the second one."""


class Recurrent(nn.Module):
    """An LSTM and a layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.cell(x)[0][:, -1])


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 2)), (4,)),
    "lstm": (Recurrent, (3, 3)),
}


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("name", MODELS)
def test_half_the_reuse_of_a_fit_does_not_fit_or_is_named(name: str, io_type: str, part: str) -> None:
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = bitsmith.convert(make().eval(), input_shape=shape, part=part, io_type=io_type, check=False)
    asked = Layouts.of(model, model.target)
    room = limited(asked.part, {"dsp": PARTS[part]})
    assert not fits(asked.as_asked.size, room)
    found = asked.fitting(room)
    assert found is not None and found.reuse and fits(found.size, room)
    half = bitsmith.convert(
        make().eval(),
        input_shape=shape,
        part=part,
        io_type=io_type,
        reuse_factor=max(found.reuse.values()) // 2,
        check=False,
    )
    sooner = Layouts.of(half, half.target).as_asked.size
    point = asked.point(found, {}, None)
    assert f"a result every {found.size.interval:,} cycles" in str(point)
    if fits(sooner, room) and sooner.interval < found.size.interval:
        assert found.faster is not None and found.faster.size.interval <= sooner.interval
        assert found.faster.description in point.margin and "may not be routed" in point.margin


def test_layers_that_cannot_share_an_engine_get_multipliers_of_their_own() -> None:
    """A single layer has nothing to share with; with half the multiplier blocks that it takes so, it fits all the same."""
    torch.manual_seed(0)
    layer, common = nn.Linear(12, 12), {"input_shape": (12,), "part": "xc7z010clg400-1", "bits": 8, "check": False}
    model = bitsmith.convert(layer, strategy="shared", reuse_factor=4, **common)
    asked = Layouts.of(model, model.target)
    room = limited(asked.part, {"dsp": asked.as_asked.size.dsp // 2})
    assert not fits(asked.as_asked.size, room)
    found = asked.fitting(room)
    assert found is not None and fits(found.size, room) and not found.directives.engine
    assert found.description.endswith(", Strategy Latency")
    configuration = asked.point(found, {}, None).configuration
    again = bitsmith.convert(layer, config=configuration, reuse_factor=4, **common)
    assert not again.directives.engine and again.estimate().size == found.size


@pytest.mark.slow
@pytest.mark.ci
def test_turns_that_fit_are_found_where_the_slowest_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if few multipliers had longer tables than all blocks of the part hold, and the first possible ones deeper FIFOs."""
    torch.manual_seed(0)

    def with_tables(program: Program, directives: Directives, *others: Any) -> Size:
        size, reuse = estimate_layout(program, directives, *others), max(directives.reuse.values(), default=1)
        lacks_room = reuse > 4000 or (reuse < 700 and others[-1] is not fit._never)
        return replace(size, bram=size.bram + 280 * lacks_room)

    monkeypatch.setattr(fit, "estimate_layout", with_tables)
    found = bitsmith.explain(
        nn.Sequential(nn.Linear(8, 700), nn.ReLU(), nn.Linear(700, 8)),
        input_shape=(4, 8),
        calibration=np.random.default_rng(0).normal(0, 1, (50, 4, 8)),
        bits=6,
        io_type="io_stream",
        strategy="shared",
        reuse_factor=1,
        part="xc7z020clg400-1",
        weight_memory="64 bits, 200 MHz, 200 ns, 75 %",
    ).proposal
    assert found is not None and found.fit.in_turn and found.fit.size.bram < 280
    assert found.fit.of_all == 724, "the first of four to an octave"
