"""The netlist that is written as a circuit: all passes in order."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from bitsmith.devices.delay import DelayModel
from bitsmith.ir.ops import Linear
from bitsmith.ir.program import Program
from bitsmith.netlist.adder_graph import DEFAULT_SEARCH, Search
from bitsmith.netlist.elaborate import BlockLayers, elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.netlist import Netlist
from bitsmith.netlist.pipeline import PipelineStages, pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums

_REMEMBERED = 1 << 15
"""Products of a program whose netlist is kept for the next time; it takes some tens of megabytes at most."""

Pipelined: TypeAlias = tuple[Netlist, PipelineStages]


def pipelined(
    program: Program,
    delays: DelayModel,
    budget_ns: float,
    blocks: BlockLayers | None = None,
    search: Search = DEFAULT_SEARCH,
) -> Pipelined:
    """The netlist of ``program``, all of it side by side, and its stages of ``budget_ns``."""
    return (_remembered if _products(program) <= _REMEMBERED else _made)(program, delays, budget_ns, blocks, search)


def _products(program: Program) -> int:
    """Products with constants, and elements of other results."""
    return sum(
        node.type.size * (node.op.weights.shape[0] if isinstance(node.op, Linear) else 1) for node in program.nodes
    )


def _made(
    program: Program, delays: DelayModel, budget_ns: float, blocks: BlockLayers | None, search: Search
) -> Pipelined:
    netlist = elaborate(program, blocks, search)
    netlist = reduce_widths(netlist, delays.part_block(budget_ns))
    netlist = regroup_sums(netlist, delays, budget_ns)
    netlist = fuse_adders(netlist, delays, budget_ns)
    return netlist, pipeline(netlist, delays, budget_ns)


_remembered = lru_cache(maxsize=2)(_made)
"""A circuit that is written has just been estimated."""
