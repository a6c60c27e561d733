"""The numbers of a vendor's test bench: what it reads, and what it must print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.building.job import Job
from bitsmith.emulate import Emulator
from bitsmith.hls.constants import decimals
from bitsmith.hls.project import HlsProject
from bitsmith.hls.words import Raws, given_weights
from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType, objects
from bitsmith.passes.program.load import load, parameters, random_values, values_of

LARGEST_BENCH = 100
"""Samples that the vendor's test bench reads: its simulations take seconds per sample."""

_MOST_WEIGHTS = 2_000_000
"""Numbers of weights that it reads."""

Numbers = Sequence[tuple[str, ...]]
"""Exact decimals, a row per sample."""


def bench_numbers(job: Job, project: HlsProject, inputs: Sequence[Raws]) -> tuple[Numbers, Numbers]:
    """A line per sample of ``inputs`` of what comes in, and one of what goes out.

    Where weights come from outside, the second half of the samples has others than those that the circuit has at first.
    """
    program, ports = job.program, project.inputs
    weights = sum(port.size for port in ports if port.loaded)
    few = [raw[: max(2, min(LARGEST_BENCH, _MOST_WEIGHTS // max(1, weights)))] for raw in inputs]

    def rows(
        program: Program, emulator: Emulator, raws: Sequence[Raws], loads: Sequence[int]
    ) -> tuple[Numbers, Numbers]:
        outputs = program.types([output.node for output in program.outputs])
        types, given = given_weights(ports, values_of(program), len(raws[0]) if raws else 1, loads)
        taken = _numbers([*program.types(program.inputs), *types], [*raws, *given])
        return taken, _numbers(outputs, emulator.run_raw(raws))

    if not parameters(program) or not few or len(few[0]) < 2:
        return rows(program, job.emulator, few, ())
    half, others = -(-len(few[0]) // 2), load(program, random_values(program))
    first = rows(program, job.emulator, [raw[:half] for raw in few], ())
    second = rows(others, Emulator(others), [raw[half:] for raw in few], (0,))
    return [*first[0], *second[0]], [*first[1], *second[1]]


def _numbers(types: Sequence[TensorType], raws: Sequence[Raws]) -> Numbers:
    """A row per sample: the exact real values of all tensors, as decimals."""
    columns = []
    for kind, raw in zip(types, raws, strict=True):
        frac = kind.frac
        most = int(frac.max())
        texts = decimals(objects(objects(raw) << objects(most - frac)), most)
        columns.append(np.array(texts, dtype=np.object_).reshape(len(raw), -1))
    return [tuple(row) for row in np.concatenate(columns, axis=1)]


def number_lines(numbers: Numbers) -> str:
    return "".join(f"{' '.join(row)}\n" for row in numbers)
