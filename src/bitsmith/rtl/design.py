"""A generated SystemVerilog project as a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitsmith.netlist.netlist import Field
from bitsmith.rtl.protection import CheckedMemory

TAP = "tap "
"""The names of outputs that monitors watch begin so, then that of the layer."""

TAKES, DATA = "tap_take", "tap_data"
"""Ports of a circuit with layers' results that monitors watch: a bit for each that says that a token is there, and the tokens."""


def tap_ports(taps: Sequence[Sequence[Field]]) -> list[str]:
    """Declarations of the ports for ``taps``, the elements of a token of each."""
    widths = {TAKES: len(taps), DATA: sum(field.width for tap in taps for field in tap)}
    return [f"output logic [{width - 1}:0] {name}" for name, width in widths.items() if taps]


def pipeline_ports(in_width: int, out_width: int, *, valid: bool = True) -> list[str]:
    """Declarations of the ports of a pipeline."""
    return [
        "input logic clk",
        *(["input logic rst", "input logic in_valid"] if valid else []),
        f"input logic [{in_width - 1}:0] in_data",
        *(["output logic out_valid"] if valid else []),
        f"output logic [{out_width - 1}:0] out_data",
    ]


def valid_pipeline(stages: int) -> list[str]:
    """The lines that say in which cycles a pipeline of so many stages gives results."""
    if stages == 1:
        return ["always_ff @(posedge clk) out_valid <= in_valid & ~rst;"]
    return [
        f"logic [{stages - 1}:0] valid;",
        "always_ff @(posedge clk) begin",
        "  if (rst) valid <= '0;",
        f"  else valid <= {{valid[{stages - 2}:0], in_valid}};",
        "end",
        f"assign out_valid = valid[{stages - 1}];",
    ]


@dataclass(frozen=True, slots=True)
class LayerPart:
    """Part of a circuit that belongs to a layer, or to layers that share it; ``cycles`` go through its pipeline.

    ``first_stage`` and ``last_stage`` are those of the circuit's pipeline; None in a network of processes.
    """

    layer: str
    cycles: int | None = None
    first_stage: int | None = None
    last_stage: int | None = None


@dataclass(frozen=True, slots=True)
class RtlDesign:
    """Sources and how to use them.

    ``sources`` maps file names to texts, the top module's first. ``inputs`` and ``outputs`` are the elements packed into
    ``in_data`` and ``out_data``, from bit 0 up, without gaps. ``latency`` is in clock cycles; a sample can enter in each.
    ``cells`` counts words that are computed, by kind. ``parts`` are the layers by their instances in the top module, ``checked``
    memories with check bits. ``taps`` are layers' results that monitors watch.
    """

    top: str
    sources: Mapping[str, str]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    latency: int
    cells: Mapping[str, int]
    parts: Mapping[str, LayerPart]
    checked: tuple[CheckedMemory, ...]
    taps: tuple[tuple[Field, ...], ...]

    @property
    def in_width(self) -> int:
        """Bits of ``in_data``."""
        return sum(item.width for item in self.inputs)

    @property
    def out_width(self) -> int:
        """Bits of ``out_data``."""
        return sum(item.width for item in self.outputs)
