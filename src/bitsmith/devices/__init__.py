"""FPGA families, parts and boards, as data: one record per family, one file per board."""

from bitsmith.devices.board import (
    BOARDS,
    AnyBoard,
    Board,
    any_board,
    default_board,
    read_board,
    serial_boards,
    system_boards,
)
from bitsmith.devices.delay import DEFAULT_CLOCK_UNCERTAINTY
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family, Part, Vendor
from bitsmith.devices.ice40 import ICE40, ICE40UP
from bitsmith.devices.intel import AGILEX_7, ARRIA_10, CYCLONE_V, STRATIX_10
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import (
    DEFAULT_PART,
    FAMILIES,
    family_named,
    is_reserved,
    part_or_typical,
    resolve_part,
    vendor_of,
)
from bitsmith.devices.system import Card, Processor, SocFpga, SystemBoard, Zynq
from bitsmith.devices.xilinx import ULTRASCALE, ULTRASCALE_PLUS, XILINX_7

__all__ = [
    "AGILEX_7",
    "ARRIA_10",
    "BOARDS",
    "CYCLONE_V",
    "DEFAULT_CLOCK_UNCERTAINTY",
    "DEFAULT_PART",
    "ECP5",
    "FAMILIES",
    "ICE40",
    "ICE40UP",
    "NEXUS",
    "STRATIX_10",
    "ULTRASCALE",
    "ULTRASCALE_PLUS",
    "XILINX_7",
    "AnyBoard",
    "Board",
    "Card",
    "Family",
    "Part",
    "Processor",
    "SocFpga",
    "SystemBoard",
    "Vendor",
    "Zynq",
    "any_board",
    "default_board",
    "family_named",
    "is_reserved",
    "part_or_typical",
    "read_board",
    "resolve_part",
    "serial_boards",
    "system_boards",
    "vendor_of",
]
