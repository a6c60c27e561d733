"""The expected size of a circuit beside its part, looked at before any tool runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from bitsmith.building.job import Job
from bitsmith.devices.family import Part
from bitsmith.errors import CapacityError
from bitsmith.estimate.figures import Size
from bitsmith.estimate.needs import missing
from bitsmith.estimate.size import estimate_layout
from bitsmith.hls.project import Word, WordKind
from bitsmith.ir import ops

LAYOUT_LIMIT_LUTS = 2_000_000
"""Above this the circuit is not even written: generating and simulating it would take hours."""


def unrolled_products(job: Job) -> dict[str, int]:
    """The products with constants other than 0 that a layer with a reuse factor of 1 makes at once, by layer."""
    counts = Counter[str]()
    for node in job.program.nodes:
        if isinstance(node.op, ops.Linear) and job.directives.reuse_factor(node.layer) == 1:
            whole = job.directives.unrolled(job.program)
            positions = math.prod(node.type.shape[:-1]) if whole else 1
            counts[node.layer] += positions * int(np.count_nonzero(node.op.weights))
    return dict(counts)


def refused_word(words: Sequence[Word], tool: str, *, parallel: bool) -> CapacityError | None:
    """Return the fault of the widest of ``words``, which ``tool`` rejects, and a remedy; None without any."""
    word = max(words, key=lambda word: word.bits / word.most, default=None)
    if word is None:
        return None
    factor = -(-word.bits // word.most)
    fewer = f"1/{factor} of the bits or elements"
    match word.kind:
        case WordKind.WEIGHTS:
            more = f"a ReuseFactor {factor} times as large for that layer"
        case WordKind.PORT:
            more = "no Interface, for a port per element,"
        case WordKind.ROWS | WordKind.TOKEN:
            more = f"{fewer}, io_type='io_stream'" if parallel else fewer
        case _:
            assert_never(word.kind)
    return CapacityError(
        f"{word.kind.value.format(name=repr(word.name))}: {word.bits:,} bits",
        where="build",
        accepted=f"at most {word.most:,} bits, as {tool} does",
        remedy=f"{more} or backend='rtl'",
    )


@dataclass(frozen=True, slots=True)
class Room:
    """A circuit's expected size, and its part; a part that only a vendor's tool knows is taken as a typical one."""

    part: Part
    size: Size

    @staticmethod
    def of(job: Job) -> Room:
        """Return the room that a build has."""
        part = job.target.known_part
        budget_ns = job.target.budget_ns(part.family)
        return Room(part, estimate_layout(job.program, job.directives, part.family, budget_ns))

    @property
    def misfit(self) -> str:
        """One sentence on what the part has too little of; empty if the circuit fits."""
        lacking = missing(self.size, self.part)
        return f"the circuit does not fit {self.part.name}: about {lacking} (estimated)" if lacking else ""

    def check_part(self, job: Job) -> None:
        """Raise a CapacityError with what does fit if the circuit does not."""
        if self.misfit:
            raise CapacityError(self.misfit, where="build", remedy=job.remedy())

    def check_layout(self, job: Job) -> None:
        """Raise a CapacityError if the circuit would take hours to write."""
        if self.size.lut > LAYOUT_LIMIT_LUTS:
            found, accepted = f"about {self.size.lut:,} LUTs (estimated)", f"at most {LAYOUT_LIMIT_LUTS:,} LUTs"
            raise CapacityError(found, where="build", accepted=accepted, remedy=job.remedy())
