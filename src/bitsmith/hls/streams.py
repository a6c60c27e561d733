"""C++ projects of programs: unrolled, or as networks of processes, whose schedule for C++ is here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.dataflow import processes as kinds
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import Network, Process
from bitsmith.dataflow.schedule import Schedule, schedule
from bitsmith.dataflow.timing import ProcessTiming, Sequencer, is_monotone, timing
from bitsmith.errors import UnsupportedError
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.network import NetworkWriter
from bitsmith.hls.project import HlsProject, HlsTarget
from bitsmith.hls.writer import write
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.load import parameters

_PIPELINE = 10
"""Cycles that pipelines of the vendors' making are taken to have; longer ones cost speed where branches meet, no more."""


def scheduled(network: Network) -> Schedule:
    """A schedule of the C++ of ``network``, for the depths of its streams.

    Its processes do what those of the plan do in the same order, but for one that writes a whole frame into a memory before
    it reads. So the method's argument holds: with these depths the streams lock up under no circumstances.
    """
    latencies = {
        number: _PIPELINE
        for number, process in enumerate(network.processes)
        if isinstance(process.kind, kinds.Map | kinds.FoldedProduct | kinds.Reduce)
    }
    return schedule(network, latencies, _timing)


def _timing(process: Process, latency: int) -> ProcessTiming:
    if not isinstance(process.kind, kinds.Reorder) or is_monotone(process.kind.source):
        return timing(process, latency)
    tokens, results = process.takes[0].tokens, process.results[0].tokens
    step = np.arange(1, tokens + results + 1)
    takes, fills = Polyline.of(np.minimum(step, tokens)), Polyline.of(np.maximum(step - tokens, 0))
    return ProcessTiming((Sequencer((takes,), (takes,), (fills,)),))


def write_project(program: Program, directives: Directives, dialect: Dialect, target: HlsTarget) -> HlsProject:
    """The project of ``program``: all unrolled if the directives ask for nothing else, else a network of processes.

    Raises:
        RangeError, UnsupportedError: as of the two writers; or weights that are not constants.
    """
    for layer, name in parameters(program):
        raise UnsupportedError(
            f"{name} that is loaded or comes with each frame",
            where=f"layer {layer!r}",
            accepted="Weights: onchip; reloadable and external with backend 'rtl'",
        )
    if directives.unrolled(program):
        return write(program, dialect, target)
    network = partition(program, directives)
    parallel = directives.parallel and dialect.streams.arrays
    return write_streams(network, scheduled(network), dialect, target, parallel=parallel)


def write_streams(
    network: Network, plan: Schedule, dialect: Dialect, target: HlsTarget, *, parallel: bool
) -> HlsProject:
    """The project of ``network`` for the compiler of ``dialect``.

    Args:
        plan: has the depths of the streams.
        parallel: the top function takes arrays (``io_parallel``) and not streams of tokens.

    Raises:
        RangeError: elements of one tensor that have no common format of a reasonable width.
        UnsupportedError: a cast that wraps in a range that is not that of a number format.
    """
    project = NetworkWriter(network, plan, dialect, target, parallel=parallel).project()
    return replace(project, interval=plan.interval)
