"""The netlist that is written as a circuit: all passes in order."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from bitsmith.devices.delay import DelayModel
from bitsmith.errors import CapacityError
from bitsmith.ir.ops import Linear
from bitsmith.ir.program import Program
from bitsmith.netlist import csd
from bitsmith.netlist.drop_unread_bits import drop_unread_bits
from bitsmith.netlist.elaborate import BlockLayers, elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.join_tables import join_tables
from bitsmith.netlist.netlist import Netlist
from bitsmith.netlist.part_sums import part_sums
from bitsmith.netlist.pipeline import PipelineStages, Timing, pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums
from bitsmith.netlist.sink_constants import sink_constants
from bitsmith.netlist.split_tables import split_tables
from bitsmith.netlist.tabulate_cones import tabulate_cones

_REMEMBERED = 1 << 15
"""Products of a program whose netlist is kept for the next time; it takes some tens of megabytes at most."""

_MANY = 1 << 10
"""Those of a program that is one of many: netlists of all of these are kept, of a megabyte at most."""

_LONGEST_NS, _STAGE_STEP_NS = 1e5, 0.01
"""The longest stages that are sought for a latency, and how exactly these are."""


@dataclass(frozen=True, slots=True)
class StageGoal:
    """A number of stages: the most, which are longer than the clock allows where it needs more, or ``exactly`` so many."""

    stages: int
    exactly: bool


Pipelined: TypeAlias = tuple[Netlist, PipelineStages]


def stage_budget(programs: Iterable[Program], delays: DelayModel, budget_ns: float) -> float:
    """The time of a stage of circuits beside each other, whose products with constants take most of their place."""
    bits = 0.0
    for program in programs if delays.reached is not None else ():
        for node in program.nodes:
            if isinstance(node.op, Linear):
                widths = float(program.nodes[node.args[0]].type.width.mean()), float(node.type.width.mean())
                bits += csd.estimate(node.op.weights) * node.type.size / node.type.shape[-1] * csd.adder_width(*widths)
    return delays.within(budget_ns, bits)


def pipelined(
    program: Program,
    delays: DelayModel,
    budget_ns: float,
    blocks: BlockLayers | None = None,
    latency: StageGoal | None = None,
) -> Pipelined:
    """The netlist of ``program``, all of it side by side, and its stages of ``budget_ns``, as many as ``latency`` wants.

    Raises:
        CapacityError: exactly so many are too few.
    """
    products = _products(program)
    make = _all_remembered if products <= _MANY else _remembered if products <= _REMEMBERED else _made
    return make(program, delays, budget_ns, blocks, latency)


def _products(program: Program) -> int:
    """Products with constants, and elements of other results."""
    return sum(
        node.type.size * (node.op.weights.shape[0] if isinstance(node.op, Linear) else 1) for node in program.nodes
    )


def _made(
    program: Program, delays: DelayModel, budget_ns: float, blocks: BlockLayers | None, latency: StageGoal | None
) -> Pipelined:
    netlist = elaborate(program, blocks)
    netlist = reduce_widths(netlist, delays.part_block(budget_ns))
    netlist = drop_unread_bits(netlist)
    netlist = tabulate_cones(netlist, delays)
    netlist = join_tables(netlist, delays)
    netlist = sink_constants(netlist, delays)
    netlist = split_tables(netlist, delays, budget_ns)
    if latency is not None and not latency.exactly:
        budget_ns = _long_enough(netlist, delays, budget_ns, latency.stages)
    # As many as if no sums overlapped: sums of three take longer, and save more than the registers of another stage.
    apart = Timing(netlist, delays, budget_ns, overlap=False).stages
    most = apart if latency is None else min(apart, latency.stages)
    netlist = regroup_sums(netlist, delays, budget_ns, most)
    netlist = fuse_adders(netlist, delays, budget_ns, most)
    exactly = latency.stages if latency is not None and latency.exactly else None
    netlist = part_sums(netlist, delays, budget_ns, exactly)
    stages = pipeline(netlist, delays, budget_ns, exactly)
    if exactly is not None and stages.stages > exactly:
        raise CapacityError(
            f"a pipeline of {stages.stages} cycles at least, by the delay model at this clock",
            where="Latency",
            accepted=f"exactly {stages.stages} or more: '={stages.stages}'",
            remedy=f"allow more, ask for a slower clock, take fewer bits, or give {exactly}, which goes before the clock",
        )
    return netlist, stages


def _long_enough(netlist: Netlist, delays: DelayModel, budget_ns: float, latency: int) -> float:
    """The shortest stages, of ``budget_ns`` at least, of which there are as few as ``latency``, or as few as can be."""
    if Timing(netlist, delays, budget_ns).stages <= latency:
        return budget_ns
    short, long = budget_ns, _LONGEST_NS
    fewest = max(latency, Timing(netlist, delays, long).stages)
    while long - short > _STAGE_STEP_NS:
        middle = (short + long) / 2
        if Timing(netlist, delays, middle).stages <= fewest:
            long = middle
        else:
            short = middle
    return long


_remembered = lru_cache(maxsize=2)(_made)
"""A circuit that is written has just been estimated."""

_all_remembered = lru_cache(maxsize=128)(_made)
"""So have the token functions of a network, of which there are many."""
