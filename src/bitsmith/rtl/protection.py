"""Memories whose words have check bits, in the text of a circuit.

``bitsmith_encode`` stands before them, ``bitsmith_decode`` after them. The top of a circuit has a port ``memory_fault`` with two
bits for each such memory, as ``bitsmith_decode`` has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.devices.blocks import MemoryBlock
from bitsmith.devices.protection import Protection, check_bits, with_check_bits
from bitsmith.errors import ConfigError
from bitsmith.rtl.library import instance

FAULT = "memory_fault"
"""The port of a circuit with the faults of its memories."""

_FAULTS = 0x700
"""Address of the first register of ``bitsmith_faults``."""

_MOST_MEMORIES = 32 * ((0x100 - 8) // 8)
"""Memories whose registers end before the next address of others."""

ALWAYS_READ = "1'b1"


@dataclass(frozen=True, slots=True)
class CheckedMemory:
    """A memory with check bits, or ``number`` alike: the layers that it belongs to, its content, its size without these bits."""

    layer: str
    content: str
    words: int
    width: int
    is_table: bool
    """True if its contents are constants."""
    number: int = 1


class Checks:
    """The memories with check bits of a circuit in the making, in the order of the bits of its port."""

    def __init__(self, protection: Protection) -> None:
        self.protection = protection
        self.memories: list[CheckedMemory] = []

    def bits(self, width: int) -> int:
        """Check bits of a word."""
        return check_bits(width, self.protection)

    def codes(self, values: Sequence[int], width: int) -> list[int]:
        """Words with their check bits."""
        return [with_check_bits(value, width, self.protection) for value in values]

    def wires(self, memories: Sequence[CheckedMemory]) -> str:
        """The bits of the port for further ``memories``."""
        low = 2 * len(self.memories)
        self.memories += memories
        return f"{FAULT}[{2 * len(self.memories) - 1}:{low}]"

    def port(self) -> list[str]:
        """The declaration of the port, if there are such memories."""
        return [f"output logic [{2 * len(self.memories) - 1}:0] {FAULT}"] if self.memories else []

    def encoded(self, name: str, data: str, width: int) -> list[str]:
        """The lines that give ``<name>_written`` the word ``data`` and its check bits."""
        check = self.bits(width)
        return [
            f"logic [{width + check - 1}:0] {name}_written;",
            f"bitsmith_encode #(.WIDTH({width}), .CHECK({check})) {name}_encode (.data({data}), .code({name}_written));",
        ]

    def decoded(self, name: str, data: str, memory: CheckedMemory, when: str = ALWAYS_READ) -> list[str]:
        """The lines that declare ``<name>_stored`` and give ``data`` its word, of which faults count ``when`` it is read."""
        check = self.bits(memory.width)
        settings = f".WIDTH({memory.width}), .CHECK({check})"
        return [
            f"logic [{memory.width + check - 1}:0] {name}_stored;",
            f"logic [1:0] {name}_fault;",
            f"bitsmith_decode #({settings}) {name}_decode (.code({name}_stored), .data({data}), .fault({name}_fault));",
            f"assign {self.wires([memory])} = {name}_fault{'' if when == ALWAYS_READ else f' & {{2{{{when}}}}}'};",
        ]


def fault_registers(memories: int, first: int) -> list[str]:
    """The lines of a wrapper that give ``value_faults``, registers of flipped bits in so many memories.

    Other registers end before the address ``first``.

    Raises:
        ConfigError: registers of others, or of so many memories, would lie at the addresses of these, or beyond.
    """
    if memories > _MOST_MEMORIES:
        accepted = f"at most {_MOST_MEMORIES}"
        raise ConfigError(f"check bits in {memories} memories", where="Monitors", accepted=accepted)
    if first > _FAULTS:
        accepted = "'memories', or 'parity' or 'ecc', for so many memories that can be loaded"
        raise ConfigError("CRCs that need the addresses of check bits", where="Monitors", accepted=accepted)
    pins = {name: name for name in ("aclk", "aresetn", "clear")}
    pins |= {"fault": FAULT, "read_word": "s_axi_araddr[7:2]", "value": "faults_value"}
    return [
        "wire [31:0] faults_value;",
        instance("faults", "fault_counters", {"MEMORIES": memories}, pins),
        f"wire [31:0] value_faults = s_axi_araddr[11:8] == 4'h{_FAULTS >> 8:x} ? faults_value : 32'd0;",
    ]


_LUTS = {Protection.NONE: (0.0, 0.0), Protection.PARITY: (0.4, 0.4), Protection.ECC: (3.0, 1.5)}
"""Look-up tables for each bit that is read, and that is written: on ECP5, by Yosys."""


def check_cells(memories: Sequence[CheckedMemory], protection: Protection) -> tuple[int, int]:
    """Look-up tables and flip-flops of check bits and of the registers that tell of them, about."""
    read, written = _LUTS[protection]
    luts = sum(each.width * (read * each.number + written * (not each.is_table)) for each in memories)
    return (round(100 + 2 * len(memories) + luts), 64 + 4 * len(memories)) if memories else (0, 0)


def check_blocks(memories: Sequence[CheckedMemory], protection: Protection, block: MemoryBlock) -> int:
    """Block memories that check bits take."""
    wider = ((each, each.width + check_bits(each.width, protection)) for each in memories)
    return sum(x.number * (block.count(x.words, width) - block.count(x.words, x.width)) for x, width in wider)
