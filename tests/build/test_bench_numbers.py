"""What a vendor's test bench reads: few samples where each has all weights, and the results of the emulator."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from bitsmith.building import hls as bench
from bitsmith.building.job import Job
from bitsmith.emulate import Emulator
from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.mapping.directives import Directives
from tests.properties.programs import random_stimuli
from tests.rtl.wrapped import loaded


@pytest.mark.parametrize(
    ("most", "rows"), [(10.0, 10), (10.9, 10), (2.0, 2), (0.5, 2), (99.0, 99), (100.5, 100), (1e4, 100)]
)
def test_samples_are_as_many_as_weights_allow(most: float, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ``most`` times the weights of a sample, two or more, and a hundred or less; half of them with other weights."""
    program = loaded(external=True)
    project = write_project(program, Directives({}, True), DIALECTS["vitis"], HlsTarget("net", "part"))
    weights = sum(port.size for port in project.inputs if port.loaded)
    assert weights > 10
    monkeypatch.setattr(bench, "_MOST_WEIGHTS", int(most * weights))
    job = cast("Job", SimpleNamespace(program=program, emulator=Emulator(program)))
    inputs = random_stimuli(program, 0, 120)
    taken, given = bench.bench_numbers(job, project, inputs)
    assert (len(taken), len(given)) == (rows, rows)
    half, count = -(-rows // 2), sum(port.size for port in project.inputs if not port.loaded)
    first, other = {row[count:] for row in taken[:half]}, {row[count:] for row in taken[half:]}
    assert len(first) == 1
    assert not first & other
    (output,) = program.outputs
    wanted = np.ldexp(
        Emulator(program).run_raw([raw[:half] for raw in inputs])[0].astype(float),
        -program.nodes[output.node].type.frac,
    )
    np.testing.assert_array_equal(np.array(given[:half], dtype=float), wanted.reshape(half, -1))
