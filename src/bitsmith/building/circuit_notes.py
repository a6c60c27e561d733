"""Notes on a circuit that was made: what its clock, its latency and its engines may lack."""

from __future__ import annotations

from collections.abc import Iterator

from bitsmith.building.design import Circuit
from bitsmith.building.job import Job
from bitsmith.devices import Family


def notes_on_circuit(circuit: Circuit, job: Job, family: Family, budget_ns: float) -> Iterator[str]:
    """Reasons why a circuit may miss its clock, or the latency that the user wants; and what its engines wait for."""
    target = job.target
    most = None if target.latency is None else int(target.latency.most)
    cycles, missing = circuit.cycles[0], circuit.stage_ns - budget_ns
    if most is not None and cycles > most:
        yield (
            f"the circuit takes {cycles} cycles, more than the {most} of Latency: shared multipliers (ReuseFactor) and "
            "tables in block memory take theirs whatever the clock."
        )
    if most is not None and missing > 0:
        yield (
            f"in {cycles} cycles, for Latency, a stage has {circuit.stage_ns:.1f} ns of logic by the delay model, where the "
            f"clock leaves {budget_ns:.1f}: a period of about {target.clock_period_ns + missing:.1f} ns may be reached."
        )
    yield from map(str, circuit.fetched)
    if circuit.over_budget:
        yield (
            f"{circuit.over_budget} operations (wide products or sums) take longer than the clock period by the delay model "
            f"({family.delays.source}); the clock may not be reached."
        )
