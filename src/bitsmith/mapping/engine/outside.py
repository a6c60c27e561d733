"""Numbers of an engine that lie in a memory outside of the circuit: results of some layers, and operands of later visits."""

import math
from collections.abc import Sequence
from dataclasses import replace

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.kinds import Outside
from bitsmith.dataflow.tokens import Stream
from bitsmith.mapping.builder import DataflowBuilder, NodeId, Port, StepId
from bitsmith.mapping.directives import WeightsBus
from bitsmith.mapping.engine.beside import raw_stream
from bitsmith.mapping.engine.fetched import word_cycles
from bitsmith.mapping.engine.units import Unit
from bitsmith.mapping.engine.visits import numbers_of, visits_of

_LATENCY, _LATENCY_ON_A_BUS = 64, 128
"""Cycles that a number is under way at least: to a memory of the user's, and through the writer and the reader of a board."""


def way_cycles(bus: WeightsBus | None) -> int:
    """Cycles from a number's way out to its way back, at least."""
    return _LATENCY if bus is None else _LATENCY_ON_A_BUS


def through_memory(
    builder: DataflowBuilder,
    engine: Engine,
    units: Sequence[Unit],
    operands: tuple[StepId, ...],
    stream: Stream,
    rate: float,
) -> StepId:
    """The step of the last result of an engine whose visits but the first take numbers that others gave to a memory outside.

    ``operands``: the numbers that come, and the words of weights. The memory gives ``rate`` bits in a cycle to numbers.
    """
    visits, firsts, count = visits_of(units), dict[NodeId, int](), 0
    leaving = [unit for unit in units if unit.leaves]
    for tensor in dict.fromkeys(unit.result for unit in leaving):
        firsts[tensor] = count
        count += math.prod(builder.shape(tensor))
    spans = list[tuple[int, int]]()
    for unit in (visit[0] for visit in visits[1:]):
        begin, numbers = numbers_of(builder, unit)
        spans.append((firsts[unit.sources[0]] + begin, numbers))
    gives = replace(engine, shares=(0, *(1 for _ in spans)), gives=(*(0 for _ in leaving), 1))
    operand, *words = operands
    turns = builder.add(gives, (operand, operand, *words), stream)
    raw = raw_stream(builder, tuple(firsts))
    leaves = builder.add(Port(0), (turns, operand), raw)
    gap = word_cycles(raw.bits, rate / 2, builder.directives.weights_bus)
    back = Stream((sum(numbers for _, numbers in spans),), raw.token)
    latency = way_cycles(builder.directives.weights_bus)
    outside = builder.add(Outside(f"{engine.layers[0].name}_maps", tuple(spans), gap, latency), (leaves,), back)
    builder.steps[turns] = replace(builder.steps[turns], args=(operand, outside, *words))
    return builder.add(Port(1), (turns, outside), stream)
