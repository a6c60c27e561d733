"""Notes on settings that have no effect on the circuit of a target, or another effect than they say.

Notes on a circuit that was made say what its clock, its latency and its engines may lack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bitsmith.building.job import Job, Target, protection
from bitsmith.config.values import LAYERS, MEMORIES, RANGES, IOType, is_monitored
from bitsmith.dataflow.outside import tensors_outside
from bitsmith.devices.family import Family
from bitsmith.devices.protection import Protection
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Strategy, Weights
from bitsmith.mapping.directives import Directives, possible_parallelism
from bitsmith.mapping.folding import MultiplierStyle

if TYPE_CHECKING:
    from bitsmith.building.design import Circuit


def notes_on_settings(network: Network, target: Target) -> Iterator[str]:
    """All notes on the settings of ``network``."""
    yield from _other_positions(network, target)
    yield from _unsliced(network, target)
    yield from _loaded(network)
    yield from _not_fetched(network, target)
    yield from _nothing_to_read(network, target)
    yield from _lasting(network)
    if target.samples > 1:
        yield (
            f"Batch: the circuit computes {target.samples} samples together, which come one after another. Cycles, latency and "
            "interval are those of all of them."
        )
    if protection(target) is Protection.ECC:
        yield (
            "Monitors 'ecc' lowers the clock that the circuit reaches, by a fifth and more: its gates stand between block "
            "memories and what reads them (docs/boards.md)."
        )


def _lasting(network: Network) -> Iterator[str]:
    """A note on layers whose states live on between samples."""
    names = [node.name for node in network.nodes if node.layer.stateful]
    if names:
        yield note_on_states(names)


def note_on_states(names: Iterable[str]) -> str:
    """The note on states by the names of layers or inputs."""
    return (
        f"States of {', '.join(map(repr, names))} live on between samples, which come in order: model.reset_states() gives them "
        "their initial values, as a reset of the circuit does."
    )


def _unsliced(network: Network, target: Target) -> Iterator[str]:
    """A note on register slices that the circuit does not have."""
    sliced = [node.name for node in network.nodes if node.settings.register_slices]
    if not sliced:
        return
    if target.backend != "rtl":
        yield f"RegisterSlices of {sliced[0]!r} has no effect with backend {target.backend!r}, whose tool places registers."
    elif target.io_type is IOType.PARALLEL and all(
        node.settings.reuse_factor == 1 and node.settings.weights is Weights.ONCHIP for node in network.nodes
    ):
        yield (
            f"RegisterSlices of {sliced[0]!r} has no effect without streams: the circuit is one pipeline, which has "
            "registers wherever the clock needs them."
        )


def _loaded(network: Network) -> Iterator[str]:
    """Notes on weights that come from outside."""
    for source, arrival in ((Weights.RELOADABLE, "can be loaded later"), (Weights.EXTERNAL, "come in with each frame")):
        names = ", ".join(repr(node.name) for node in network.nodes if node.settings.weights is source)
        if names:
            yield f"Weights of {names} {arrival}."


def _not_fetched(network: Network, target: Target) -> Iterator[str]:
    """A note on a memory of weights that no layer has."""
    if target.weight_memory is not None and all(
        node.settings.strategy is not Strategy.SHARED for node in network.nodes
    ):
        yield (
            "WeightMemory holds no weights: no layers take turns on an engine (Strategy: Shared), so that all weights are on "
            "chip. FIFOs for which these leave no room lie there."
        )


def _nothing_to_read(network: Network, target: Target) -> Iterator[str]:
    """Notes on monitors that have nothing to look at."""
    for name in (RANGES, LAYERS):
        if is_monitored(target.monitors, name) and target.board is None:
            yield f"Monitors {name!r} has no effect without a board: nothing would read it."
    if is_monitored(target.monitors, MEMORIES) and all(
        node.settings.weights is not Weights.RELOADABLE for node in network.nodes
    ):
        yield (
            "Monitors 'memories' has no effect: no weights are reloadable, and constants are in the logic, which the "
            "vendor's checks of the configuration watch."
        )


def _other_positions(network: Network, target: Target) -> Iterator[str]:
    """Notes on layers whose ParallelizationFactor differs from the circuit's."""
    shapes = network.shapes()
    for node in network.nodes:
        wanted, grid = node.settings.parallelization_factor, shapes[node.name][:-1]
        if target.io_type is IOType.PARALLEL and wanted > 1:
            yield (
                f"ParallelizationFactor of {node.name!r} has no effect with io_parallel: all positions are taken at once, "
                "and ReuseFactor lets them share hardware."
            )
            return
        possible = max(number for number in possible_parallelism(grid) if number <= wanted)
        if grid and possible < wanted and "weight" in node.layer.variables():
            yield (
                f"ParallelizationFactor {wanted} of {node.name!r} is taken as {possible}: of {'x'.join(map(str, grid))} "
                "positions as many can come at once as divide a row, or whole rows."
            )


def notes_on_reuse(program: Program, directives: Directives, interval: int | None) -> Iterator[str]:
    """A note on reuse factors where there is a result in every cycle, as products side by side take less area."""
    factors = (
        directives.reuse_factor(node.layer)
        for node in program.nodes
        if isinstance(node.op, ops.Linear) and directives.multiplier_style(node.layer) is MultiplierStyle.CHEAPEST
    )
    most = max(factors, default=1)
    if interval == 1 and most > 1:
        yield (
            f"ReuseFactor {most} allows a result every {most} cycles, and there is one in each: products with these constants "
            "take less area side by side. Strategy 'Resource' has them share multipliers all the same."
        )


def notes_on_latency(circuit: Circuit, target: Target, budget_ns: float) -> Iterator[str]:
    """Reasons why a circuit has not the latency that the user wants, or not at the clock."""
    if target.latency is None:
        return
    most, cycles, missing = int(target.latency.most), circuit.cycles[0], circuit.stage_ns - budget_ns
    if cycles > most:
        yield (
            f"the circuit takes {cycles} cycles, more than the {most} of Latency: shared multipliers (ReuseFactor) and "
            "tables in block memory take theirs whatever the clock."
        )
    if missing > 0:
        yield (
            f"in {in_cycles(cycles)}, for Latency, a stage has {circuit.stage_ns:.1f} ns of logic by the delay model, where "
            f"the clock leaves {budget_ns:.1f}: a period of about {target.clock_period_ns + missing:.1f} ns may be reached."
        )


def in_cycles(count: int) -> str:
    """A number of cycles in words."""
    return f"{count:,} cycle{'s' * (count != 1)}"


def notes_on_circuit(circuit: Circuit, job: Job, family: Family, budget_ns: float) -> Iterator[str]:
    """Reasons why a circuit may miss its clock, or the latency that the user wants; and what its engines wait for."""
    yield from notes_on_latency(circuit, job.target, budget_ns)
    yield from (str(engine) for engine in circuit.engines if engine.gap)
    yield from tensors_outside([loop.out.tokens for loop in circuit.interface.loops])
    yield from notes_on_reuse(job.program, job.directives, circuit.cycles[1])
    if circuit.over_budget:
        yield (
            f"wide products or sums take longer than the clock period by the delay model ({family.delays.source}), "
            f"{circuit.over_budget} in all; the clock may not be reached."
        )
