"""Counters and flags that processes have of their own, beside the counters of the FIFOs before them.

Each process was synthesized by itself, with tokens of 8 bits, for ECP5, iCE40, Nexus, Cyclone V and AMD's families.
"""

from __future__ import annotations

from typing import assert_never

from bitsmith.dataflow.kinds import (
    Engine,
    Feedback,
    FoldedProduct,
    Interleave,
    Map,
    Reduce,
    Reorder,
    Replay,
    Rom,
    Scan,
    Sink,
    Source,
    Sweep,
    WidthConverter,
    Window,
)
from bitsmith.dataflow.processes import Process
from bitsmith.dataflow.timing import is_monotone
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.mapping.multipliers import own_latency

REGISTERS = 2
"""FIFOs of so many slots have no memory, or two slots one of look-up tables."""

_HANDSHAKE_LUTS = 2.0
"""Logic that decides when a process acts."""

_CONTROL_LUTS, _CONTROL_FFS = 12.0, 8
"""Counters and flags of a process that are not known one by one."""


def control(process: Process, operand: int, block: MultiplierBlock | None) -> tuple[float, int]:
    """Look-up tables and flip-flops of a process's own counters and flags; those of operands after the first have none."""
    if operand > 0:
        return 0.0, 0
    match process.kind:
        case (
            Map() | Scan() | Sink() | Replay() | Feedback()
        ):  # what they have is counted with the circuit, and so are steps
            return _HANDSHAKE_LUTS, 0
        case WidthConverter():
            have, want = process.takes[0].bits, process.results[0].bits
            parts = (max(have, want) // max(min(have, want), 1) - 1).bit_length()
            return _HANDSHAKE_LUTS + parts, parts
        case Reduce(count=tokens):
            return _HANDSHAKE_LUTS + (tokens - 1).bit_length(), tokens.bit_length()
        case Reorder(source=source):
            return _HANDSHAKE_LUTS, (len(source) - 1).bit_length() + (0 if is_monotone(source) else 1)
        case Interleave(source=source):
            index = (len(source) - 1).bit_length()
            return 2.0 * index, index
        case FoldedProduct() as kind:
            stages = own_latency(process, block) or 0
            flags = 3 * stages + (kind.steps - 1).bit_length() + (kind.groups * kind.steps - 1).bit_length()
            return _CONTROL_LUTS, flags
        case Source() | Rom() | Window() | Sweep() | Engine():
            return _CONTROL_LUTS, _CONTROL_FFS
        case _:
            assert_never(process.kind)
