"""Estimates of small unrolled circuits beside what Yosys makes of them, on families whose figures are not in the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.building.design import circuit
from bitsmith.devices import CYCLONE_V, Family
from bitsmith.estimate.size import estimate_layout
from bitsmith.rtl.writer import Title
from tests.estimate.test_unrolled import UNROLLED, perceptron
from tests.flows.runs import synthesize


@pytest.mark.tools
@pytest.mark.parametrize(
    "network",
    [((8, 8, 4), 4, 4, 0.5), ((16, 16, 5), 3, 4, 0.0), ((16, 32, 16, 5), 4, 5, 0.75), ((12, 6), 8, 8, 0.0)],
    ids=str,
)
@pytest.mark.parametrize("family", [CYCLONE_V], ids=repr)
def test_unrolled_networks(tmp_path: Path, family: Family, network: tuple[tuple[int, ...], int, int, float]) -> None:
    program, budget = perceptron(*network), 6.0
    expected = estimate_layout(program, UNROLLED, family, budget)
    made = circuit(program, UNROLLED, family.delays, budget, "net", Title("test", ""))
    for name, text in made.sources.items():
        (tmp_path / name).write_text(text)
    found = synthesize(tmp_path, made.top, [tmp_path / name for name in made.sources], family)
    assert expected.lut == pytest.approx(found.lut, rel=0.1)
    assert (expected.ff, expected.dsp, expected.bram) == (found.ff, found.dsp, found.bram)
