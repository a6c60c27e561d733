"""The netlist that is written as a circuit: all passes in order."""

from __future__ import annotations

from bitsmith.devices.delay import DelayModel
from bitsmith.ir.program import Program
from bitsmith.netlist.elaborate import BlockLayers, elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.netlist import Netlist
from bitsmith.netlist.pipeline import PipelineStages, pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums


def pipelined(
    program: Program, delays: DelayModel, budget_ns: float, blocks: BlockLayers | None = None
) -> tuple[Netlist, PipelineStages]:
    """The netlist of ``program``, all of it side by side, and its stages of ``budget_ns``."""
    netlist = elaborate(program, blocks)
    netlist = reduce_widths(netlist, delays.part_block(budget_ns))
    netlist = regroup_sums(netlist, delays, budget_ns)
    netlist = fuse_adders(netlist, delays, budget_ns)
    return netlist, pipeline(netlist, delays, budget_ns)
