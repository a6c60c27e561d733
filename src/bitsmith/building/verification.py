"""Inputs for simulations, and the comparison of their outputs with the emulator's."""

from collections.abc import Sequence

import numpy as np

from bitsmith.base.project import digest
from bitsmith.building.job import Job
from bitsmith.emulate import Emulator
from bitsmith.errors import VerificationError
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints
from bitsmith.rtl.packing import Raw

RANDOM_INPUTS = 1000
"""Samples of a simulation without given inputs."""

_CORNERS = 64
"""Random mixtures of least and greatest values among generated samples."""


def stimuli(job: Job) -> list[Raw]:
    """Raw inputs: the user's, or random ones that begin with the extremes of every input range."""
    if job.inputs is not None:
        return [job.emulator.quantize(k, batch)[0] for k, batch in enumerate(job.inputs)]
    return random_stimuli(job.program)


def random_stimuli(program: Program, samples: int = RANDOM_INPUTS) -> list[Raw]:
    """Random raw inputs that begin with the extremes of every input range."""
    rng = np.random.default_rng(0)
    raws: list[Raw] = []
    for index in program.inputs:
        _, lo, hi = program.nodes[index].type.full()
        raws.append(_random_raws(rng, lo, hi, samples))
    return raws


def selftest_frame(program: Program) -> tuple[list[Raw], list[Raw]] | None:
    """Inputs of the frame of a circuit's self-test, and its result.

    None where weights come with each frame, and where states live on: the frame would be one of the stream.
    """
    if program.keeping or any(isinstance(node.op, ops.Parameter) and node.op.external for node in program.nodes):
        return None
    raws = [raw[-1:] for raw in random_stimuli(program, _CORNERS + 3)]
    return [raw[0] for raw in raws], [result[0] for result in Emulator(program).run_raw(raws)]


def compare(emulator: Emulator, program: Program, outputs: Sequence[Raw], raws: Sequence[Raw]) -> None:
    """Refuse ``outputs`` for ``raws`` that are not those of the emulator; both one array per output.

    Raises:
        VerificationError: they differ; says where first.
    """
    expected = emulator.run_raw(raws)
    for output, want, have in zip(program.outputs, expected, outputs, strict=True):
        want, have = want.reshape(len(want), -1), have.reshape(len(have), -1)
        wrong = np.argwhere(want != have)
        if len(wrong):
            sample, element = (int(k) for k in wrong[0])
            raise VerificationError(
                f"{len(wrong):,} of {want.size:,} outputs differ; first in sample {sample}, element {element}: "
                f"the circuit gives raw {have[sample, element]}, the emulator {want[sample, element]}",
                where=f"output {output.name!r}",
                remedy="this is a defect of bitsmith: please report it with the project folder",
            )


def raw_digest(raw: Raw) -> str:
    """A digest of raw values."""
    return digest(raw.astype(np.int64).tobytes() if raw.dtype != np.object_ else str(raw.tolist()))


def _random_raws(rng: np.random.Generator, lo: Ints, hi: Ints, samples: int) -> Raw:
    """Samples within ``lo..hi``: all least, all greatest, a few mixtures of both, then uniform ones."""
    shape = (samples, *lo.shape)
    if max(int(np.max(hi)).bit_length(), int(np.min(lo)).bit_length()) <= 62:
        least, greatest = lo.astype(np.int64), hi.astype(np.int64)
        return _with_corners(rng, rng.integers(least, greatest, shape, endpoint=True), least, greatest)
    bits = int(np.max(hi - lo)).bit_length() + 32
    drawn = np.zeros(shape, dtype=np.object_)
    for _ in range(0, bits, 32):
        drawn = (drawn << 32) | rng.integers(0, 1 << 32, shape).astype(np.object_)
    return _with_corners(rng, lo + drawn % (hi - lo + 1), lo, hi)


def _with_corners(rng: np.random.Generator, raws: Raw, lo: Raw, hi: Raw) -> Raw:
    corners = rng.integers(0, 2, (min(_CORNERS, len(raws) - 2), *lo.shape)).astype(bool)
    raws[0], raws[1], raws[2 : 2 + len(corners)] = lo, hi, np.where(corners, hi, lo)
    return raws
