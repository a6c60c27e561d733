"""Co-simulation against numpy, and circuits that break the contract in each way it checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from designs import Design, adders, passthrough, random_words

from bitsmith.errors import InputDataError, ToolFailedError, VerificationError
from bitsmith.flows.verilator import Simulation, lint, simulate


def run(design: Design, folder: Path, samples: int) -> tuple[Simulation, np.ndarray]:
    source = folder / f"{design.top}.sv"
    source.write_text(design.source)
    stimuli = random_words(np.random.default_rng(1), samples, design.in_width)
    result = simulate(folder, design.top, [source], design.in_width, design.out_width, stimuli)
    return result, design.reference(stimuli)


@pytest.mark.parametrize(
    ("in_width", "out_width", "latency"),
    [(1, 8, 1), (9, 16, 2), (32, 33, 3), (47, 64, 5), (64, 1, 4), (65, 97, 2), (300, 31, 7)],
)
def test_any_width_bit_for_bit(tmp_path: Path, in_width: int, out_width: int, latency: int) -> None:
    result, expected = run(passthrough(in_width, out_width, latency), tmp_path, samples=400)
    assert np.array_equal(result.outputs, expected)
    assert (result.latency_cycles, result.ii_cycles) == (latency, 1)
    assert result.tool.startswith("verilator ")
