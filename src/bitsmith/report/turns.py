"""Layers in turn on engines.

In: engines as planned, or rows of the section ``Engines``. Out: that section, figures of rows, and cells of a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bitsmith.report.sections import Engines, LayerInTurn, Section, find, number

if TYPE_CHECKING:
    from bitsmith.estimate.turns import EngineCycles

COLUMNS = ("Layer", "Engine", "MACs", "MACs/cycle", "Weight bytes", "Cycles", "Bound by")


def section(engines: Iterable[EngineCycles]) -> Engines:
    """The section of all layers of ``engines``, which are numbered from 1."""
    return Engines(
        tuple(
            LayerInTurn(
                engine=place,
                layer=layer.name,
                multipliers=engine.multipliers,
                products=layer.products,
                multiplier_cycles=layer.multiplier_cycles,
                memory_cycles=layer.memory_cycles,
                words=layer.words,
                word_bits=engine.bits,
                word_cycles=engine.gap,
            )
            for place, engine in enumerate(engines, 1)
            for layer in engine.layers
        )
    )


def layers_in_turn(sections: Iterable[Section]) -> tuple[LayerInTurn, ...]:
    """The layers of all engines."""
    engines = find(sections, Engines)
    return engines.rows if engines is not None else ()


def cells(row: LayerInTurn) -> tuple[str, ...]:
    """A layer under :data:`COLUMNS`."""
    figures = row.engine, row.products, round(rate(row), 1), math.ceil(weight_bytes(row)), cycles(row)
    bound = "both" if row.memory_cycles == row.multiplier_cycles else "memory" if waits(row) else "multipliers"
    return (row.layer or "", *map(number, figures), bound)


def weight_bytes(row: LayerInTurn) -> float:
    """Bytes of the words of a layer's weights."""
    return (row.words or 0) * (row.word_bits or 0) / 8


def cycles(row: LayerInTurn) -> int:
    """Cycles that a layer takes by itself: those of its multipliers or of the memory, whichever are more."""
    return max(row.multiplier_cycles or 0, row.memory_cycles or 0)


def rate(row: LayerInTurn) -> float:
    """Multiplications (MACs) in a cycle."""
    return (row.products or 0) / cycles(row) if cycles(row) else 0.0


def waits(row: LayerInTurn) -> bool:
    """Return True if the memory is slower than the multipliers."""
    return (row.memory_cycles or 0) > (row.multiplier_cycles or 0)
